"""The one reader of image files: the same picture in every mode is the same picture, upright and over white."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xsiamese.zoo.cards import Preprocessing
from xsiamese.zoo.pixels import read_picture

Image = pytest.importorskip("PIL.Image")

SIDE = 16
#: Steps of 17, so that the picture has an exact value in 4, 8, 12 and 16 bits; with no symmetry, so that turns show.
STEPS = (np.arange(SIDE)[None] * np.ones((SIDE, 1), int) + np.arange(SIDE)[:, None] // 4) % 16
GREY = (STEPS * 17).astype(np.uint8)


def read(path: Path, channels: int = 1) -> np.ndarray[Any, Any]:
    """The grey values, or RGB, as the reader gives them."""
    return read_picture(path, (SIDE, SIDE), channels).pixels.squeeze(0).numpy()


def rgba(alpha: np.ndarray[Any, Any], hidden: int) -> Any:
    """The grey picture with something else hidden where it is transparent."""
    shown = np.where(alpha > 0, GREY, hidden).astype(np.uint8)
    return Image.fromarray(np.stack([shown] * 3 + [alpha], -1))


def with_orientation(array: np.ndarray[Any, Any], orientation: int, path: Path) -> None:
    image = Image.fromarray(array)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)


#: How each orientation of EXIF is stored, after its definition: which corner the first row and column are.
STORED: dict[int, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],  # first column is the right side
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],  # first row is the bottom
    5: lambda a: a.T,
    6: lambda a: np.rot90(a),  # first row is the right side: turned back by a quarter
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_photographs_are_turned_upright(orientation: int, tmp_path: Path) -> None:
    stored = np.ascontiguousarray(STORED[orientation](GREY))
    with_orientation(stored, orientation, tmp_path / "turned.png")
    assert np.array_equal(read(tmp_path / "turned.png"), GREY)
    with_orientation(stored.astype(np.uint16) * 257, orientation, tmp_path / "turned16.png")
    assert np.array_equal(read(tmp_path / "turned16.png"), GREY)
    Image.fromarray(stored).save(tmp_path / "turned.tif", tiffinfo={274: orientation})
    assert np.array_equal(read(tmp_path / "turned.tif"), GREY)
    Image.fromarray(stored.astype(np.uint16) * 257).save(tmp_path / "turned16.tif", tiffinfo={274: orientation})
    assert np.array_equal(read(tmp_path / "turned16.tif"), GREY)


MODES: dict[str, Callable[[Path], None]] = {
    "l.png": lambda p: Image.fromarray(GREY).save(p),
    "rgb.png": lambda p: Image.fromarray(GREY).convert("RGB").save(p),
    "sixteen.png": lambda p: Image.fromarray(GREY.astype(np.uint16) * 257).save(p),
    "sixteen.tif": lambda p: Image.fromarray(GREY.astype(np.uint16) * 257).save(p),
    "sixteen.pgm": lambda p: p.write_bytes(b"P5 16 16 65535\n" + (GREY.astype(">u2") * 257).tobytes()) and None,
    "twelve.pgm": lambda p: p.write_bytes(b"P5 16 16 4095\n" + (STEPS * 273).astype(">u2").tobytes()) and None,
    "white_is_zero.tif": lambda p: Image.fromarray(GREY).save(p, tiffinfo={262: 0}),
    "float.tif": lambda p: Image.fromarray((GREY / 255).astype(np.float32)).save(p),
    "palette.gif": lambda p: Image.fromarray(GREY).convert("P").save(p),
    "grey_and_alpha.png": lambda p: Image.merge("LA", (Image.fromarray(GREY), Image.new("L", (SIDE, SIDE), 255))).save(
        p
    ),
    "rgba.webp": lambda p: rgba(np.full_like(GREY, 255), 0).save(p, lossless=True),
    "big_endian.tif": lambda p: _big_endian(p),
}


def _big_endian(path: Path) -> None:
    """A TIFF of sixteen bits as Motorola's processors write it, made byte by byte."""
    tags = [(256, 3, 16), (257, 3, 16), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 16)]
    tags.append((279, 4, 512))
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1) + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, value in tags
    )
    data = (GREY.astype(">u2") * 257).tobytes()
    path.write_bytes(b"MM\0*" + struct.pack(">I", 520) + data + struct.pack(">H", len(tags)) + entries + b"\0" * 4)


@pytest.mark.parametrize("name", MODES)
def test_the_same_picture_in_every_mode(name: str, tmp_path: Path) -> None:
    MODES[name](tmp_path / name)
    assert np.abs(read(tmp_path / name).astype(int) - GREY.astype(int)).max() <= (1 if "gif" in name else 0)
    colours = read(tmp_path / name, channels=3)
    assert np.abs(colours.astype(int) - GREY.astype(int)).max() <= (1 if "gif" in name else 0)


