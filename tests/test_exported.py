"""Models out of their framework: what they answer, and that galleries and mask regression explain them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import Gallery, OnnxEncoder, PairGradCAM, PairMaskRegression, SiameseModel, export, open_exported
from xsiamese.contract.subject import encoder
from xsiamese.model.comparison import ClampedEuclidean, Cosine, Learned

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

MASKS: dict[str, Any] = {"masks": 40, "cells": (2, 2)}


def items(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(3))


def model(comparison: Any = "cosine") -> SiameseModel:
    return SiameseModel(encoder().float(), comparison)


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a learned comparison, as two files of ONNX."""
    torch.manual_seed(0)
    of = model(Learned(nn.Linear(3, 1), higher_is_closer=False))
    of.comparison.threshold_ = 0.25
    return export(of, items(2), tmp_path_factory.mktemp("exported") / "onnx")


def learned() -> SiameseModel:
    torch.manual_seed(0)
    return model(Learned(nn.Linear(3, 1), higher_is_closer=False))


def test_it_answers_as_torch_does_for_any_number_of_items(onnx: Path) -> None:
    opened, of = open_exported(onnx), learned()
    for count in (1, 2, 5):
        a, b = items(6)[:count], items(6).flip(0)[:count]
        torch.testing.assert_close(opened(a, b), of(a, b), rtol=0, atol=1e-4)
    assert opened(items().double(), items().double().flip(0)).dtype == torch.float64
    assert not opened.higher_is_closer
    assert opened.comparison.threshold_ == 0.25
    assert {file.name for file in onnx.iterdir() if file.suffix != ".data"} == {
        "encode.onnx",
        "compare.onnx",
        "model.json",
    }


def test_mask_regression_and_galleries_run_on_it(onnx: Path) -> None:
    deployed = SiameseModel(OnnxEncoder(onnx / "encode.onnx"), "cosine")
    own, theirs = (PairMaskRegression(one) for one in (model(), deployed))
    pairs = items()[:2], items()[2:4]
    for one, other in zip(own.explain(pairs, **MASKS).matrices, theirs.explain(pairs, **MASKS).matrices, strict=True):
        torch.testing.assert_close(other.dense(), one.dense(), rtol=0, atol=1e-4)
    galleries = [Gallery(one, items(), **MASKS) for one in (own, theirs)]
    assert galleries[1].shares
    hits = [gallery.search([0, 3], k=3) for gallery in galleries]
    assert hits[0].numbers == hits[1].numbers
    found = [one.explain()[:] for one in hits]
    torch.testing.assert_close(found[1].scores, found[0].scores, rtol=0, atol=1e-4)
    for one, other in zip(*(one.matrices for one in found), strict=True):
        torch.testing.assert_close(other.dense(), one.dense(), rtol=0, atol=1e-4)


def test_a_learned_comparison_is_explained_too(onnx: Path) -> None:
    own, theirs = (PairMaskRegression(one) for one in (learned(), open_exported(onnx)))
    pair = items()[:1], items()[2:3]
    matrices = [one.explain(pair, **MASKS).matrix for one in (own, theirs)]
    torch.testing.assert_close(matrices[1].dense(), matrices[0].dense(), rtol=0, atol=1e-4)
    assert matrices[0].dense().abs().max() > 1e-3


def test_a_gallery_of_another_file_is_refused(onnx: Path, tmp_path: Path) -> None:
    path = tmp_path / "gallery"
    explainer = PairMaskRegression(SiameseModel(OnnxEncoder(onnx / "encode.onnx")))
    Gallery(explainer, items(), **MASKS).save(path)
    assert len(Gallery.open(path, explainer, items(), **MASKS)) == 6
    other = tmp_path / "encode.onnx"
    other.write_bytes((onnx / "encode.onnx").read_bytes())
    data = bytearray((onnx / "encode.onnx.data").read_bytes())
    data[-1] ^= 1  # one bit of the weights
    (tmp_path / "encode.onnx.data").write_bytes(data)
    with pytest.raises(ValueError, match="was made with another: the model's modules"):
        Gallery.open(path, PairMaskRegression(SiameseModel(OnnxEncoder(other))), items(), **MASKS)


@pytest.mark.parametrize("comparison", [Cosine(detach_norms=True), ClampedEuclidean(limit=0.5), "dot"], ids=str)
def test_programs_of_torch_export_are_the_same_model(comparison: Any, tmp_path: Path) -> None:
    of = model(comparison).train()
    opened = open_exported(export(of, items(2), tmp_path / "model", format="torch"))
    assert of.training  # as it was
    assert of.encoder.training
    assert type(opened.comparison) is type(of.comparison)
    for name in ("detach_norms", "limit"):
        assert getattr(opened.comparison, name, None) == getattr(of.comparison, name, None)
    of.eval()
    torch.testing.assert_close(opened(items(), items().flip(0)), of(items(), items().flip(0)))


