"""What cannot be done is told in one line before any work: not after a pass, not by a library, and not by silence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.test_hostile_files import GREY, Image
from xsiamese import (
    Gallery,
    PairGradCAM,
    PairInteraction,
    PairSaliency,
    SiameseModel,
    auto,
    calibrate,
    compare,
    measure,
)
from xsiamese.cli import main
from xsiamese.data.planted import planted
from xsiamese.metrics.catalogue import made
from xsiamese.metrics.measure import batch_of
from xsiamese.metrics.metric import number
from xsiamese.model.comparison import Learned
from xsiamese.zoo import shipped
from xsiamese.zoo.backbones import backbone_features

ROWS = SiameseModel(nn.Linear(3, 2), "euclidean")
A, B = torch.rand(4, 3), torch.rand(4, 3)
SALIENCY = PairSaliency(ROWS)
CHOICE = auto(ROWS)  # which tries the model
PAIRS = planted("patches", 4)
PATCHES = PairSaliency(shipped("planted-patches").model)


@pytest.fixture
def passes() -> Iterator[list[nn.Module]]:
    """Every module that is called."""
    seen: list[nn.Module] = []
    hook = nn.modules.module.register_module_forward_pre_hook(lambda module, _: seen.append(module))
    yield seen
    hook.remove()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("x.png", "y.png", "cls/p/0.png", "cls/q/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GREY).save(tmp_path / name)
    (tmp_path / "pairs.csv").write_text("a,b\nx.png,y.png\n")
    rows = "".join(f"{i},{i % 7},{'pq'[i % 2]}\n" for i in range(20))
    (tmp_path / "table.csv").write_text(f"u,v,t\n{rows}")
    (tmp_path / "smiles.csv").write_text("smiles,y\nCC,0\nCO,1\n")
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "c.yml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


JOB, EVALUATE = "explain-pairs pairs.csv -o out", "evaluate --pairs pairs.csv --methods saliency --metrics gini -o out"
TRAIN, TABLE = "train siamese-contrastive cls --epochs 1", "train siamese-mlp table.csv --target t --epochs 1"
COMMANDS = {
    "explain-pairs pairs.csv -o file/x": "is a file, and a job is a folder",
    "explain-pairs pairs.csv -o full": "holds other files and no job",
    "explain-pairs pairs.csv -o ''": "names no file and no folder",
    f"{JOB} --workers 0": "workers=0: a whole number from 1 on",
    f"{JOB} --threads 100000": "threads=100000: a whole number from 1 to",  # torch ended the process
    f"{JOB} --unit 1.5": "'1.5' is no whole number",
    f"{JOB} --device nope": "--device nope: it is none of",
    f"{JOB} --seed {2**70}": "seed=1180591620717411303424: a whole number from 0 to",
    f"{JOB} --size 64": "--size 64: the model fashion says itself that its images are 28 x 28",
    f"{JOB} --columns a,a": "both items would be the same",
    f"{JOB} --method saliency --budget fast": "--budget fast is for the choice of a method",
    "explain x.png y.png --method saliency --budget thorough": "--budget thorough is for the choice",
    "explain x.png y.png --size 64": "says itself that its images are 28 x 28",
    "explain x.png y.png --target 1.5": "'1.5' is no whole number",
    "explain x.png y.png --target 5": "target=5 picks one of several outputs, and this model gives one score a pair",
    f"explain x.png y.png --seed {2**70}": "a whole number from 0 to",
    "explain x.png y.png --method gradcam --layer=": "no layer is called ''",
    "explain x.png y.png --layer=": "no layer is called ''",
    f"{JOB} --method gradcam --layer=": "no layer is called ''",
    "evaluate --pairs pairs.csv --methods gradcam --metrics gini -o out --layer=": "no layer is called ''",
    "explain x.png y.png --method integrated_gradients --baselines ,": "'' names no item",
    f"{EVALUATE} --count 0": "count=0: a whole number from 1 on",
    f"{EVALUATE} --count -2": "count=-2: a whole number from 1 on",
    f"{EVALUATE} --seed -1": "seed=-1",
    f"{EVALUATE} --layer 3": "none of these does: leave it out",
    "evaluate --pairs pairs.csv --methods gradcam --layer nope -o out": "no layer is called 'nope'",
    "evaluate --pairs pairs.csv --methods token_matrix -o out": "PairTokenMatrix",
    "evaluate --pairs pairs.csv --methods saliency --metrics auroc -o out": "auroc needs truth",
    "evaluate --pairs pairs.csv --methods , -o out": "--methods ',' names nothing",
    "evaluate --pairs planted:words -o out": "--pairs planted:words are texts, and the model fashion takes images",
    "evaluate --pairs planted:words --model planted-rows -o out": "and the model planted-rows takes rows of a table",
    f"{TRAIN} --lr inf": "lr=inf: a positive number",
    "train siamese-contrastive cls --epochs 1.5": "'1.5' is no whole number",
    f"{TRAIN} --weight-decay -1": "weight_decay=-1.0: a number from 0 on",
    f"{TRAIN} --same-label 7": "same_label='7' is for a table of pairs",
    f"{TRAIN} --layers 3": "takes no layers",
    f"{TRAIN} --data full": "--data full is where a named set lies",
    f"{TRAIN} --device cpu --devices -1": "is for GPUs",
    f"{TRAIN} --device cpu --precision 16-mixed": "is for GPUs",
    "train --config c.yml --lr 0.1": "--config says all of a training: leave --lr out",
    f"{TABLE} --close 0.5": "close=0.5 is for targets that are numbers",
    f"{TABLE} --without t": "without='t': this is the target",
    f"{TABLE} --paired-augmentation": "augmentation is for images",
    f"{TABLE} --same-label 0": "same_label='0' is for a table of pairs",
    f"{TABLE} --size 28": "size=28 is for images",
    "train siamese-gcn smiles.csv --by folder": "by='folder' has no meaning for a table of SMILES",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_it_first(
    command: str,
    here: Path,
    passes: list[nn.Module],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["xsiamese", *(word.strip("'") for word in command.split(" "))])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capsys.readouterr().err.strip().split("\n")[-1]
    assert ended.value.code == 2
    assert COMMANDS[command] in err
    assert err.startswith("xsiamese: ")
    assert "bug" not in err
    layered = "--layer nope" in command or command.endswith(
        "--layer="
    )  # which layers there are is seen by calling the model once
    assert layered or not passes
    assert not (here / "out").exists()


def job(**options: Any) -> Any:
    from xsiamese.jobs.job import explain_pairs

    return explain_pairs(options.pop("pairs", [(0, 1)]), "out", options.pop("by", SALIENCY), items=A, **options)


CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "job precision": (lambda: job(precision="quarter"), "precision='quarter'"),
    "job workers": (lambda: job(workers=1.5), "workers=1.5"),
    "job shard": (lambda: job(shard=3), "shard=3: a text or None"),
    "job method": (lambda: job(method="saliency"), "method='saliency' is for an explainer by name"),
    "job columns": (lambda: job(columns=("a", "b")), "are of a file"),
    "job ids": (lambda: job(ids=[("a", "b")]), "ids= is the job's own"),
    "job class": (lambda: job(by=PairGradCAM), "PairGradCAM is a class"),
    "job model": (lambda: job(by=ROWS), "is no explainer"),
    "job row": (lambda: job(pairs=[(0, 9)]), "none of the first 1 pairs"),
    "gallery model": (lambda: Gallery(ROWS, A), "is no explainer"),  # type: ignore[arg-type]
    "gallery choice": (lambda: Gallery(CHOICE, A), "give its .explainer"),  # type: ignore[arg-type]
    "gallery ids": (lambda: Gallery(SALIENCY, A, ids="xxyz"), "two items have the id 'x'"),
    "gallery folder": (lambda: Gallery(SALIENCY, A, folder="file"), "is a file"),
    "weights": (lambda: backbone_features("MobileNet", "nope"), "weights='nope': mobilenet_v2 has IMAGENET1K_V1"),
    "far": (lambda: calibrate(ROWS, A, B, torch.tensor([1, 0, 1, 0]), far=0.3), "far=0.3 is for method='far'"),
    "labels": (lambda: calibrate(ROWS, A, B, None), "same=None: True or False"),  # type: ignore[arg-type]
    "target": (lambda: SALIENCY.explain((A, B), target=[0] * 4), "gives one score a pair, its euclidean: leave it out"),
    "target of a head": (
        lambda: PairSaliency(SiameseModel(nn.Linear(3, 2), Learned(nn.Linear(2, 1)))).explain((A, B), target=0),
        "gives one score a pair, its learned: leave it out",
    ),
    "measure model": (lambda: measure(ROWS, (A, B)), "is no explainer"),  # type: ignore[arg-type]
    "measure nothing": (lambda: measure(SALIENCY, (A[:0], B[:0])), "holds no pair"),
    "no metric": (lambda: measure(SALIENCY, (A, B), []), "no metric is named"),
    "a number": (lambda: measure(SALIENCY, (A, B), 3), "3 is no metric"),  # type: ignore[arg-type]
    "truth": (lambda: measure(PATCHES, PAIRS.inputs, "auroc", truth=3), "truth=3: two tensors"),  # type: ignore[arg-type]
    "few truths": (
        lambda: measure(PATCHES, PAIRS.inputs, "auroc", truth=(PAIRS.truth[0][:2], PAIRS.truth[1][:2])), "for 4 pairs"
    ),
    "one class": (
        lambda: measure(PATCHES, PAIRS.inputs, "auroc", truth=(torch.ones(4, 32, 32),) * 2), "units of two kinds"
    ),
    "NaN truth": (
        lambda: measure(PATCHES, PAIRS.inputs, "auroc", truth=(torch.full((4, 32, 32), torch.nan),) * 2), "holds NaN"
    ),
    "one label": (
        lambda: measure(PATCHES, PAIRS.inputs, "verification_deletion", labels=[1, 1, 1, 1]), "all pairs have one label"
    ),
    "odd labels": (
        lambda: measure(PATCHES, PAIRS.inputs, "verification_deletion", labels=[1, 0, 2, 3]), "other values than 0"
    ),
    "partner truth": (
        lambda: measure(PATCHES, PAIRS.inputs, "partner_sensitivity", truth=PAIRS.truth, partners=PAIRS.others),
        "needs partner_truth=",
    ),
}  # fmt: skip


def test_an_output_of_a_head_of_several_can_be_picked() -> None:
    several = SiameseModel(nn.Linear(3, 2), Learned(nn.Linear(2, 5)))
    second = PairSaliency(several).explain((A, B), target=1)
    other = PairSaliency(several).explain((A, B), target=lambda output: output[:, 1])
    assert torch.equal(second.maps[0], other.maps[0])
    with pytest.raises(ValueError, match=r"target=7 does not fit the model's output, \(4, 5\)"):
        PairSaliency(several).explain((A, B), target=7)


@pytest.mark.parametrize("name", CALLS)
def test_python_says_it_first(name: str, here: Path, passes: list[nn.Module]) -> None:
    call, said = CALLS[name]
    with pytest.raises((ValueError, TypeError)) as told:
        call()
    assert said in str(told.value)
    assert not passes
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nope": 3}, "plot_rows has no option 'nope'; it has columns, texts"),
        ({"most": 0}, "most=0"),
        ({"columns": 3}, "columns=3"),
        ({"title": 3}, "title=3"),
    ],
)
def test_a_picture_says_what_it_cannot_draw(options: dict[str, Any], said: str) -> None:
    explanation = SALIENCY.explain((A, B))
    with pytest.raises((ValueError, TypeError), match=said):
        explanation.plot(**options)
    with pytest.raises(ValueError, match=r"quantile=2: a share in \[0, 1\]"):
        compare([explanation], quantile=2)
    with pytest.raises(IndexError, match="there is no pair 9"):
        compare([explanation], pair=9)
    with pytest.raises(TypeError, match="a list of explanations"):
        compare(explanation)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there is no folder"):
        explanation.plot().savefig("/nowhere/at/all.png")


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("metric", ["average_drop", "average_increase"])
def test_maps_that_keep_nothing_are_not_the_best(metric: str, value: float) -> None:
    """Two items of which nothing is kept are equal, so that the score of a map that says nothing rose."""
    explanation = PATCHES.explain(PAIRS.inputs)
    first, second = explanation.maps
    flat = replace(explanation, maps=(torch.full_like(first, value), torch.full_like(second, value)))
    batch = batch_of(PATCHES, PAIRS.inputs)
    assert bool(number(made(metric).compute(batch, flat)).isnan().all())
    whole = replace(explanation, maps=(torch.ones_like(first), torch.ones_like(second)))
    assert number(made(metric).compute(batch, whole)).tolist() == [0.0] * 4  # all is kept: the score stays


def test_a_metric_of_matrices_beside_a_method_without_is_told_before_the_model_is_asked() -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("the model was asked")

    pairs, truth = (torch.rand(2, 3), torch.rand(2, 3)), (torch.eye(2, 3), torch.eye(2, 3))
    for name in ("matrix_hit", "matrix_auroc", "one_to_one", "block_fit"):
        with pytest.raises(ValueError, match=rf"^{name} needs matrix.*: an explainer that gives one"):
            measure(PairSaliency(SiameseModel(Never(), "dot")), pairs, [name], truth=truth)
    found = measure(PairInteraction(SiameseModel(nn.Linear(3, 3), "dot")), pairs, ["matrix_auroc"], truth=truth)
    assert 0 <= found["matrix_auroc"].mean <= 1
