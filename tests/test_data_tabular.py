"""Tables: columns, standardisation, targets, pairs of rows, and what bad tables get."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xsiamese.data.columns import Columns
from xsiamese.data.pairs import Pairs
from xsiamese.data.rows import load_rows
from xsiamese.data.tabular import Table, read_table
from xsiamese.data.targets import CloseIndex, closeness_width, target_of

CSV = "size,colour,weight,kind\n1,red,10,a\n3,blue,20,b\n5,red,60,a\n"


def table(folder: Path, text: str = CSV, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_are_standardised_and_categories_take_a_feature_each(tmp_path: Path) -> None:
    found = read_table(table(tmp_path))
    columns = Columns.of_table(found.without(["kind"]))
    rows = columns(found)
    assert columns.features == ("size", "colour=blue", "colour=red", "weight")
    assert torch.allclose(rows.mean(0)[[0, 3]], torch.zeros(2), atol=1e-6)
    assert torch.allclose(rows.std(0, correction=0)[[0, 3]], torch.ones(2))
    assert rows[:, 1:3].tolist() == [[0, 1], [1, 0], [0, 1]]
    assert columns.by_column(rows).shape == (3, 3)
    assert columns.by_column(rows)[:, 1].tolist() == [1, 1, 1]


def test_what_is_kept_with_a_checkpoint_reads_the_same(tmp_path: Path) -> None:
    import json

    found = read_table(table(tmp_path))
    columns = Columns.of_table(found)
    again = Columns.of(json.loads(json.dumps(columns.described())))
    assert again == columns
    assert torch.equal(again(found), columns(found))
    back = columns.undo(columns(found))
    assert [row["colour"] for row in back] == ["red", "blue", "red"]
    assert [round(float(row["weight"]), 4) for row in back] == [10, 20, 60]


def test_standardisation_is_of_the_rows_it_is_given(tmp_path: Path) -> None:
    found = read_table(table(tmp_path))
    columns = Columns.of_table(found.take([0, 1]))
    assert (columns.columns[0].mean, columns.columns[0].std) == (2, 1)
    assert float(columns(found)[2, 0]) == 3


@pytest.mark.parametrize(
    ("text", "name"), [(CSV.replace(",", ";"), "t.csv"), (CSV.replace(",", "\t"), "t.tsv"), ("\ufeff" + CSV, "t.csv")]
)
def test_other_ways_to_write_a_table(tmp_path: Path, text: str, name: str) -> None:
    assert read_table(table(tmp_path, text, name)).columns == read_table(table(tmp_path)).columns


def test_a_packed_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode()))
    assert len(read_table(path)) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no rows"),
        ("a,b\n", "holds no rows"),
        ("a,a\n1,2\n", "two columns 'a'"),
        ("a,b\n1,2\n1\n", "line 3: 1 values for 2 columns"),
        (
            "a,b\n1,2\n,4\n1,NA\n",
            r"lacks 2 value\(s\), the first at line 3 column 'a', line 4 column 'b': --missing drop",
        ),
    ],
)
def test_a_bad_table_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        read_table(table(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_table(path)
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_table(tmp_path / "none.csv")


def test_missing_values_are_dropped_or_filled(tmp_path: Path) -> None:
    path = table(tmp_path, "a,c,y\n1,x,0\n?,y,1\n3,,0\n5,x,\n")
    with pytest.warns(UserWarning, match="3 of 4 rows lack a value"):
        assert len(read_table(path, "drop")) == 1
    with pytest.warns(UserWarning, match="1 of 4 rows"):
        found = read_table(path, "fill", needed="y")
    columns = Columns.of_table(found.without(["y"]))
    rows = columns(found)
    assert (float(rows[1, 0]), rows[2, 1:].tolist()) == (0, [0, 0])
    empty = table(tmp_path, "a,b\n,1\n1,\n")
    with pytest.raises(ValueError, match="every row lacks a value"):
        read_table(empty, "drop")


def test_columns_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, "id,same,x\na,1,1\nb,1,2\nc,1,2\n"))
    with (
        pytest.warns(UserWarning, match="'same' has one value"),
        pytest.warns(UserWarning, match="'id' has another text in every row"),
    ):
        assert Columns.of_table(found).features == ("x",)
    rest = found.without(["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="no column that differs"):
            Columns.of_table(rest)


def test_what_training_did_not_see(tmp_path: Path) -> None:
    columns = Columns.of_table(read_table(table(tmp_path)))
    with pytest.warns(UserWarning, match="'colour' has values that training did not see, taken as none: green"):
        rows = columns(read_table(table(tmp_path, CSV.replace("blue", "green"), "new.csv")))
    assert rows[1, 1:3].tolist() == [0, 0]
    with pytest.raises(ValueError, match="line 3: column 'size' holds 'three': a number is needed"):
        columns(read_table(table(tmp_path, CSV.replace("3,blue", "three,blue"), "new.csv")))


def test_an_unknown_column_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = read_table(table(tmp_path))
    with pytest.raises(ValueError, match="no column 'wieght'; did you mean 'weight'"):
        target_of(found, "wieght")
    with pytest.raises(ValueError, match="it has size, colour, weight, kind"):
        found.without(["zzz"])


def test_targets_are_classes_or_numbers() -> None:
    def of(*texts: str) -> Table:
        return Table(Path("t.csv"), {"y": texts}, tuple(range(len(texts))))

    assert target_of(of("b", "a", "b"), "y").labels.tolist() == [1, 0, 1]
    ordered = target_of(of("10", "9", "10"), "y")
    assert (ordered.classes, ordered.numbers) == (("9", "10"), None)
    numbers = target_of(of(*(str(i / 2) for i in range(40))), "y")
    assert numbers.numbers is not None
    assert numbers.labels.bincount().tolist() == [4] * 10
    assert len(numbers.classes) == 10
    with pytest.raises(ValueError, match="target 'y' is 'a' in all 2 rows"):
        target_of(of("a", "a"), "y")


def test_numbers_have_no_classes_to_hold_out(tmp_path: Path) -> None:
    path = table(tmp_path, "size,price\n" + "".join(f"{i},{i / 2}\n" for i in range(40)))
    told = "^split='classes': the target 'price' is a number, and there are no classes to hold out$"
    with pytest.raises(ValueError, match=told):
        load_rows(path, "price", by="classes")


@given(
    st.lists(st.integers(-50, 50), min_size=4, max_size=30, unique=True),
    st.integers(0, 30).map(lambda n: n + 0.5),
    st.integers(0, 5),
)
def test_close_pairs_are_close_and_others_are_not(values: list[int], width: float, seed: int) -> None:
    numbers = torch.tensor(values, dtype=torch.float64)
    gaps = (numbers[:, None] - numbers).abs()[~torch.eye(len(values), dtype=torch.bool)]
    if float(gaps.min()) > width or float(gaps.max()) <= width:
        with pytest.raises(ValueError, match=r"(no|any) two of \d+ targets lie within"):
            CloseIndex(numbers, width)
        return
    index = CloseIndex(numbers, width)
    a, b, close = index.pairs(torch.arange(len(values)), torch.Generator().manual_seed(seed))
    gap = (numbers[a] - numbers[b]).abs()
    assert bool((a != b).all())
    assert bool((gap[close] <= width + 1e-9).all())
    assert bool((gap[~close] >= width - 1e-9).all())
    anchor, positive, negative = index.triplets(a, torch.Generator().manual_seed(seed))
    assert bool((anchor != positive).all())
    assert bool(((numbers[anchor] - numbers[positive]).abs() <= width + 1e-9).all())
    assert bool(((numbers[anchor] - numbers[negative]).abs() >= width - 1e-9).all())


def test_partners_are_uniform_and_seeded() -> None:
    index = CloseIndex(torch.tensor([5.0, 0.0, 3.0, 1.0, 4.0, 2.0]), 1.0)

    def drawn(seed: int = 0) -> Pairs:
        return index.pairs(torch.zeros(8000, dtype=torch.long), torch.Generator().manual_seed(seed))

    pairs = drawn()
    assert int(pairs.same.sum()) == 4000
    assert set(pairs.b[pairs.same].tolist()) == {4}
    shares = pairs.b[~pairs.same].bincount(minlength=6).double() / 4000
    assert torch.allclose(shares[[1, 2, 3, 5]], torch.full((4,), 0.25, dtype=torch.float64), atol=0.04)
    assert torch.equal(pairs.b, drawn().b)
    assert not torch.equal(pairs.b, drawn(1).b)


def test_the_width_is_a_quantile_of_the_differences() -> None:
    numbers = torch.rand(300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    width = closeness_width(numbers, 0.1)
    a, b = torch.triu_indices(300, 300, 1)
    assert abs(float(((numbers[a] - numbers[b]).abs() <= width).double().mean()) - 0.1) < 0.01
    with pytest.raises(ValueError, match="close=0"):
        closeness_width(numbers, 0)
    with pytest.raises(ValueError, match="all pairs of targets lie within 1 of each other"):
        closeness_width(torch.tensor([0.0, 1.0]), 0.5)


def test_a_compressed_file_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"x,y\n" + b"0" * (2**26 + 2**20)))
    with pytest.raises(ValueError, match=r"bomb.csv.gz cannot be read as a table: its .* bytes unpack to more than 64"):
        read_table(path)
