"""``xsiamese train`` and the config.yml of Grad_CAM_Siamese."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.figures import bars, write_folders
from xsiamese.cli import app
from xsiamese.training.config import read_config, settings_from
from xsiamese.zoo import open_model

THEIRS = """
data_path: 'Data/Flowers'
number_of_iterations: 1
# Model name
backbone_model: 'ResNet50' # MobileNet, ResNet50
pretrained: True
checkpoints_path: 'checkpoints/Flowers'
test_size: 0.1
valid_size: 0.1
image:
    size: [320, 320]
    normalization:
        mean: [0.485, 0.456, 0.406]
        std: [0.229, 0.224, 0.225]
    Channels: 3
    HorizontalFlip: 0.5
    VerticalFlip: 0.5
    RandomRotationDegrees: 45
    brightness: 0.0
    contrast: 0.0
    saturation: 0.0
    hue: 0.0
hyperparameters:
    epochs: 100
    verbose: True
    batch_size: 4
    num_workers: 0
    optimizer: 'Adam'
    learning_rate: 5e-6
    weight_decay: 0.01
    momentum: 0.9
    nesterov: False
    max_norm: 1.0
early_stopping:
    patience: 25
    min_delta: 0.00000001
LRScheduler:
    patience: 15
    min_lr:  0.00000001
    factor: 0.5
    verbose: True
