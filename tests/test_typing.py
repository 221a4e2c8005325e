"""What type checkers and ``import *`` see of the library."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import xsiamese

ROOT = Path(__file__).parents[1]
SCRIPT = """\
import torch
from xsiamese import Counterfactual, InvarianceLearner, PairIntegratedGradients, PairRegionSwap, SiameseModel

pair = torch.rand(2, 4), torch.rand(2, 4)
explainer = PairIntegratedGradients(SiameseModel(torch.nn.Identity(), "dot"))
map_a, map_b = explainer.attribute(pair, n_steps=5, wrt="first")
maps, delta = explainer.attribute(pair, return_convergence_delta=True)
reveal_type(map_a)
reveal_type(delta)
reveal_type(explainer.explain(pair))
reveal_type(PairRegionSwap)
reveal_type(Counterfactual)
reveal_type(InvarianceLearner)
explainer.attribute(pair, nsteps=5)
explainer.explain(pair, nsteps=5)
explainer.attribute(pair, wrt="a")
"""


def test_the_stub_is_current() -> None:
    spec = importlib.util.spec_from_file_location("stub", ROOT / "tools" / "stub.py")
    if spec is None or spec.loader is None or not (ROOT / "tools" / "stub.py").exists():
        pytest.skip("tools/stub.py is not in this checkout")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert (ROOT / "xsiamese" / "__init__.pyi").read_text(encoding="utf-8") == tool.stub(), "run python tools/stub.py"


SETTINGS = """\
[mypy]
follow_imports = silent
[mypy-torch._dynamo.*,torch._inductor.*,torch.distributed.*,torch.export.*,torch.fx.*,torch.onnx.*,sympy.*,captum.*]
follow_imports = skip
"""


@pytest.mark.slow
def test_a_user_s_script_is_checked(tmp_path: Path) -> None:
    """A misspelt option and a side that is none are errors, in their lines and nowhere else; nothing public is Any."""
    pytest.importorskip("mypy", reason='pip install "xsiamese[test]"')
    (tmp_path / "script.py").write_text(SCRIPT)
    # what the library imports is its own business: only its stub is looked at, and of torch what a script sees of it
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    asked = [sys.executable, "-m", "mypy", "--no-incremental", "--config-file=mypy.ini", "script.py"]
    path = {"MYPYPATH": f"{ROOT}:{ROOT / 'plugins'}", "PATH": "", "PYTHONPATH": ""}
    told = subprocess.run(asked, cwd=tmp_path, env=path, capture_output=True, text=True, check=False).stdout
    lines = [line.partition("script.py:")[2] for line in told.splitlines() if line.startswith("script.py:")]
    wrong = {int(line.split(":")[0]) for line in lines if " error:" in line}
    assert wrong == {14, 15, 16}, told
    revealed = [line.partition('Revealed type is "')[2].rstrip('"') for line in lines if "Revealed" in line]
    assert len(revealed) == 6, told
    assert all("Any" not in kind.partition("return")[0][:4] for kind in revealed), revealed
    assert revealed[0].endswith("Tensor")
    assert revealed[1].endswith("Tensor")
    assert revealed[2].endswith("PairExplanation")


@pytest.mark.slow
def test_pyright_finds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("pyright", reason='pip install "xsiamese[dev]"')
    (tmp_path / "script.py").write_text(SCRIPT)
    asked = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "script.py"]
    told = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    found = json.loads(told)["generalDiagnostics"]
    wrong = {one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"}
    assert wrong == {14, 15, 16}, told


def test_star_brings_the_explainers_and_dir_shows_public_names_only() -> None:
    brought: dict[str, object] = {}
    exec("from xsiamese import *", brought)
    brought.pop("__builtins__")
    assert set(xsiamese.explainers()) | {"SiameseModel", "PairExplanation", "hookimpl"} <= set(brought)
    assert sorted(brought) == dir(xsiamese)
    assert not {"Any", "annotations", "import_module", "find_spec", "moved", "ON_DEMAND"} & set(brought)
