"""The AAL atlas: numbers of regions as its table gives them."""

from __future__ import annotations

from collections import Counter

import pytest

from xsiamese.data.atlas import AAL116, AAL116_LOBES


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "Precentral_L"),
        (20, "Supp_Motor_Area_R"),
        (29, "Insula_L"),
        (37, "Hippocampus_L"),
        (44, "Calcarine_R"),
        (57, "Postcentral_L"),
        (78, "Thalamus_R"),
        (90, "Temporal_Inf_R"),
        (91, "Cerebelum_Crus1_L"),
        (108, "Cerebelum_10_R"),
        (109, "Vermis_1_2"),
        (116, "Vermis_10"),
    ],
)
def test_regions_are_numbered_as_in_the_atlas(number: int, name: str) -> None:
    assert AAL116[number - 1] == name


def test_every_region_has_a_lobe() -> None:
    assert len(set(AAL116)) == len(AAL116) == len(AAL116_LOBES) == 116
    assert Counter(AAL116_LOBES)["cerebellum"] == 26
    assert all(lobe == other for lobe, other in zip(AAL116_LOBES[:90:2], AAL116_LOBES[1:90:2], strict=True))
