"""The result: it checks itself, comes back from a file as it was, and says where it comes from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests import problems
from xsiamese import PairExplanation, PairGradCAM, PairIntegratedGradients, PairOcclusion, SiameseModel
from xsiamese.result.explanation import Cell

IDS = [("a0", "b0"), ("a1", "b1"), ("a2", "b2")]


def explained(**kwargs: Any) -> PairExplanation:
    return PairGradCAM(SiameseModel(problems.conv_encoder(), "euclidean"), "3").explain(
        problems.images(3), ids=IDS, **kwargs
    )


def made(**changes: Any) -> PairExplanation:
    maps = torch.tensor([[[1.0, -3.0], [0.5, 2.0]], [[0.0, 0.0], [0.0, 1.0]]])[:, None]
    return PairExplanation(
        **{
            "maps": (maps, -maps),
            "inputs": (torch.ones(2, 1, 4, 4),) * 2,
            "scores": torch.tensor([0.5, 0.25]),
            "method": "M",
            **changes,
        }
    )


def same(x: Any, y: Any) -> bool:
    if isinstance(x, torch.Tensor):
        return torch.equal(x, y)
    return len(x) == len(y) and all(map(same, x, y)) if isinstance(x, (tuple, list)) else bool(x == y)


def test_it_knows_where_it_comes_from() -> None:
    inputs = problems.images(3)
    found = explained(relu=True)
    assert found.method == "PairGradCAM"
    assert found.parameters == {"layer": ["3"], "relu": True}
    assert not found.higher_is_closer
    assert found.target == "closeness"
    assert found.ids == tuple(IDS)
    assert found.seed == 0
    assert "selvaraju2017" in found.citation
    assert set(found.versions) == {"xsiamese", "torch", "captum"}
    assert found.versions["torch"] in torch.__version__
    assert same(found.inputs, inputs)
    torch.testing.assert_close(found.scores, SiameseModel(problems.conv_encoder(), "euclidean")(*inputs).detach())
    assert not any(t.requires_grad for t in (*found.maps, found.scores))
    assert len(found) == 3


def test_targets_are_named() -> None:
    def similarity(output: torch.Tensor) -> torch.Tensor:
        return 1 - output

    found = explained(target=similarity)
    assert found.target == "similarity"
    assert found.higher_is_closer  # of the target's value
    torch.testing.assert_close(found.scores, 1 - explained().scores)


def test_it_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().method = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": (torch.zeros(2, 1),)}, "an explanation has two maps, not 1"),
        ({"maps": (torch.zeros(2, 1), torch.zeros(3, 1))}, r"the map of b has shape \(3, 1\) for 2 scores"),
        ({"inputs": (torch.zeros(1, 1), torch.zeros(2, 1))}, r"the input of a has shape \(1, 1\) for 2 scores"),
        (
            {"inputs": ((torch.zeros(2, 1), torch.zeros(4)), torch.zeros(2, 1))},
            r"a\[1\] has 4 rows and a\[0\] has 2",
        ),
        ({"ids": (("a", "b"),)}, "1 ids for 2 pairs"),
        ({"shows": "sign"}, "^shows='sign': signed, magnitude, relevance is needed$"),
    ],
)
def test_it_refuses_what_does_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**changes)


def several() -> PairExplanation:
    maps = (torch.rand(2, 1, 4, 4), torch.rand(2, 1, 2, 2))
    inputs = ((torch.rand(2, 3), torch.randint(9, (2, 4))), torch.rand(2, 3).bfloat16())
    return made(
        maps=(maps, maps), inputs=inputs, delta=torch.rand(2), ids=(("ä", "b"), ("c", "d")), citation="@x{y}", seed=None
    )


@pytest.mark.parametrize("explanation", [made, explained, several], ids=["plain", "explained", "tuples"])
def test_it_comes_back_from_a_file_as_it_was(explanation: Any, tmp_path: Path) -> None:
    before = explanation()
    path = before.save(tmp_path / "why.safetensors")
    assert path == tmp_path / "why.safetensors"
    after = PairExplanation.load(path)
    for field in dataclasses.fields(PairExplanation):
        assert same(getattr(after, field.name), getattr(before, field.name)), field.name


def test_saving_leaves_no_pickle(tmp_path: Path) -> None:
    assert b"PK" not in made().save(tmp_path / "why").read_bytes()[:2]


@pytest.mark.parametrize(
    ("what", "message"), [("garbage", "is not a safetensors file"), ("foreign", "no explanation that xsiamese saved")]
)
def test_other_files_are_refused(what: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    if what == "garbage":
        path.write_bytes(b"not a file of tensors")
    else:
        save_file({"scores": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=message):
        PairExplanation.load(path)


def test_what_is_no_data_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        made(columns={"own": [1, object()]}).save(tmp_path / "why")
    told = "own.1 is a object: a tensor, a JSON value, or what has packed() can be stored"
    assert str(caught.value) == told
    assert not (tmp_path / "why").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        PairExplanation.load(tmp_path / "nothing.safetensors")


def test_parts_of_it() -> None:
    found = explained()
    assert len(found[1]) == 1
    assert found[1].ids == (IDS[1],)
    assert same(found[1].maps[0], found.maps[0][1:2])
    assert same(found[-1].scores, found.scores[-1:])
    assert found[1:].ids == tuple(IDS[1:])
    assert [one.ids[0] for one in found] == IDS  # type: ignore[index]
    with pytest.raises(IndexError, match="there is no pair 3: the explanation holds 3 pairs"):
        found[3]
    for wrong in (found, "0", 0.5, None):  # torch would ask an explanation for its items without end
        with pytest.raises(TypeError, match="an explanation is indexed by pairs and"):
            found[wrong]  # type: ignore[index]
        if wrong is not None:
            with pytest.raises(TypeError, match="an explanation is indexed by pairs and"):
                found.plot(wrong)  # type: ignore[arg-type]


def test_parts_of_tuples_and_deltas() -> None:
    found = several()
    assert found[1].delta is not None
    assert same(found[1].maps[0][1], found.maps[0][1][1:])
    assert same(found[1].inputs[0][1], found.inputs[0][1][1:])


def test_upsampling_brings_each_map_to_its_image() -> None:
    found = made()
    assert [m.shape for m in found.upsample().maps] == [torch.Size([2, 1, 4, 4])] * 2
    assert found.upsample((6, 8)).maps[0].shape == (2, 1, 6, 8)
    constant = made(maps=(torch.full((2, 1, 2, 2), 3.0),) * 2).upsample().maps[0]
    assert (constant == 3).all()  # values keep their scale
    flat = made(maps=(torch.zeros(2, 5),) * 2)
    assert same(flat.upsample().maps, flat.maps)
    without = made(maps=None)
    assert without.upsample() is without


def test_top_places() -> None:
    found = made()
    first, second = found.top(2)[0]
    assert first == [Cell((0, 0, 1), -3.0), Cell((0, 1, 1), 2.0)]
    assert [cell.place for cell in second] == [(0, 0, 1), (0, 1, 1)]
    with pytest.raises(ValueError, match=r"^largest='both': 'closer', 'apart' or 'either' is needed$"):
        found.top(2, largest="both")  # type: ignore[arg-type]
    for k in (0, 1.5):
        with pytest.raises(ValueError, match=f"^k={k}: at least one place must be asked for, as a whole number$"):
            found.top(k)  # type: ignore[arg-type]
    assert found.top(1, largest="closer")[0][0] == [Cell((0, 1, 1), 2.0)]
    assert found.top(1, largest="apart")[0][0] == [Cell((0, 0, 1), -3.0)]
    assert len(found.top(99)[0][0]) == 4
    for largest, sign in (("closer", 1), ("apart", -1)):  # never a value of the other sign, rather fewer
        values = [cell.value * sign for side in found.top(99, largest=largest)[0] for cell in side]
        assert len(values) == sum(int((side[0] * sign > 0).sum()) for side in found.maps)
        assert min(values) > 0
    with pytest.raises(ValueError, match="top\\(\\) needs one map a side"):
        several().top()


def test_delta_is_there_where_the_method_claims_one() -> None:
    model, inputs = SiameseModel(problems.conv_encoder(), "dot"), problems.images(2)
    found = PairIntegratedGradients(model).explain(inputs, n_steps=30)
    assert found.delta is not None
    assert found.delta.shape == (2,)
    assert PairOcclusion(model).explain(inputs).delta is None


def test_summary_and_html() -> None:
    found = explained()
    text = found.summary()
    assert text.startswith("PairGradCAM of closeness, lower scores are closer\n")
    assert "a1 - b1: " in text
    html = found._repr_html_()
    assert "lower scores are closer" in html
    assert 'src="data:image/png;base64,' in html
    assert "<script>" not in made(ids=(("<script>", "b"), ("c", "d")))._repr_html_()
    assert made(inputs=(torch.ones(2, 3),) * 2, maps=(torch.ones(2, 3),) * 2)._repr_html_().startswith("<pre>")
