"""Checkpoints: what is saved comes back, and what does not match its card is refused by the names of its tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from xsiamese.data import fashion_pair
from xsiamese.zoo import find_card, load, open_model, save, shipped


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    model = find_card("fashion").build(dimensions=5)
    model.comparison.threshold_ = 0.25
    found = load(save(tmp_path / "m.safetensors", model, "fashion", {"dimensions": 5}, {"epochs": 3}))
    assert found.model.comparison.threshold_ == 0.25
    assert found.about == {"epochs": 3}
    assert not found.model.training
    pair = fashion_pair("bag", "coat")
    assert torch.equal(found.model(*pair), model.eval()(*pair))


def test_a_checkpoint_that_does_not_match_its_card_is_refused_by_the_tensors(tmp_path: Path) -> None:
    path = save(tmp_path / "m.safetensors", find_card("fashion").build(dimensions=5), "fashion")
    with pytest.raises(
        ValueError, match=r"does not match its card 'fashion': encoder.10.bias: \(5,\) instead of \(16,\)"
    ):
        load(path)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    save_file({"x": torch.zeros(2)}, plain)
    with pytest.raises(ValueError, match="no checkpoint of xsiamese"):
        load(plain)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(plain.read_bytes()[:20])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load(broken)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load(tmp_path / "missing.safetensors")


def test_the_shipped_model_knows_real_pairs() -> None:
    """0.981 ROC-AUC on test pairs, as its header says; of the shipped images, clothes of one kind are closer."""
    checkpoint = shipped("fashion")
    assert checkpoint.about["roc_auc"] > 0.97
    same = torch.cat([checkpoint.model(*fashion_pair(c, c)) for c in ("bag", "trouser", "coat", "T-shirt")])
    other = torch.cat([checkpoint.model(*fashion_pair(c, "sandal")) for c in ("bag", "trouser", "coat", "T-shirt")])
    assert bool((same > checkpoint.model.comparison.threshold_).all())
    assert bool((other < checkpoint.model.comparison.threshold_).all())


def test_unknown_names_answer_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'fashion'"):
        open_model("fashon")
    with pytest.raises(ValueError, match="comes without weights"):
        open_model("koch")
    with pytest.raises(ValueError, match=r"package\.module:factory is needed"):
        open_model("nowhere.models:make")
