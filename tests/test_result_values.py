"""What results say, keep and give back, worked out by hand from numbers that can be read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xsiamese import MatrixExplanation, PairExplanation, load
from xsiamese.kinds.catalogue import kind
from xsiamese.kinds.words import Texts
from xsiamese.result import cells, columns, files, matches
from xsiamese.result import matrix as of_matrix
from xsiamese.result.columns import Picked, run_of
from xsiamese.result.indexing import chosen
from xsiamese.result.matrix import Match, PairMatrix
from xsiamese.result.places import coarser, number_of, place_of, summed


def explained(scores: list[float], **known: Any) -> PairExplanation:
    maps = torch.arange(len(scores) * 3.0).reshape(-1, 3) - 2
    given: dict[str, Any] = {"kinds": ("row", "row"), **known}
    return PairExplanation((maps, -maps), (maps, maps), torch.tensor(scores), "M", **given)


# ---- words ----------------------------------------------------------------------------------------------------------


def test_what_a_model_makes_of_a_pair_in_words() -> None:
    near = explained([0.5, 0.25], threshold=0.25, measure="cosine", ids=[("x", "y"), ("u", "v")])
    assert near.verdict(0) == "alike: cosine 0.5, alike from 0.25"
    assert near.verdict(1) == "alike: cosine 0.25, alike from 0.25"
    assert near.summary().splitlines() == [
        "M of closeness, higher scores are closer",
        "x - y: alike: cosine 0.5, alike from 0.25",
        "u - v: alike: cosine 0.25, alike from 0.25",
    ]
    far = explained([0.5, 2.0], threshold=1.0, higher_is_closer=False, measure="euclidean")
    assert far.verdict(0) == "alike: euclidean 0.5, alike up to 1"
    assert far.verdict(1) == "different: euclidean 2, alike up to 1"
    hint = "no threshold is known: xsiamese.calibrate(model, a, b, same) finds one on labelled pairs"
    assert explained([0.5]).summary().splitlines()[1:] == ["pair 0: score 0.5", hint]
    target = explained([0.5], target="output 3")
    assert target.summary().splitlines() == ["M of output 3", "pair 0: output 3 0.5"]  # nothing to calibrate
    assert explained([0.5], threshold=0.0, target="output 3").verdict(0) == "alike: output 3 0.5, alike from 0"


def test_a_clamped_score_is_judged_by_what_it_was_before() -> None:
    found = explained(
        [1.0, 0.5], threshold=2.0, higher_is_closer=False, columns={"unclamped": torch.tensor([3.0, 0.5])}
    )
    assert found.decided.tolist() == [3.0, 0.5]
    assert found.verdict(0) == "different: score 1 (unclamped 3), alike up to 2"
    assert found.verdict(1) == "alike: score 0.5, alike up to 2"
    assert explained([1.0]).decided.tolist() == [1.0]
    assert explained([1.0]).decision is None


# ---- columns --------------------------------------------------------------------------------------------------------


def test_rows_of_one_tensor_are_picked_and_not_copied() -> None:
    whole = torch.arange(8.0).reshape(4, 2)
    every, some = Picked(whole), Picked(whole, [3, 1, 1])
    assert [row.tolist() for row in every] == whole.tolist()
    assert [row.tolist() for row in some] == [[6, 7], [2, 3], [2, 3]]
    assert (len(every), len(some)) == (4, 3)
    assert some[1].data_ptr() == whole[1].data_ptr()
    assert [row.tolist() for row in every[1:3]] == [[2, 3], [4, 5]]
    assert every[1:3].stacked().data_ptr() == whole[1].data_ptr()  # a run is a part of the whole
    assert some.stacked().tolist() == [[6, 7], [2, 3], [2, 3]]
    taken: Any = columns.taken({"p": some, "t": whole, "l": ("a", "b", "c", "d")}, [2, 0])
    assert [row.tolist() for row in taken["p"]] == [[2, 3], [6, 7]]
    assert taken["p"].whole is whole
    assert (taken["t"].tolist(), taken["l"]) == ([[4, 5], [0, 1]], ("c", "a"))
    for numbers, run in (
        ([2, 3, 4], range(2, 5)),
        (range(1, 3), range(1, 3)),
        ([2, 4], None),
        ([3, 2], None),
        ([], None),
    ):
        assert run_of(numbers) == run
    assert run_of([7]) == range(7, 8)


def test_columns_are_one_entry_a_pair_and_are_joined_and_packed() -> None:
    for column, said in (
        (torch.ones(3), r"column 'c' has \(3,\) for 2 pairs"),
        (torch.tensor(1.0), r"column 'c' has \(\) for 2 pairs"),
        (("a",), "column 'c' has 1 entries for 2 pairs"),
        ("ab", "column 'c' is a str: a tensor or a sequence"),
        ({1: 2, 3: 4}, "column 'c' is a dict"),
    ):
        with pytest.raises(ValueError, match=said):
            columns.check({"c": column}, 2)  # type: ignore[dict-item]
    columns.check({"c": torch.ones(2), "d": ("a", "b")}, 2)
    one: dict[str, Any] = {"t": torch.ones(1, 2), "l": ("a",)}
    other: dict[str, Any] = {"t": torch.zeros(2, 2), "l": ["b", "c"]}
    both: Any = columns.joined([one, other])
    assert (both["t"].tolist(), both["l"]) == ([[1, 1], [0, 0], [0, 0]], ("a", "b", "c"))
    ragged: Any = columns.joined([{"t": torch.ones(1, 2)}, {"t": torch.zeros(1, 3)}])
    assert [entry.tolist() for entry in ragged["t"]] == [[1, 1], [0, 0, 0]]
    with pytest.raises(ValueError, match=r"different columns: \['l', 't'\] and \['t'\]"):
        columns.joined([one, {"t": torch.ones(1)}])
    free: Any = columns.detached({"t": torch.ones(1, requires_grad=True), "l": (torch.ones(1, requires_grad=True), 3)})
    assert not free["t"].requires_grad
    assert not free["l"][0].requires_grad
    assert free["l"][1] == 3
    tensors, plain = columns.pack({"t": torch.ones(1), "l": (torch.zeros(2),), "m": (PairMatrix.of(torch.ones(2, 3)),)})
    assert set(tensors) == {"t", "l.0", "m.0.left", "m.0.right"}
    back: Any = columns.unpack(tensors, json.loads(json.dumps(plain)), [PairMatrix])
    assert back["m"][0].dense().tolist() == [[1, 1, 1], [1, 1, 1]]
    unknown: Any = columns.unpack(tensors, plain, [])
    assert (unknown["m"][0].type, set(unknown["m"][0].tensors)) == ("PairMatrix", {"left", "right"})
    again, told = columns.pack(unknown)  # what no plugin knows is kept as it was
    assert (set(again), told) == (set(tensors), plain)
    with pytest.raises(TypeError, match=r"l.1 is a object: a tensor, a JSON value"):
        columns.pack({"l": (1, object())})


# ---- pairs and places -----------------------------------------------------------------------------------------------


def test_which_pairs_are_meant() -> None:
    for index, wanted in (
        (1, [1]), (-1, [3]), (-4, [0]), (np.int64(2), [2]), (slice(1, None, 2), [1, 3]), ([3, -4, 3], [3, 0, 3]),
        ((), []), ([True, False, False, True], [0, 3]), (torch.tensor([2, 0]), [2, 0]),
        (np.array([False, True, True, False]), [1, 2]), (range(2), [0, 1]), (torch.tensor(2), [2]),
    ):  # fmt: skip
        assert chosen(index, 4) == wanted
    wrong: tuple[tuple[Any, type[Exception], str], ...] = (
        (4, IndexError, "there is no pair 4: the explanation holds 4 pairs"),
        (-5, IndexError, "there is no pair -5"),
        (True, TypeError, "indexed by pairs and True is a bool"),
        ("a", TypeError, "indexed by pairs and 'a' is a str"),
        ([True], IndexError, "a mask of 1 for 4 pairs"),
        ([0, True], TypeError, "True is a bool, and a pair is meant by its number"),
        ([1.0], TypeError, r"1\.0 is a float"),
    )  # fmt: skip
    for index, error, said in wrong:
        with pytest.raises(error, match=said):
            chosen(index, 4)


def test_numbers_and_places_of_parts() -> None:
    assert [place_of(i, (2, 3)) for i in (0, 2, 3, 5)] == [(0, 0), (0, 2), (1, 0), (1, 2)]
    assert [number_of(at, (2, 3), "a") for at in ((0, 0), (0, 2), (1, 0), (1, 2), 4, 0)] == [0, 2, 3, 5, 4, 0]
    for wrong in ((2, 0), (0, 3), (-1, 0), (0,), 6, -1):
        with pytest.raises(IndexError, match="a has no part"):
            number_of(wrong, (2, 3), "a")
    number, grid = coarser((1, 2), (2, 5), "a")
    assert number is not None
    assert (number.tolist(), grid) == ([0, 0, 0, 1, 1, 0, 0, 0, 1, 1], (1, 2))
    assert coarser(None, (2, 5), "a") == (None, (2, 5))
    number, grid = coarser([2, 0, 2], (3,), "b")
    assert summed(torch.tensor([[1.0], [2.0], [3.0]]), number, grid).tolist() == [[2.0], [0.0], [4.0]]
    for wrong, said in (((3, 5), "no coarser grid"), ((2,), "no coarser grid"), ((0, 5), "no coarser grid")):
        with pytest.raises(ValueError, match=said):
            coarser(wrong, (2, 5), "a")
    for numbers in ([0, 1], [0, -1, 1]):
        with pytest.raises(ValueError, match="numbers of new parts for the 3 parts of b"):
            coarser(numbers, (3,), "b")


def test_the_strongest_places_of_a_map() -> None:
    row = torch.tensor([[3.0, -5.0, 0.0, 1.0]])
    of = kind("row")
    assert cells.strongest(row, 2, "either", of) == [[((1,), -5.0), ((0,), 3.0)]]
    assert cells.strongest(row, 9, "closer", of) == [[((0,), 3.0), ((3,), 1.0)]]  # 0 pulls nowhere
    assert cells.strongest(row, 9, "apart", of) == [[((1,), -5.0)]]
    image = torch.zeros(1, 1, 2, 3)
    image[0, 0, 1, 2] = -2.0
    assert cells.strongest(image, 1, "apart", kind("image"))[0][0].place[-2:] == (1, 2)
    for wrong, said in ((0, "k=0"), (1.5, "k=1.5")):
        with pytest.raises(ValueError, match=f"{said}: at least one place"):
            cells.strongest(row, wrong, "either", of)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="largest='both': 'closer', 'apart' or 'either' is needed"):
        cells.strongest(row, 1, "both", of)  # type: ignore[arg-type]


# ---- matrices -------------------------------------------------------------------------------------------------------

A = torch.tensor([[4.0, -1.0, 0.0], [2.0, 3.0, -6.0]])
ALONE = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.0, -0.5])


def matrix(**known: Any) -> PairMatrix:
    return PairMatrix.of(A, **{"constant": 10.0, "alone": ALONE, "standard_error": A.abs(), **known})


def test_a_matrix_by_hand() -> None:
    made = matrix()
    assert made.dense().tolist() == A.tolist()
    assert (float(made.total), float(made.value)) == (2.0, 15.0)
    assert [one.tolist() for one in made.marginals] == [[3.0, -1.0], [6.0, 2.0, -6.0]]
    whole = made.dense(alone=True)
    assert whole.tolist() == [[4, -1, 0, 1], [2, 3, -6, 2], [0.5, 0, -0.5, 10]]
    assert float(whole.sum()) == float(made.value)
    third = made * -3.0
    assert third.dense().tolist() == (A * -3).tolist()
    assert (third.constant, float(third.value)) == (-30.0, -45.0)
    assert third.alone is not None
    assert [one.tolist() for one in third.alone] == [[-3.0, -6.0], [-1.5, 0.0, 1.5]]
    assert third.standard_error is not None
    assert third.standard_error.tolist() == (3 * A.abs()).tolist()  # an error has no sign
    assert (-made).dense().tolist() == (-A).tolist()
    turned = made.T
    assert turned.dense(alone=True).tolist() == whole.T.tolist()
    assert turned.standard_error is not None
    assert turned.standard_error.tolist() == A.abs().T.tolist()
    both = made + matrix(alone=None)
    assert (both.dense().tolist(), both.constant) == ((2 * A).tolist(), 20.0)
    assert both.alone is not None
    assert [one.tolist() for one in both.alone] == [one.tolist() for one in ALONE]
    assert both.standard_error is not None
    assert both.standard_error.tolist() == pytest.approx(np.array(2**0.5 * A.abs()))
    assert (made + matrix(standard_error=None)).standard_error is None
    assert (matrix(alone=None) + matrix(alone=None)).alone is None
    assert float((made - made).value) == 0.0
    assert [float(part.abs().sum()) for part in PairMatrix.of(A)._nothing] == [0.0, 0.0]
    assert (PairMatrix.of(A).left.shape[1], PairMatrix.of(A.T).left.shape[1]) == (2, 2)  # the smaller side


def test_the_strongest_matches_by_hand() -> None:
    made = matrix()
    assert made.top(2) == [Match((1,), (2,), -6.0, 6.0), Match((0,), (0,), 4.0, 4.0)]
    assert [m.value for m in made.top(9, largest="closer")] == [4.0, 3.0, 2.0]
    assert [m.value for m in made.top(9, largest="apart")] == [-6.0, -1.0]
    # each other's best: (0, 0) with 4; of row 1 the largest is column 1, whose largest is row 1
    assert [m[:2] for m in made.matches()] == [((0,), (0,)), ((1,), (1,))]
    assert [m[:2] for m in made.matches(1)] == [((0,), (0,))]
    assert [m.value for m in made.matches(largest="apart")] == [-6.0, -1.0]  # column 1: -1 is its least, and row 0's
    assert [m.value for m in made.matches(largest="either")] == [-6.0, 4.0]
    assert [m.value for m in made.matches(None, assign=True)] == [4.0, 3.0]
    assert PairMatrix.of(A).top(1)[0].error is None


def test_what_is_too_large_is_refused_at_its_bound_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_matrix, "DENSE", 6)
    assert matrix().dense().shape == (2, 3)
    with pytest.raises(ValueError, match=r"2 x 4 cells would take 0.0 GiB: pool them first"):
        PairMatrix.of(torch.ones(2, 4)).dense()
    monkeypatch.setattr(matches, "CELLS", 6)
    assert len(matches.assigned(torch.eye(2), A.T, 1)) == 2
    with pytest.raises(ValueError, match="2 x 4 parts are too many to assign"):
        matches.assigned(torch.eye(2), torch.ones(4, 2), 1)


def test_what_may_be_lost_is_a_share_of_the_whole() -> None:
    """Singular values 3000, 4 and 3: without the last two a five of 3000 is lost, whatever the scale."""
    for scale in (1e-3, 1.0, 1e3):
        made = PairMatrix.of(scale * torch.diag(torch.tensor([3000.0, 4.0, 3.0], dtype=torch.float64)))
        ranks = [made.compress(tolerance=share).left.shape[1] for share in (6 / 3000, 4.9 / 3000, 2.9 / 3000, 0.0)]
        assert ranks == [1, 2, 3, 3]
        assert made.compress(2).dense()[2, 2] == pytest.approx(0.0, abs=1e-9 * scale)
    assert PairMatrix.of(torch.eye(2)).compress(0).left.shape[1] == 1
    assert PairMatrix.of(torch.eye(2)).compress(9).left.shape[1] == 2


def text(words: tuple[tuple[str, ...], ...], word_of: Tensor) -> Texts:
    pieces = [("piece",) * word_of.shape[1]] * len(words)
    return Texts({"input_ids": torch.zeros_like(word_of)}, pieces, word_of, words)


def of_texts() -> MatrixExplanation:
    """Two pairs of texts of tokens (beginning, two pieces of one word, end) and (beginning, a word, a word, end)."""
    a = text((("sleepy",), ("cats",)), torch.tensor([[-1, 0, 0, -1], [-1, 0, 0, -1]]))
    b = text((("big", "dog"), ("red", "house")), torch.tensor([[-1, 0, 1, -1], [-1, 0, 1, -1]]))
    tokens = torch.arange(16.0).reshape(4, 4)
    both = tuple(PairMatrix.of(tokens * sign, constant=0.5) for sign in (1, -1))
    maps: Any = tuple(torch.stack([one.marginals[side] for one in both]) for side in (0, 1))
    return MatrixExplanation(
        maps, (a, b), torch.tensor([0.5, 0.25]), "M", kinds=("text", "text"), columns={"matrix": both}
    )


def test_a_matrix_by_words_keeps_its_value() -> None:
    first, second = of_texts().by_word()
    # tokens 1 and 2 of a are one word; of b each is a word: 5 + 9 and 6 + 10
    assert first.dense().tolist() == [[14.0, 16.0]]
    assert second.dense().tolist() == [[-14.0, -16.0]]
    assert (float(first.value), first.constant) == (120.5, 90.5)  # what is of no word is in the constant
    assert (float(second.value), second.constant) == (-119.5, -89.5)
    said = of_texts().summary().splitlines()
    assert said[1].endswith("'sleepy' of a with 'dog' of b: +16")
    assert said[2] == "pair 1: score 0.25"  # nothing of it pulls together
    with pytest.raises(ValueError, match="there are 2 pairs: take one"):
        _ = of_texts().matrix
    figure = of_texts().plot(1)
    drawn = {one.get_text() for axes in figure.axes for one in axes.texts} | {
        label.get_text() for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
    }
    assert {"cats", "red", "house"} <= drawn
    assert not {"sleepy", "big", "dog"} & drawn


# ---- files ----------------------------------------------------------------------------------------------------------


def test_files_of_the_first_edition_are_read(tmp_path: Path) -> None:
    """They had no format; subclasses had fields, which are columns now."""
    from safetensors.torch import save_file

    def first(name: str, plain: dict[str, Any], **header: Any) -> PairExplanation:
        rows = torch.tensor([[1.0, 2.0]])
        tensors = {"scores": torch.tensor([0.5])}
        tensors |= {f"{what}.{side}.0": rows.clone() for what in ("maps", "inputs") for side in "ab"}
        tensors |= header.pop("tensors", {})
        shapes = {f"{what}.{side}": None for what in ("maps", "inputs") for side in "ab"}
        told = {"method": "PairX", "parameters": {"n": 3}, "ids": [["x", "y"]], "_shapes": shapes, **plain}
        marks = {"xsiamese": json.dumps(told), **{key: json.dumps(value) for key, value in header.items()}}
        save_file(tensors, tmp_path / name, marks)
        return load(tmp_path / name)

    plain = {"kinds": ["row", "row"]}
    found = first("plain.safetensors", plain)
    assert (found.method, found.ids, found.shows) == ("PairX", (("x", "y"),), "signed")
    assert first("unsigned.safetensors", {**plain, "unsigned": True}).shows == "relevance"
    found = first("more.safetensors", {**plain, "alike": [True], "form": "hessian"})
    assert found.columns["alike"] == (True,)
    assert found.parameters == {"n": 3, "form": "hessian"}
    other = first("other.safetensors", plain, xsiamese_counterfactuals=[{"kind": "x"}])
    assert "counterfactuals" not in other.columns  # of a method that has none
    with pytest.raises(ValueError, match="is of format 9, and this version reads up to 2: pip install -U xsiamese"):
        first("newer.safetensors", {**plain, "format": 9})
    with pytest.raises(ValueError, match="its header has no 'type'"):
        first("broken.safetensors", {**plain, "format": 2})


def test_a_type_that_no_plugin_brings_is_read_as_what_it_is_made_of(tmp_path: Path) -> None:
    class Strange(PairExplanation):
        pass

    rows = torch.ones(1, 2)
    made = Strange((rows, rows), (rows, rows), torch.tensor([0.5]), "M", kinds=("row", "row"), columns={"c": (3,)})
    with pytest.warns(UserWarning, match="holds a Strange of tests, which no installed plugin brings: it is read as"):
        found = load(made.save(tmp_path / "s.safetensors"))
    assert type(found) is PairExplanation
    assert found.columns["c"] == (3,)
    assert files.results(PairExplanation)["PairExplanation"] is PairExplanation
    assert "Strange" not in files.results(PairExplanation)
    with pytest.raises(ValueError, match=r"holds a PairExplanation, no MatrixExplanation: use xsiamese.load"):
        MatrixExplanation.load(explained([0.5]).save(tmp_path / "p.safetensors"))


def test_what_is_no_file_of_ours_is_told(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    found = explained([0.5])
    for name, more in (("why.png", r"; a picture is plot\(\)\.savefig\('why\.png'\)$"), ("why.txt", r"\.safetensors$")):
        with pytest.raises(ValueError, match=rf"save\(\) writes tensors, to a file that ends with .*{more}"):
            found.save(tmp_path / name)
    save_file({"maps.a.0": torch.ones(1)}, tmp_path / "none.safetensors", {"xsiamese": "{}"})
    with pytest.raises(ValueError, match="is a safetensors file but no explanation that xsiamese saved"):
        load(tmp_path / "none.safetensors")  # without scores
    save_file({"scores": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="is a safetensors file but no explanation that xsiamese saved"):
        load(tmp_path / "other.safetensors")
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(ValueError, match="it is a pipe or a device, which may never end"):
        load(tmp_path / "pipe.safetensors")  # which would wait for ever
