"""Ordinary and hostile files, made here, at every reading command: the right value or one line, never a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from xsiamese import cli

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("torchvision")

pytestmark = pytest.mark.filterwarnings("ignore")


def run(*arguments: Any) -> tuple[int, str, str]:
    """``xsiamese ...`` in this process: its exit code, output and errors."""
    out, err, before = io.StringIO(), io.StringIO(), (sys.argv, warnings.showwarning)
    sys.argv = ["xsiamese", *map(str, arguments)]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            cli.main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv, warnings.showwarning = before
    return int(code), out.getvalue(), err.getvalue()


def one_line(arguments: tuple[Any, ...], *words: str) -> None:
    """The call is refused in one line that has these words, with exit code 2 and nothing else."""
    code, out, err = run(*arguments)
    told = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert (code, len(told), out) == (2, 1, ""), (arguments, code, out, err)
    assert told[0].startswith("xsiamese: ")
    for word in words:
        assert word in told[0], told[0]
    assert "Traceback" not in err
    assert "bug of xsiamese" not in err


GREY = ((np.arange(28)[None] * 9 + np.arange(28)[:, None] // 3) % 256).astype(np.uint8)


def whole() -> bytes:
    content = io.BytesIO()
    Image.fromarray(GREY).save(content, "png")
    return content.getvalue()


def turned(path: Path) -> None:
    image = Image.fromarray(np.ascontiguousarray(np.rot90(GREY)))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)


def animated(path: Path) -> None:
    Image.fromarray(GREY).save(path, save_all=True, append_images=[Image.fromarray(255 - GREY)])


ORDINARY: dict[str, Callable[[Path], Any]] = {
    "grey.png": lambda p: Image.fromarray(GREY).save(p),
    "grey.bmp": lambda p: Image.fromarray(GREY).save(p),
    "grey.tif": lambda p: Image.fromarray(GREY).save(p),
    "grey.pgm": lambda p: Image.fromarray(GREY).save(p),
    "grey.webp": lambda p: Image.fromarray(GREY).convert("RGB").save(p, lossless=True),
    "rgb.png": lambda p: Image.fromarray(GREY).convert("RGB").save(p),
    "rgba.png": lambda p: Image.fromarray(GREY).convert("RGBA").save(p),
    "alpha.png": lambda p: Image.fromarray(GREY).convert("LA").save(p),
    "palette.png": lambda p: Image.fromarray(GREY).convert("P").save(p),
    "turned.png": turned,
    "sixteen.png": lambda p: Image.fromarray(GREY.astype(np.uint16) * 257).save(p),
    "sixteen.tif": lambda p: Image.fromarray(GREY.astype(np.uint16) * 257).save(p),
    "float.tif": lambda p: Image.fromarray((GREY / 255).astype(np.float32)).save(p),
    "animated.gif": animated,
    "pages.tif": animated,
    "with $x$ and _^.png": lambda p: Image.fromarray(GREY).save(p),
    "späße 写真.png": lambda p: Image.fromarray(GREY).save(p),
    "no_ending": lambda p: Image.fromarray(GREY).save(p, "png"),
    "wrong_ending.jpg": lambda p: Image.fromarray(GREY).save(p, "png"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    for name, make in ORDINARY.items():
        make(made / name)
    return made


@pytest.mark.parametrize("name", ORDINARY)
def test_the_same_picture_in_every_mode_is_itself(name: str, folder: Path) -> None:
    code, out, err = run("explain", folder / name, folder / "grey.png", "--json")
    assert code == 0, err
    assert json.loads(out)["score"] == pytest.approx(1.0, abs=5e-4)
    assert ("holds 2 images: the first is taken" in err) == (name in ("animated.gif", "pages.tif"))


def test_another_picture_is_not(folder: Path) -> None:
    """The oracle above can fail: a picture that was not turned upright has another score."""
    Image.fromarray(np.ascontiguousarray(np.rot90(GREY))).save(folder / "lying.png")
    assert json.loads(run("explain", folder / "lying.png", folder / "grey.png", "--json")[1])["score"] < 0.99


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "empty.png": lambda p: p.write_bytes(b""),
    "cut.png": lambda p: p.write_bytes(whole()[:60]),
    "half.png": lambda p: p.write_bytes(whole()[: len(whole()) // 2]),
    "text.png": lambda p: p.write_text("no image"),
    "zeros.png": lambda p: p.write_bytes(b"\0" * 1000),
    "bomb.png": lambda p: p.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
        + chunk(b"IEND", b"")
    ),
    "loop.tif": lambda p: p.write_bytes(
        b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 256, 4, 1, 5) + struct.pack("<I", 8)
    ),
    "cut.gif": lambda p: p.write_bytes(b"GIF89a\x10\0\x10\0"),
    "cut.jpg": lambda p: p.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
    "cut.webp": lambda p: p.write_bytes(b"RIFF\xff\xff\xff\xffWEBPVP8 "),
    "cut.bmp": lambda p: p.write_bytes(b"BM" + b"\xff" * 60),
    "wide.tif": lambda p: Image.fromarray(GREY.astype(np.int32)).save(p),
    "loud.tif": lambda p: Image.fromarray(GREY.astype(np.float32)).save(p),
    "infinite.tif": lambda p: Image.fromarray(np.where(GREY > 9, np.inf, 0).astype(np.float32)).save(p),
    "drawing.svg": lambda p: p.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "document.pdf": lambda p: p.write_bytes(b"%PDF-1.4\n%%EOF"),
    "folder.png": lambda p: p.mkdir(),
    "missing.png": lambda p: None,
    "dangling.png": lambda p: p.symlink_to(p.parent / "nowhere"),
    "circle.png": lambda p: p.symlink_to(p),
    "pipe.png": lambda p: os.mkfifo(p),
    "sparse.png": lambda p: p.open("wb").truncate(2**43),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_image_is_one_line(name: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    try:
        HOSTILE[name](path)
    except OSError as error:
        pytest.skip(f"this file system makes no {name}: {error}")
    one_line(("explain", path, folder / "grey.png"), name, "cannot be read as an image")
    output = tmp_path / "why.json"
    one_line(("explain", folder / "grey.png", path, "--method", "saliency", "-o", output), name, "cannot be read as an")
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/dev/zero", "/dev/zero cannot be read as an image: it is a pipe or a device"),
        ("/dev/null", "/dev/null cannot be read as an image: it is a pipe or a device"),
        ("", "'' names no item: one line of text is needed"),
        ("a\nb.png", r"'a\nb.png' names no item: one line of text is needed"),
        ("x" * 5000 + ".png", "x.png cannot be read as an image: File name too long"),
        ("a\0.png", r"'a\x00.png' names no item: one line of text is needed"),
    ],
)
def test_words_that_name_no_file(name: str, said: str, folder: Path) -> None:
    for pair in ((name, folder / "grey.png"), (folder / "grey.png", name)):
        one_line(("explain", *pair), said)


def header(path: Path, told: Any, **tensors: Any) -> Path:
    save_file(tensors or {"x": torch.zeros(3)}, path, {"xsiamese": told if isinstance(told, str) else json.dumps(told)})
    return path


CHECKPOINTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "text": (lambda p: p.write_text("no tensors"), "cannot be read as a checkpoint"),
    "empty": (lambda p: p.write_bytes(b""), "cannot be read as a checkpoint"),
    "huge header": (lambda p: p.write_bytes(struct.pack("<Q", 2**60) + b"{}"), "cannot be read as a checkpoint"),
    "no header": (lambda p: save_file({"x": torch.zeros(1)}, p), "names no card"),
    "no JSON": (lambda p: header(p, "{"), "cannot be read as a checkpoint"),
    "deep JSON": (lambda p: header(p, "[" * 100_000), "cannot be read as a checkpoint"),
    "a list": (lambda p: header(p, []), "names no card"),
    "card a number": (lambda p: header(p, {"card": 3}), "names no card"),
    "card unknown": (lambda p: header(p, {"card": "os.system"}), "no model is called 'os.system'"),
    "arguments a list": (lambda p: header(p, {"card": "fashion", "arguments": [1]}), "'arguments' of its header"),
    "argument unknown": (lambda p: header(p, {"card": "fashion", "arguments": {"shell": 1}}), "does not fit its card"),
    "argument enormous": (
        lambda p: header(p, {"card": "siamese-mlp", "arguments": {"inputs": 10**9, "dimensions": 10**9}}),
        "is damaged or made up",
    ),
    "argument large": (
        lambda p: header(p, {"card": "siamese-mlp", "arguments": {"inputs": 60_000}}, x=torch.zeros(20_000)),
        "does not match its card",
    ),
    "argument a text": (lambda p: header(p, {"card": "siamese-mlp", "arguments": {"inputs": "many"}}), "siamese-mlp"),
    "about a text": (lambda p: header(p, {"card": "fashion", "about": "x"}), "'about' of its header"),
    "threshold a text": (lambda p: header(p, {"card": "fashion", "threshold": "x"}), "threshold"),
    "other tensors": (lambda p: header(p, {"card": "fashion"}), "does not match its card 'fashion'"),
    "a folder": (lambda p: p.mkdir(), "it is a folder"),
    "a pipe": (lambda p: os.mkfifo(p), "it is a pipe or a device"),
    "an explanation": (lambda p: save_file({"scores": torch.zeros(1)}, p, {"explanation": "{}"}), "names no card"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_foreign_checkpoints_are_one_line(name: str, folder: Path, tmp_path: Path) -> None:
    make, told = CHECKPOINTS[name]
    make(tmp_path / "given.safetensors")
    one_line(("explain", folder / "grey.png", folder / "grey.png", "--model", tmp_path / "given.safetensors"), told)


def test_a_checkpoint_never_reaches_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header of a stranger may ask for pretrained weights: they are in the file, and nothing is fetched."""
    from xsiamese.zoo import find_card, load, save

    card = find_card("livieris")
    model = card.build(backbone="squeezenet1_1")
    save(tmp_path / "m.safetensors", model, "livieris", {"backbone": "squeezenet1_1", "weights": "DEFAULT"})

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked for weights")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    found = load(tmp_path / "m.safetensors").model.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in model.state_dict().items())


