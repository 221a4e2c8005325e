"""Breaks a module on purpose, one small fault at a time, and says which faults no test sees.

    python tools/mutants.py xsiamese/branches/lock.py tests/test_state.py --sample 20

Each fault is made in a copy of the tree, so that the work in the tree goes on.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", type=Path)
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--sample", type=int, default=0, help="how many faults are drawn (with seed 0); 0 takes all")
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a fault counts as seen")
    asked = parser.parse_args()
    todo = mutants((ROOT / asked.module).read_text())
    if asked.sample:
        todo = sorted(random.Random(0).sample(todo, min(asked.sample, len(todo))))
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in ("xsiamese", "plugins", "tests", "tools", "pyproject.toml"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, Path(folder, name))
        paths = os.pathsep.join([folder, str(Path(folder, "plugins"))])
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *asked.tests]

        def seen() -> bool:
            try:
                return subprocess.run(
                    command, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, capture_output=True,
                    timeout=asked.timeout, check=False,
                ).returncode != 0  # fmt: skip
            except subprocess.TimeoutExpired:
                return True

        if seen():
            sys.exit(f"the tests fail or time out without any fault: {' '.join(asked.tests)}")
        for line, said, broken in tqdm(todo, unit="fault"):
            Path(folder, asked.module).write_text(broken)
            if seen():
                killed += 1
            else:
                tqdm.write(f"survived  {asked.module}:{line}  {said}")
    print(f"{asked.module}: {killed} of {len(todo)} killed")


if __name__ == "__main__":
    main()
