"""Without an optional package, whatever needs it says in one line which extra brings it, and nothing else breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BEGIN = """
from pathlib import Path
import torch
from torch import nn
import xsiamese
from xsiamese import SiameseModel
from xsiamese.data import fashion_pair
from xsiamese.zoo import open_model, shipped
row = torch.rand(1, 3), torch.rand(1, 3)
model = SiameseModel(nn.Linear(3, 2))

def folder(name):  # as one of the libraries of texts saves a model
    from pathlib import Path
    Path(name).write_text("{}")
    return "."
"""
TRAIN = """
from pathlib import Path
from xsiamese.training.run import train
from xsiamese.training.settings import Settings
train(Settings("small", "MNIST", data=Path("nowhere"), output=Path("nowhere")))
"""
GRAPH = "from xsiamese.data.molecules import molecule; molecule('CCO')"
# what is not there, what somebody does, and the extra that the line must name
CASES: list[tuple[str, str, str]] = [
    ("PIL", "open_model('fashion').read('a.png')", "image"),
    ("torchvision", "from xsiamese.zoo import find_card; find_card('livieris').build(backbone='resnet18')", "image"),
    ("matplotlib", "xsiamese.PairGradCAM(shipped('fashion').model).explain(fashion_pair()).plot()", "plot"),
    ("matplotlib", "xsiamese.PairSaliency(model).explain(row).plot()", "plot"),
    ("matplotlib", "xsiamese.PairInteraction(model).explain(row).plot()", "plot"),
    ("matplotlib", "e = xsiamese.PairSaliency(model).explain(row); xsiamese.compare([e, e])", "plot"),
    ("matplotlib", "from xsiamese.cli.demo import demo; demo()", "plot"),
    ("matplotlib", "from xsiamese.cli.explain import _drawn; _drawn([Path('x.png')], None, None)", "plot"),
    ("matplotlib", "f = xsiamese.PairRegionSwap(shipped('fashion').model).explain(fashion_pair()).plot()", "plot"),
    ("skimage", "xsiamese.superpixels(fashion_pair()[0])", "superpixels"),
    (
        "skimage",
        "xsiamese.PairSaliency(shipped('fashion').model).explain(fashion_pair()).plot(superpixels=9)",
        "superpixels",
    ),
    ("lightning", TRAIN, "train"),
    ("torchmetrics", TRAIN, "train"),
    ("sklearn", TRAIN, "train"),
    ("filelock", TRAIN, "train"),
    ("timm", "from xsiamese.zoo import find_card; find_card('livieris').build(backbone='timm/resnet18')", "train"),
    ("pydantic", "from xsiamese.training.config import read_config; read_config('config.yml')", "train"),
    ("yaml", "from xsiamese.training.config import read_config; read_config('config.yml')", "train"),
    ("sklearn", "xsiamese.PairLime(model).explain(row)", "lime"),
    ("sklearn", "xsiamese.PairKernelShap(model).explain(row)", "lime"),
    ("torch_geometric", GRAPH, "graph"),
    ("rdkit", GRAPH, "graph"),
    ("transformers", "open_model(folder('config.json'))", "text"),
    ("sentence_transformers", "open_model(folder('modules.json'))", "text"),
    ("zarr", "xsiamese.explain_pairs", "jobs"),
    ("pyarrow", "xsiamese.explain_pairs", "jobs"),
]
FORKED = '''
import importlib.machinery, json, os, sys

class Without:
    """The finders that there are, without one package: it is then as if it had never been installed."""
    def __init__(self, name, finders):
        self.name, self.finders = name, finders
    def find_spec(self, full, path=None, target=None):
        if full.partition(".")[0] == self.name:
            return None
        for finder in self.finders:
            if (found := finder.find_spec(full, path, target)) is not None:
                return found
        return None
    def find_distributions(self, *context):
        for finder in self.finders:
            yield from getattr(finder, "find_distributions", lambda *_: ())(*context)

exec(sys.argv[1])
for missing, code, _ in json.loads(sys.argv[2]):
    end, begin = os.pipe()
    if os.fork() == 0:
        sys.meta_path[:] = [Without(missing, list(sys.meta_path))]
        for name in [n for n in sys.modules if n.partition(".")[0] == missing]:
            del sys.modules[name]
        try:
            exec(code)
            told = None
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(begin, json.dumps(told).encode())
        os._exit(0)
    os.close(begin)
    with os.fdopen(end) as answer:
        print(answer.read(), flush=True)
    os.wait()
'''


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each case ended with; one interpreter that forks, so that torch is loaded once."""
    folder: Path = tmp_path_factory.mktemp("missing")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, BEGIN, json.dumps(CASES)],
        capture_output=True, text=True, check=False, cwd=folder, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith(("null", '"'))]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{name}-{i}" for i, (name, *_) in enumerate(CASES)])
def test_what_is_missing_is_one_line_with_its_extra(told: list[Any], number: int) -> None:
    missing, code, extra = CASES[number]
    line = told[number]
    assert line is not None, f"{code} does not notice that {missing} is missing"
    assert line.startswith("ImportError: "), line
    assert f'pip install "xsiamese[{extra}]"' in line
    assert "\n" not in line