def test_where_a_result_goes_is_checked_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("the work was done before the output was checked")

    monkeypatch.setattr("xsiamese.zoo.open_model", work)
    pair = ("explain", folder / "grey.png", folder / "grey.png", "-o")
    (tmp_path / "taken.png").mkdir()
    for output, told in (
        ("", "names no file"),
        (tmp_path / "why.doc", "what .doc means is not known"),
        (tmp_path / "why", "what no ending means"),
        (tmp_path / "no" / "why.png", "there is no folder"),
        (tmp_path / "taken.png", "is a folder"),
        ("/dev/full/why.png", "there is no folder"),
        ("/proc/why.png", "cannot be written"),
        (".", "-o '.' names no file: a name is needed, as in why.png"),
    ):
        one_line((*pair, output), told)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=17))
    one_line((*pair, tmp_path / "why.png"), "why.png cannot be written: 17 bytes are left on that disk")


def test_names_in_pictures_are_text(folder: Path, tmp_path: Path) -> None:
    code, out, err = run("explain", folder / "with $x$ and _^.png", folder / "grey.png", "-o", tmp_path / "$^$.svg")
    assert code == 0, err
    assert f"written to {tmp_path / '$^$.svg'}" in out
    assert (tmp_path / "$^$.svg").stat().st_size > 1000