def test_inverted_ink_of_sixteen_bits(tmp_path: Path) -> None:
    Image.fromarray((255 - GREY).astype(np.uint16) * 257).save(tmp_path / "ink.tif", tiffinfo={262: 0})
    assert np.array_equal(read(tmp_path / "ink.tif"), GREY)


def test_what_is_transparent_is_white_whatever_it_hides(tmp_path: Path) -> None:
    alpha = np.zeros_like(GREY)
    alpha[4:12, 4:12] = 255
    expected = np.where(alpha > 0, GREY, 255)
    for hidden in (0, 200):
        rgba(alpha, hidden).save(tmp_path / "hidden.png")
        assert np.array_equal(read(tmp_path / "hidden.png"), expected)
    half = np.full_like(GREY, 128)
    rgba(half, 0).save(tmp_path / "half.png")
    laid = GREY * (128 / 255) + 255 * (127 / 255)
    assert np.abs(read(tmp_path / "half.png") - laid).max() <= 1
    Image.fromarray(GREY).save(tmp_path / "key.png", transparency=34)  # a grey value that means transparent
    assert np.array_equal(read(tmp_path / "key.png"), np.where(GREY == 34, 255, GREY))
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "key16.png", transparency=34 * 257)
    assert np.array_equal(read(tmp_path / "key16.png"), np.where(GREY == 34, 255, GREY))


def test_ranges_that_are_not_known_are_refused(tmp_path: Path) -> None:
    for name, values, told in (
        ("wide.tif", GREY.astype(np.int32), "integers of 32 bits, from 0 to 255"),
        ("bytes.tif", GREY.astype(np.float32), "numbers from 0 to 255, and which are black and white is not known"),
        ("nan.tif", np.where(GREY > 0, GREY / 255, np.nan).astype(np.float32), "numbers from nan"),
    ):
        Image.fromarray(values).save(tmp_path / name)
        with pytest.raises(ValueError, match=f"{name} cannot be read as an image: it holds {told}"):
            read(tmp_path / name)


def test_frames_are_counted(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(255 - GREY), Image.fromarray(GREY)]
    for name in ("pages.tif", "moving.gif", "moving.png", "moving.webp"):
        pages[0].save(
            tmp_path / name, save_all=True, append_images=pages[1:], **({"lossless": True} if "webp" in name else {})
        )
        assert read_picture(tmp_path / name, (SIDE, SIDE), 1).frames >= 2
        assert np.abs(read(tmp_path / name).astype(int) - GREY).max() <= 1


def test_damaged_and_enormous_files_are_one_sentence(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    whole = io.BytesIO()
    Image.fromarray(GREY).save(whole, "png")
    for name, content in (
        ("bomb.png", header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")),
        ("cut.png", whole.getvalue()[:60]),
        ("cut.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
        ("empty.png", b""),
        ("text.gif", b"GIF89a"),
        ("text.tif", b"II*\0\xff\xff\xff\xff"),
        ("text.bmp", b"BM" + b"\xff" * 60),
        ("text.psd", b"8BPS" + b"\xff" * 60),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} cannot be read as an image: ") as caught:
            read(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1


def test_explaining_and_training_read_the_same_bytes(tmp_path: Path) -> None:
    """One reader: what a model was trained on is what is explained, also after resizing."""
    from xsiamese.data.folders import decode
    from xsiamese.zoo import open_model

    paths = []
    for i in range(3):
        values = np.random.default_rng(i).integers(0, 255, (40, 30 + i, 3), dtype=np.uint8)
        with_orientation(values, 6, tmp_path / f"{i}.jpg")
        paths.append(tmp_path / f"{i}.jpg")
    opened = open_model("fashion")
    preprocessing = opened.preprocessing
    assert isinstance(preprocessing, Preprocessing)
    stored, kept, skipped = decode(paths, preprocessing)
    assert (kept, skipped) == ([0, 1, 2], [])
    for path, pixels in zip(paths, stored, strict=True):
        assert torch.equal(opened.read(path), preprocessing.normalise(pixels)[None])


def test_a_class_folder_skips_names_and_counts(tmp_path: Path) -> None:
    import os

    from xsiamese.data.folders import read_folders

    for label in ("x", "y"):
        (tmp_path / label).mkdir()
        for i in range(2):
            Image.fromarray(GREY).save(tmp_path / label / f"{i}.png")
    (tmp_path / "x" / "bad.png").write_bytes(b"no image")
    (tmp_path / "y" / "folder.png").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "y" / "pipe.png")
    Image.fromarray(GREY.astype(np.int32)).save(tmp_path / "y" / "wide.tif")
    bad = 4 if hasattr(os, "mkfifo") else 3
    with pytest.warns(UserWarning, match=f"{bad} of {4 + bad} images cannot be read and are left out"):
        items = read_folders(tmp_path, Preprocessing((SIDE, SIDE), 1, (0.0,), (1.0,)))
    assert len(items) == 4
    assert len(items.skipped) == bad
    assert all("cannot be read as an image" in reason for reason in items.skipped)