seed: 42
cuda: True
gpu: 0
"""


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "bars", bars(60, channels=3))


def call(*words: str) -> None:
    app(words, result_action="return_value")


def test_their_config_is_read_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(THEIRS)
    settings, _ = settings_from(read_config(path))
    assert (settings.network, settings.dataset, settings.output) == (
        "livieris",
        "Data/Flowers",
        Path("checkpoints/Flowers"),
    )
    recipe = settings.recipe
    assert (recipe.lr, recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.schedule) == (
        5e-6,
        100,
        4,
        "Adam",
        "plateau",
    )
    assert dict(recipe.options) == {"weight_decay": 0.01}
    assert settings.arguments == {"backbone": "ResNet50", "weights": "DEFAULT"}
    assert (settings.patience, settings.min_delta, settings.clip, settings.seed) == (25, 1e-8, 1.0, 42)
    assert settings.plateau == {"patience": 15, "factor": 0.5, "min_lr": 1e-8}
    assert settings.pixels.size == (320, 320)
    assert recipe.augment is not None
    assert (recipe.augment.horizontal, recipe.augment.vertical, recipe.augment.degrees) == (0.5, 0.5, 45)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("    epochs: 100", "    epochs: many", r"hyperparameters\.epochs='many'"),
        ("    epochs: 100", "    epoch: 100", r"hyperparameters\.epoch is no key; did you mean epochs"),
        ("backbone_model", "backbone", r"backbone is no key; did you mean backbone_model"),
        ("data_path: 'Data/Flowers'", "", r"the key data_path is missing"),
        ("    optimizer: 'Adam'", "    optimizer: 'Adagrad'", r"hyperparameters\.optimizer='Adagrad'.*SGD"),
        ("    HorizontalFlip: 0.5", "    HorizontalFlip: 2", r"image\.HorizontalFlip=2"),
        ("    size: [320, 320]", "    size: 320", r"image\.size=320"),
        ("test_size: 0.1", "test_size: 1.5", r"test_size=1\.5"),
        ("    Channels: 3", "    Channels: 1", r"3 means and 3 stds for image\.Channels=1"),
        ("seed: 42", "seed: [", r"is not YAML"),
    ],
)
def test_a_bad_key_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "config.yml"
    assert old in THEIRS
    path.write_text(THEIRS.replace(old, new, 1))
    with pytest.raises(ValueError, match=told) as caught:
        settings_from(read_config(path))
    assert "\n" not in str(caught.value)
    path.write_text("- data_path\n- backbone_model\n")
    with pytest.raises(ValueError, match=r"config\.yml holds list: keys and values are needed \(data_path, "):
        read_config(path)


def test_momentum_goes_with_their_stochastic_gradient_descent(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(
        THEIRS.replace("optimizer: 'Adam'", "optimizer: 'SGD'").replace("nesterov: False", "nesterov: True")
    )
    options = dict(settings_from(read_config(path))[0].recipe.options)
    assert options == {"weight_decay": 0.01, "momentum": 0.9, "nesterov": True}
    with pytest.raises(ValueError, match=r"^--config names the network and the data: leave 'livieris' out$"):
        call("train", "livieris", "--config", str(path))


def test_a_config_trains(tmp_path: Path, folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content: dict[str, Any] = yaml.safe_load(THEIRS)
    content |= {
        "data_path": str(folders),
        "backbone_model": "resnet18",
        "pretrained": False,
        "checkpoints_path": str(tmp_path / "out"),
        "cuda": False,
    }
    content["image"]["size"] = [32, 32]
    content["hyperparameters"] |= {"epochs": 1, "verbose": False, "learning_rate": 1e-3}
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(content))
    call("train", "--config", str(path))
    written = tmp_path / "out" / "livieris-bars.safetensors"
    assert f"written {written}" in capsys.readouterr().out
    opened = open_model(str(written))
    assert opened.preprocessing.size == (32, 32)
    image = opened.read(next((folders / "a").iterdir()))
    assert image.shape == (1, 3, 32, 32)


def test_the_command_of_siamese_networks_and_friends(
    tmp_path: Path, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tmp"
    words = ["--lr", "0.001", "--epochs", "2", "--batch-size", "8", "--log-interval", "50", "--animation"]
    call("train", "tripet-loss-net", str(folders), *words, "--output", str(out))
    stem = "triplet-loss-net-bars"
    names = {path.name for path in out.iterdir() if path.is_file()}
    assert names == {
        f"{stem}{end}"
        for end in (
            ".safetensors",
            "-metrics.json",
            "-metrics.txt",
            "-stats.png",
            "-training-set-embedding.png",
            "-testing-set-embedding.png",
            "-latent-space-development.gif",
        )
    }
    assert "roc auc" in capsys.readouterr().out
    first = open_model(str(out / f"{stem}.safetensors"))
    assert first.model.comparison.threshold_ is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("siamese-contrastiv", "MNIST"), "did you mean 'siamese-contrastive'"),
        (("siamese-contrastive", "MNISTT"), "did you mean MNIST"),
        (("siamese-contrastive",), "a network and a data set are needed"),
        (("livieris", ".", "--backbone", "resnet1"), "did you mean|holds no"),
        (("koch", "Omniglot", "--size", "28"), "105 x 105 only"),
        (("vae", "MNIST", "--patience", "0"), "patience=0"),
    ],
)
def test_bad_words_are_told(words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=told):
        call("train", *words)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("command", ["train siamese-mlp t.csv --target t --epochs 1 --device cpu -o run",
                                     "evaluate --pairs planted:rows --model planted-rows --methods saliency "
                                     "--metrics gini --count 4 -o report",
                                     "explain-pairs p.csv --method saliency -o job"])  # fmt: skip
def test_a_bar_is_for_people_and_never_among_results(
    command: str,
    terminal: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if command.startswith("explain-pairs"):
        pytest.importorskip("zarr", reason='pip install "xsiamese[jobs]"')
    monkeypatch.chdir(tmp_path)
    write_folders(tmp_path, bars(2, 2))
    first, second = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*.png"))
    Path("p.csv").write_text(f"a,b\n{first},{second}\n")
    Path("t.csv").write_text("u,v,t\n" + "".join(f"{i},{i % 7},{'pq'[i % 2]}\n" for i in range(40)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with pytest.raises(SystemExit) as ended:
        app(command.split())
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    assert "it/s" not in said.out
    assert "%|" not in said.out
    assert ("%|" in said.err) == terminal