def test_files_of_one_name_are_told_apart(folder: Path, tmp_path: Path) -> None:
    for person in ("ann", "bob"):
        (tmp_path / person).mkdir()
        (tmp_path / person / "1.png").write_bytes(whole())
    said = json.loads(run("explain", tmp_path / "ann" / "1.png", tmp_path / "bob" / "1.png", "--json")[1])
    assert said["ids"] == ["ann/1.png", "bob/1.png"]


def test_as_many_folders_are_named_as_tell_two_files_apart() -> None:
    from xsiamese.data.references import Reference, names

    for a, b, said in (
        ("x/run/a/me.jpg", "y/run/a/me.jpg", ("x/run/a/me.jpg", "y/run/a/me.jpg")),
        ("p/x/a/me.jpg", "p/y/a/me.jpg", ("x/a/me.jpg", "y/a/me.jpg")),
        ("a/me.jpg", "a/./me.jpg", ("a/me.jpg", "a/./me.jpg")),  # one file, in other words
    ):
        assert names(Reference(a, "file"), Reference(b, "file")) == said


def test_smiles_are_no_paths(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    from xsiamese.data.molecules import molecule
    from xsiamese.data.references import Reference, names

    assert names(Reference("C/C=C/C", "smiles"), Reference("C/C=C\\C", "smiles")) == ("C/C=C/C", "C/C=C\\C")
    assert molecule("CC\nO") is None
    assert molecule("CCO").num_nodes == 3


def test_edges_of_three_numbers_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric")
    from xsiamese.data.ged import graph_of

    for content, told in (
        ({"n": 3, "labels": None, "graph": [[0, 1, 2], [1, 2, 0]]}, "an edge has two ends"),
        ({"n": 2, "labels": [None, "C"], "graph": [[0, 1]]}, "node 0 has the label null"),
        ({"n": 0, "labels": [], "graph": []}, "n=0"),
        ({"n": 2, "labels": [], "graph": [[0, 2**70]]}, "is no graph"),
        ({"n": 2, "labels": [], "graph": 7}, "is no graph"),
        ([], "is no graph"),
    ):
        (tmp_path / "g.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=told):
            graph_of(tmp_path / "g.json", ["C"])
    (tmp_path / "g.json").write_text(json.dumps({"n": 3, "labels": None, "graph": [[0, 1], [1, 2]]}))
    assert graph_of(tmp_path / "g.json", []).edge_index.shape == (2, 4)


def test_configurations_with_aliases_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pydantic")
    from xsiamese.training.config import read_config

    lines = [
        "a: &a [x, x]",
        *(f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
    ]
    (tmp_path / "config.yml").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="has aliases"):
        read_config(tmp_path / "config.yml")


def test_a_folder_that_may_not_be_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xsiamese.door.files import folder

    new = tmp_path / "new" / "out"
    assert folder(new, "the output") == new
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(ValueError) as caught:
        folder(new, "the output")
    told = f"{new} cannot be written: {tmp_path} may not be changed by this user: give another name"
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("can't allocate memory: 9 bytes"), "there is not enough memory: can't allocate memory: 9 bytes"),
        (RecursionError("maximum recursion depth"), "something is nested too deeply to be read"),
        (OSError(28, "No space left on device", "a.png"), "a.png: No space left on device"),
        (OSError("of\nits own"), "of its own"),
        (KeyError("k"), "KeyError: 'k'"),  # raised nowhere
        (OSError(), "OSError"),
    ],
)
def test_what_went_wrong_is_one_sentence(error: BaseException, told: str) -> None:
    from xsiamese.door.faults import sentence

    assert sentence(error) == told


