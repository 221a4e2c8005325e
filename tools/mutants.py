"""Breaks a module on purpose, one small fault at a time, and says which faults no test sees.

    python tools/mutants.py xsiamese/branches/lock.py tests/test_state.py --sample 20

Each fault is made in a copy of the tree, so that the work in the tree goes on.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
    ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin", "sum": "mean", "mean": "sum"}


def faults(node: ast.AST) -> Iterator[ast.AST]:
    """The node with one small fault each."""
    changed = copy.deepcopy(node)
    match changed:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            changed.op = SWAPS[type(op)]()  # type: ignore[assignment]
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            changed.ops = [SWAPS[type(op)]()]  # type: ignore[list-item]
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            changed = operand
        case ast.Constant(value=bool(value)):
            changed.value = not value
        case ast.Constant(value=int(value)):
            changed.value = value + 1
        case ast.Attribute(attr=name) if name in NAMES:
            changed.attr = NAMES[name]
        case ast.Name(id=name) if name in NAMES:
            changed.id = NAMES[name]
        case ast.Expr(value=ast.Call()):
            changed = ast.Pass()
        case _:
            return
    yield changed


class _Put(ast.NodeTransformer):
    def __init__(self, number: int, fault: ast.AST) -> None:
        self.left, self.fault = number, fault

    def visit(self, node: ast.AST) -> ast.AST:
        self.left -= 1
        return self.fault if self.left == -1 else super().generic_visit(node)


def mutants(source: str) -> list[tuple[int, str, str]]:
    """For each fault its line, the statement as it was and is, and the whole module with it."""
    tree = ast.parse(source)
    order: list[ast.AST] = []

    class Count(ast.NodeVisitor):
        def visit(self, node: ast.AST) -> None:
            order.append(node)
            self.generic_visit(node)

    Count().visit(tree)
    found = []
    for number, node in enumerate(order):
        for fault in faults(node):
            broken = ast.unparse(ast.fix_missing_locations(_Put(number, fault).visit(copy.deepcopy(tree))))
            said = f"{ast.unparse(node)}  ->  {ast.unparse(fault)}"
            found.append((getattr(node, "lineno", 0), said, broken))
    return found


def preloaded() -> None:
    """Imports what every run needs and no fault is in, once: a run is a fork of this process."""
    for name in ("torch", "captum.attr", "matplotlib.pyplot", "torch_geometric.data", "hypothesis", "pluggy"):
        with contextlib.suppress(ImportError):
            import_module(name)


def seen(folder: str, tests: list[str], timeout: float) -> bool:
    """Whether the tests fail, or do not end, in the tree of a folder."""
    child = os.fork()
    if not child:
        with open(os.devnull, "w") as nowhere:
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)
        os.setsid()
        os.chdir(folder)
        sys.path[:0] = [folder, str(Path(folder, "plugins"))]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])  # for the processes that tests start
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", type=Path)
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--sample", type=int, default=0, help="how many faults are drawn (with seed 0); 0 takes all")
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a fault counts as seen")
    parser.add_argument("--kept", type=Path, help="a JSON file to keep the count in, by module")
    asked = parser.parse_args()
    todo = mutants((ROOT / asked.module).read_text())
    if asked.sample:
        todo = sorted(random.Random(0).sample(todo, min(asked.sample, len(todo))))
    killed, survived = 0, list[str]()
    preloaded()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("xsiamese", "plugins", "tests", "tools", "pyproject.toml"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, Path(folder, name))
        if seen(folder, asked.tests, 4 * asked.timeout):
            sys.exit(f"the tests fail or time out without any fault: {' '.join(asked.tests)}")
        for line, said, broken in tqdm(todo, unit="fault"):
            Path(folder, asked.module).write_text(broken)
            if seen(folder, asked.tests, asked.timeout):
                killed += 1
            else:
                survived.append(f"{line}: {said}")
                tqdm.write(f"survived  {asked.module}:{line}  {said}")
    print(f"{asked.module}: {killed} of {len(todo)} killed")
    if asked.kept:
        found = json.loads(asked.kept.read_text()) if asked.kept.exists() else {}
        found[str(asked.module)] = {"tried": len(todo), "killed": killed, "survived": survived, "tests": asked.tests}
        asked.kept.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
