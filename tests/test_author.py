"""What a plugin may use: names that are kept for a minor version, so that none comes or goes unseen."""

from __future__ import annotations

import pytest

from xsiamese import author

NAMES = """
Adapted AtLeast Bilinear BlackBoxEncoder Cells ChannelsFirst ChannelsLast ClampedEuclidean Column Comparison Cosine
Curve Decision Dot Euclidean Found ItemBatch Kind Layer Layout Leaves Maps Match MatrixExplanation Metric ModelCard
Objective Packable PairAttribution PairBatch PairExplanation PairMatrix PairModel Parts Picked Places Pooling
Preprocessing PresenceSide ReadOut RefusedDerivatives Rule Rules Sample Sampler Shows SiameseModel Side SideLayout
SquaredEuclidean TextEncoder Texts Tokens TwoInputModel Unsuited Wrt adapt as_grid channel_of check check_fit explainers
hookimpl intact join of_side pair_model parts_of record refuse_scripted side softened stored untied values_without wide
words_of
"""


def test_the_names_are_those_that_were_promised() -> None:
    """To add one, add it here and to the page; to take one away, let it warn for a minor version first."""
    assert dir(author) == sorted(NAMES.split())


@pytest.mark.parametrize("name", NAMES.split())
def test_each_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(author, name) is not None


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(
        AttributeError, match=r"xsiamese.author has no 'PairBach': a plugin may use Adapted, .*PairBatch"
    ):
        author.PairBach  # noqa: B018