class Words(nn.Module):
    """An encoder of two named tensors."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.vectors = nn.Embedding(20, 4)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask[..., None]
        found: Tensor = (self.vectors(input_ids) * mask).sum(1) / mask.sum(1)
        return found


def texts() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    found = [
        {"input_ids": torch.randint(20, (3, 5), generator=generator), "attention_mask": torch.ones(3, 5)} for _ in "ab"
    ]
    found[0]["attention_mask"][0, 3:] = 0
    return found


def test_two_encoders_have_a_program_each(tmp_path: Path) -> None:
    towers = SiameseModel((Words(0), Words(1)), "dot")
    path = export(towers, texts(), tmp_path / "made" / "too" / "model", format="torch")
    assert {file.name for file in path.iterdir()} == {"encode_a.pt2", "encode_b.pt2", "model.json"}
    a, b = (tuple(text.values()) for text in texts())
    torch.testing.assert_close(open_exported(path)(a, b), towers(*texts()), rtol=0, atol=1e-6)


def test_items_of_several_tensors_keep_their_names(tmp_path: Path) -> None:
    of = SiameseModel(Words(0), "dot")
    opened = open_exported(export(of, texts()[0], tmp_path / "model"))
    torch.testing.assert_close(opened(*texts()), of(*texts()), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="takes input_ids, attention_mask, and got words"):
        opened({"words": texts()[0]["input_ids"]}, texts()[1])


def test_what_needs_a_gradient_says_so(onnx: Path) -> None:
    opened = open_exported(onnx)
    with pytest.raises(ValueError, match="carries no gradient"):
        PairGradCAM(opened).explain((items()[:1], items()[1:2]))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"model": SiameseModel(nn.Flatten()), "items": items(1)}, "holds 1 item: two at least"),
        ({"model": SiameseModel(nn.Flatten()), "items": ["a", "b"]}, "items is a list: tensors"),
        ({"model": SiameseModel(nn.Flatten()), "items": items(), "format": "tflite"}, "format='tflite': 'onnx' or"),
        ({"model": SiameseModel((nn.Flatten(), nn.Flatten())), "items": items()}, "the model has two encoders"),
        ({"model": SiameseModel((nn.Flatten(), nn.Flatten())), "items": (items(),) * 3}, "give items as a pair"),
        ({"model": SiameseModel((nn.Flatten(), nn.Flatten())), "items": "ab"}, "give items as a pair"),
        ({"model": nn.Identity(), "items": items()}, "Identity is not factored"),
    ],
)
def test_what_cannot_be_exported_is_told_before_anything_is_written(
    arguments: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=told):
        export(path=tmp_path / "model", **arguments)
    assert not list(tmp_path.iterdir())


class Chooses(nn.Module):
    """An encoder that no program can hold: what it does hangs on its numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) if bool(x.sum() > 0) else -x.flatten(1)


def test_an_encoder_that_cannot_be_traced_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encode cannot be exported: .") as error:
        export(SiameseModel(Chooses()), items(), tmp_path / "model", format="torch")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_models_are_told(onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="is there already"):
        export(model(), items(), onnx)
    with pytest.raises(ValueError, match=r"holds no exported model: .*cannot be read as what an exported model is"):
        open_exported(tmp_path)
    told = json.loads((onnx / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"encode.onnx cannot be read as a model of ONNX: No such file"):
        open_exported(tmp_path)
    (tmp_path / "encode.onnx").write_bytes(b"truncated")
    with pytest.raises(ValueError, match=r"encode.onnx cannot be read as a model of ONNX: .") as error:
        open_exported(tmp_path)
    assert "\n" not in str(error.value)
    (tmp_path / "model.json").write_text(json.dumps({**told, "format": 9}))
    with pytest.raises(ValueError, match="newer xsiamese: format 9"):
        open_exported(tmp_path)
    with pytest.raises(ValueError, match=r"encode.onnx does not take .* \(2, 3, 6, 6\)"):
        OnnxEncoder(onnx / "encode.onnx")(torch.rand(2, 3, 6, 6))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'pip install "xsiamese\[onnx\]"'):
        OnnxEncoder(onnx / "encode.onnx")


def test_a_learned_comparison_is_a_program_too(tmp_path: Path) -> None:
    of = learned()
    opened = open_exported(export(of, items(2), tmp_path / "torch", format="torch"))
    torch.testing.assert_close(opened(items(), items().flip(0)), of(items(), items().flip(0)))
    assert not opened.higher_is_closer
    (tmp_path / "torch" / "compare.pt2").write_bytes(b"nothing\nof the kind")
    with pytest.raises(ValueError, match=r"compare.pt2 cannot be read as a program of torch.export: [^\n]+$"):
        open_exported(tmp_path / "torch")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError, match=r"the model cannot be written to .*file.inside: (Not a directory|File exists)$"
    ):
        export(of, items(2), tmp_path / "file" / "inside", format="torch")


def test_what_is_written_is_the_model_in_evaluation_whatever_mode_it_is_in(tmp_path: Path) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    encoder[2].running_mean += 0.5  # type: ignore[operator, union-attr]
    encoder[1].eval()
    of = SiameseModel(encoder, "dot")
    modes = [module.training for module in of.modules()]
    opened = open_exported(export(of, items(4), tmp_path / "torch", format="torch"))
    assert [module.training for module in of.modules()] == modes
    torch.testing.assert_close(opened(items(), items().flip(0)), of.eval()(items(), items().flip(0)))
