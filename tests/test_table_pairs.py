"""Tables whose rows are pairs: they are recognised or asked for, their pairs are what is trained on, and no record is
in two parts where that can be.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from xsiamese.data.columns import Columns
from xsiamese.data.given import components, cut
from xsiamese.data.grams import grams, hashed
from xsiamese.data.pairs import Pairs
from xsiamese.data.record_pairs import load_pairs
from xsiamese.data.records import read_records
from xsiamese.data.row_files import RowReader, is_row
from xsiamese.data.sided import Rows, sided
from xsiamese.data.tabular import Table, read_table
from xsiamese.training.settings import Settings
from xsiamese.training.tables import Training

LAYOUTS = ("left_{}", "right_{}"), ("ltable_{}", "rtable_{}"), ("{}_left", "{}_right"), ("{}_a", "{}_b")
WORDS = ("amber", "stout", "porter", "lager", "wheat", "pale", "brown", "golden", "smoked", "sour")


def write(folder: Path, layout: tuple[str, str] = LAYOUTS[0], more: str = "", pairs: int = 60) -> Path:
    """Pairs of beers, every record in one pair: the same where the number of the names is."""
    drawn = random.Random(0)
    left, right = ([mark.format(name) for name in ("id", "name", "abv")] for mark in layout)
    lines = [",".join([*left, *right, "label", *more.split()])]
    for i in range(pairs):
        name, other = (" ".join(drawn.sample(WORDS, 2)) + f" no {10 * i + k}" for k in (0, 1))
        same = i % 3 == 0
        values = [i, name, f"{4 + i / 50:.2f}", 1000 + i, name.upper() if same else other, f"{5 - i / 50:.2f}"]
        lines.append(",".join(map(str, [*values, int(same), *("x" for _ in more.split())])))
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pairs_and_their_labels_are_what_is_trained_on(tmp_path: Path, layout: tuple[str, str]) -> None:
    path = write(tmp_path, layout)
    with pytest.warns(UserWarning, match="id numbers records and is left out"):
        source = Training(Settings("siamese-mlp", str(path))).load(0.1)
    assert source.pairs is not None
    names = dict(enumerate(path.read_text().splitlines()[1:], start=2))
    seen = []
    for part, items in zip(source.pairs, (source.train, source.valid, source.test), strict=True):
        for a, b, same in zip(*(column.tolist() for column in part), strict=True):
            line, other = items.lines[a], items.lines[b]
            assert line == other  # both records stand in one line, each in no other
            assert same == names[line].endswith(",1")
            seen.append(line)
    assert sorted(seen) == sorted(names)
    assert [len(part.same) for part in source.pairs] == [42, 6, 12]


def test_columns_that_leave_it_open_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, more="colour country")
    kind = Settings("siamese-mlp", str(path), reading={"target": "label"})
    with pytest.raises(ValueError, match=r"is a row a pair or one item\?.*colour, country.*--rows pairs.*--rows items"):
        Training(kind).load(0.1)
    with pytest.warns(UserWarning, match="id numbers records"):
        assert Training(kind.changed(reading={"target": "label", "rows": "pairs"})).load(0.1).pairs is not None
    with pytest.warns(UserWarning, match="has one value and is left out"):
        assert Training(kind.changed(reading={"target": "label", "rows": "items"})).load(0.1).pairs is None
    lone = tmp_path / "lone.csv"
    lone.write_text("vitamin_a,vitamin_b,label\n" + "1,2,0\n2,4,1\n" * 20)
    with pytest.raises(ValueError, match="is a row a pair or one item"):
        Training(Settings("siamese-mlp", str(lone), reading={"target": "label"})).load(0.1)
    assert sided(["sepal_length", "sepal_width", "kind"]) is None


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("left_x,right_x,outcome", r"which column says whether both are the same\? --target COLUMN; it has outcome"),
        ("left_x,right_x,label", r"'label' has 3 values \(0, 1, 2\): two are needed, '1' for a same pair"),
    ],
)
def test_bad_tables_of_pairs_are_told(tmp_path: Path, head: str, told: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(head + "\n" + "1,2,0\n2,3,1\n3,4,2\n")
    with pytest.raises(ValueError, match=told):
        load_pairs(path)


@pytest.mark.parametrize(
    ("columns", "rows", "told"),
    [
        ("left_x,right_x,label", "both", "rows='both': 'pairs' or 'items' is needed"),
        (
            "size,colour,label",
            "pairs",
            "{}: rows of pairs need two columns for each thing, left_NAME and right_NAME (or ltable_ and rtable_, "
            "NAME_left and NAME_right, NAME_a and NAME_b); it has size, colour, label",
        ),
        ("size,colour,label", None, "{} is no table of pairs: --rows pairs and columns of both sides are needed"),
    ],
)
def test_what_a_row_is_must_fit_the_columns(tmp_path: Path, columns: str, rows: Rows | None, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(columns + "\n1,2,0\n2,3,1\n3,4,0\n")
    with pytest.raises(ValueError) as caught:
        load_pairs(path, rows=rows)
    assert str(caught.value) == told.format(path)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            {"reading": {"close": 0.1}},
            "--close has no meaning for {}, a table of pairs: it says itself what is the same",
        ),
        ({"split": "classes"}, "--split has no meaning for {}, a table of pairs: it says itself what is the same"),
    ],
)
def test_words_for_tables_of_items_are_refused_beside_pairs(tmp_path: Path, how: dict[str, Any], told: str) -> None:
    path = write(tmp_path)
    with pytest.raises(ValueError) as caught:
        Training(Settings("siamese-mlp", str(path), **how)).load(0.1)
    assert str(caught.value) == told.format(path)


def test_a_folder_without_pairs_and_a_table_without_a_target_are_told(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.csv").write_text("size,colour,kind\n1,2,a\n2,3,b\n")
    with pytest.raises(ValueError) as caught:
        Training(Settings("siamese-mlp", str(tmp_path), reading={"target": "kind"})).load(0.1)
    told = f"{tmp_path}: a folder is read for its pairs, and {tmp_path / 'train.csv'} has no columns of two sides"
    assert str(caught.value) == told
    for name, pair in (("train.csv", "{0}:0 {0}:1"), (write(tmp_path).name, "{0}:0:left {0}:0:right")):
        file = tmp_path / name
        assert Training(Settings("siamese-mlp", str(file), reading={})).example() == pair.format(file)


def test_no_item_is_in_two_parts_where_that_can_be() -> None:
    chains = [(3 * i + k, 3 * i + k + 1, k == 0) for i in range(40) for k in (0, 1)]
    pairs = Pairs(*(torch.tensor(column) for column in zip(*chains, strict=True)))
    parts = cut(120, pairs, 0.1, 0.2, seed=3)
    items = [set(torch.cat([pairs.a[part], pairs.b[part]]).tolist()) for part in parts]
    assert not items[0] & items[1] | items[0] & items[2] | items[1] & items[2]
    assert sorted(torch.cat(parts).tolist()) == list(range(80))
    assert [len(part) for part in parts] == [56, 8, 16]
    ring = Pairs(torch.arange(80), (torch.arange(80) + 1) % 80, torch.arange(80) % 2 == 0)
    with pytest.warns(UserWarning, match=r"items of test pairs are in training pairs too"):
        assert [len(part) for part in cut(80, ring, 0.1, 0.2, seed=3)] == [56, 8, 16]
    assert int(components(80, ring.a, ring.b).max()) == 0


def test_grams_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    texts = ["Oskar Blues Grill & Brew", "a  St. Émile\tale", "", "ipa"]
    analyse = CountVectorizer(analyzer="char_wb", ngram_range=(3, 3)).build_analyzer()
    assert [sorted(grams(text)) for text in texts] == [sorted(analyse(text)) for text in texts]
    rows = hashed(texts)
    assert torch.allclose(rows.norm(dim=1), torch.tensor([1.0, 1, 0, 1], dtype=torch.float64))


def test_free_text_is_hashed_and_shown_as_it_is(tmp_path: Path) -> None:
    names = tuple(f"{WORDS[i % 10]} {WORDS[i // 10]} ale" for i in range(80))
    table = Table(tmp_path / "t.csv", {"name": names, "colour": ("red", "dark") * 40}, tuple(range(80)))
    columns = Columns.of_table(table)
    assert [column.grams for column in columns.columns] == [256, 0]
    assert Columns.of(json.loads(json.dumps(columns.described()))) == columns
    new = Table(tmp_path / "new.csv", {"name": ("never seen",), "colour": ("green",)}, (2,))
    with pytest.warns(UserWarning, match="training did not see"):
        row = columns(new)
    assert columns.undo(row) == [{"name": "(text)", "colour": "(missing or new)"}]
    assert columns.texts(new) == [{"name": "never seen", "colour": "green"}]
    assert float(columns(table.take([0]))[0, :256] @ row[0, :256]) < 0.5


def test_a_record_is_named_with_its_side(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.warns(UserWarning, match="is left out"):
        source, columns = load_pairs(path)
    read = RowReader(columns)
    assert source.pairs is not None
    for a, b in zip(source.pairs[2].a.tolist(), source.pairs[2].b.tolist(), strict=True):
        row = source.test.lines[a] - 2
        assert torch.equal(read(f"{path}:{row}:left")[0], source.test.rows[a])
        assert torch.equal(read(f"{path}:{row}:right")[0], source.test.rows[b])
    assert read.texts(f"{path}:0:right")["name"] == read.texts(f"{path}:0:left")["name"].upper()
    assert is_row(f"{path}:3:left")
    with pytest.raises(ValueError, match=r"is a pair: .*:3:left or .*:3:right is needed"):
        read(f"{path}:3")
    assert len(read.pool(path, (read(f"{path}:0:left"),))) == 2 * 60 - 1
    items = tmp_path / "items.csv"
    items.write_text("name,abv\namber ale,5\nstout,6\n")
    assert read(f"{items}:0").shape == (1, len(columns.features))
    with pytest.raises(ValueError, match="is one item, and no pair"):
        read(f"{items}:0:left")


def test_records_as_lines_of_text(tmp_path: Path) -> None:
    path = tmp_path / "test.txt"
    path.write_text("COL name VAL COLD ale COL abv VAL 5 %\tCOL name VAL  COL abv VAL -\t1\n")
    table = read_table(path, "fill")
    assert {name: values[0] for name, values in table.columns.items()} == {
        "left_name": "COLD ale",
        "left_abv": "5 %",
        "right_name": "",
        "right_abv": "-",
        "label": "1",
    }
    with pytest.raises(ValueError, match="line 2: two records"):
        read_records(["COL a VAL 1\tCOL a VAL 2\t0", "COL a VAL 1\t0"])


def test_the_published_parts_are_kept(real_data: Path) -> None:
    with pytest.warns(UserWarning, match="in training pairs too"):
        source, columns = load_pairs(real_data / "tabular_er_magellan" / "Beer", missing="fill")
    assert source.pairs is not None
    assert [(len(p.same), int(p.same.sum())) for p in source.pairs] == [(268, 40), (91, 14), (91, 14)]
    assert [column.name for column in columns.columns] == ["Beer_Name", "Brew_Factory_Name", "Style", "ABV"]