def test_of_foreign_errors_the_last_place_in_the_user_s_code_is_named() -> None:
    from xsiamese.door.faults import sentence

    with pytest.raises(KeyError) as caught:
        {}["k"]
    line = caught.value.__traceback__.tb_lineno  # type: ignore[union-attr]
    assert sentence(caught.value) == f"KeyError: 'k' ({__file__}, line {line})"
    with pytest.raises(ZeroDivisionError) as divided:
        exec(compile("1 / 0", "/site-packages/their.py", "exec"), {})
    error = divided.value
    error.__traceback__ = error.__traceback__.tb_next  # type: ignore[union-attr]
    told = "this is a bug of xsiamese: ZeroDivisionError: division by zero (/site-packages/their.py, line 1); please"
    assert sentence(error).startswith(told)


def test_a_bug_of_ours_says_so(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("missing")

    monkeypatch.setattr("xsiamese.zoo.open_model", broken)
    code, out, err = run("explain", folder / "grey.png", folder / "grey.png")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "KeyError: 'missing'" in err
    with pytest.raises(KeyError):
        run("explain", folder / "grey.png", folder / "grey.png", "--traceback")


def test_a_model_of_the_current_folder(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside_me.py").write_text(
        "import torch\nfrom xsiamese import SiameseModel\n"
        "def make():\n"
        "    return SiameseModel(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten()), 'cosine')\n"
        "def fails():\n    return {}['key']\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    pair = ("explain", folder / "grey.png", folder / "grey.png", "--size", 16, "--method", "saliency", "--model")
    assert run(*pair, "beside_me:make")[0] == 0
    assert str(tmp_path) not in sys.path
    code, _, err = run(*pair, "beside_me:fails")
    assert code == 2
    assert "KeyError: 'key'" in err
    assert "--model beside_me:fails: the factory raised" in err
    sys.modules.pop("beside_me")


class Entry:
    """An entry point of a plugin that does its worst when it is loaded."""

    name, value, group = "rude", "rude", "xsiamese"

    def load(self) -> Any:
        print("advertisement")
        raise SystemExit(3)


class Distribution:
    metadata, version = {"Name": "rude"}, "1"


def test_a_plugin_that_ends_the_interpreter_is_named_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    from xsiamese.door.registry import Registry

    registry = Registry(lambda: [(Entry(), Distribution())])  # type: ignore[list-item]
    with pytest.warns(RuntimeWarning, match="the plugin 'rude' of rude 1 is broken and left out: SystemExit: 3"):
        assert registry.collect("xsiamese_explainers", str, "explainers") == {}
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "advertisement" in captured.err


def test_a_plugin_takes_no_command_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xsiamese.door.registry.commands", lambda: {"explain": lambda: print("mine now")})
    code, out, err = run("zoo", "--json")
    assert code == 0
    assert json.loads(out)
    assert "a plugin brings a command 'explain' of its own" in err


def test_a_search_of_deletions_is_bounded_and_keeps_what_it_found() -> None:
    data = pytest.importorskip("torch_geometric.data")
    from xsiamese import PairGraphEdits

    ring = torch.tensor([[i, (i + 1) % 9] for i in range(9)]).T
    graph = data.Batch.from_data_list([data.Data(x=torch.ones(9, 1), edge_index=ring)])

    def edges(batch: Any) -> torch.Tensor:
        return torch.bincount(batch.batch[batch.edge_index[0]], minlength=batch.num_graphs).float()

    search = PairGraphEdits(lambda a, b: edges(a) + edges(b), threshold=2.5, higher_is_closer=True)
    found = search.find((graph, graph), evaluations=200, most=18)[0]
    assert not found.flipped
    assert found.reason.endswith("and then the evaluations were spent")
    assert found.score_after < found.score_before  # the best that was found is kept
    assert search.find((graph, graph), most=18)[0].flipped
    assert search.find((graph, graph), evaluations=0)[0].reason.endswith("the evaluations were spent")


def test_an_interrupted_search_keeps_what_was_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    deletions = pytest.importorskip("xsiamese_counterfactual.deletions")
    from tqdm.auto import tqdm

    class Goal:
        calls = 0

        def progress(self, sets: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return sets.sum(1).double()

    monkeypatch.setattr(deletions, "AT_ONCE", 2)
    sets = torch.arange(8)[:, None] > torch.arange(8)
    gained, stopped = deletions.scored(Goal(), sets, 100, tqdm(disable=True))
    assert gained[:4].tolist() == [0, 1, 2, 3]
    assert bool(gained[4:].isinf().all())
    assert stopped == "it was interrupted"
