"""Breaks the code on purpose, one small fault at a time, and says which faults no test sees.

    python tools/mutants.py model branches --sample 20
    python tools/mutants.py xsiamese/branches/lock.py --tests state

Rooms, the tests that belong to each module and the faults that change nothing are in ``mutants.toml``. Each fault is
made in a copy of the tree, so that the work in the tree goes on.
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
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
    ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin", "sum": "mean", "mean": "sum"}
SILENT = {"stacklevel", "strict"}  # where a warning points to, and a check of what never is: no result hangs on them


Counts = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One small fault: a node, counted in the order of ``ast.walk``, and what stands in its place."""

    module: str
    number: int
    line: int
    said: str
    broken: ast.AST

    def source(self) -> str:
        """The whole module with the fault."""
        tree = ast.parse((ROOT / self.module).read_text())
        old = next(node for number, node in enumerate(ast.walk(tree)) if number == self.number)

        class Put(ast.NodeTransformer):
            def visit(put, node: ast.AST) -> ast.AST:
                return self.broken if node is old else put.generic_visit(node)

        return ast.unparse(ast.fix_missing_locations(Put().visit(tree)))


def broken(node: ast.AST) -> ast.AST | None:
    """The node with one small fault, or None where it has no place for one."""
    changed = copy.copy(node)
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
            return None
    return changed


def _passed_by(node: ast.AST) -> list[ast.AST]:
    """The children in which a fault says nothing: decorators, annotations, arguments of no effect."""
    match node:
        case ast.ClassDef(decorator_list=found):
            return [*found]
        case ast.FunctionDef(decorator_list=found, returns=returns):
            return [*found, *([returns] if returns else [])]
        case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation) if annotation:
            return [annotation]
        case ast.keyword(arg=name) if name in SILENT:
            return [node.value]
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
            return [*body]
    return []


def faults(module: str) -> list[Fault]:
    """All faults of a module, named by its path from the root."""
    tree, passed, found = ast.parse((ROOT / module).read_text()), set[int](), list[Fault]()
    for number, node in enumerate(ast.walk(tree)):  # parents come before their children
        if id(node) in passed:
            passed.update(map(id, ast.iter_child_nodes(node)))
            continue
        passed.update(map(id, _passed_by(node)))
        if (fault := broken(node)) is not None:
            line = getattr(node, "lineno", 0)
            found.append(Fault(module, number, line, f"{ast.unparse(node)}  ->  {ast.unparse(fault)}", fault))
    return found


def preloaded(names: Sequence[str]) -> None:
    """Imports what every run needs and no fault is in, once: a run is a fork of this process."""
    for name in names:
        if name.split(".")[0] not in sys.modules:
            with contextlib.suppress(Exception):
                import_module(name)


class _Foreign:
    """Tells which packages a run of tests has imported that are not of this tree."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def pytest_unconfigure(self) -> None:
        own = ("xsiamese", "tests", "conftest", "_pytest", "pytest", "__", "tools")
        names = {name.split(".")[0] for name in sys.modules}
        self.file.write_text("\n".join(sorted(name for name in names if not name.startswith(own))))


def seen(folder: str, tests: Sequence[str], timeout: float, note: Path | None = None) -> bool:
    """Whether the tests fail, or do not end, in the tree of a folder."""
    child = os.fork()
    if not child:
        with open(os.devnull, "w") as nowhere:
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and we did
        os.chdir(folder)
        sys.path[:0] = [folder, str(Path(folder, "plugins"))]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])  # for the processes that tests start
        files = [f"tests/test_{name}.py" for name in tests]
        asked = ["-x", "-q", "-p", "no:cacheprovider", *files]
        os._exit(int(pytest.main(asked, [_Foreign(note)] if note else [])))
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


@contextlib.contextmanager
def copied() -> Iterator[str]:
    """A copy of the tree."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("xsiamese", "plugins", "tests", "tools", "pyproject.toml"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, Path(folder, name))
        yield folder


def counted(todo: Sequence[Fault], tests: Mapping[str, Sequence[str]], same: Mapping[str, str], limit: float) -> Counts:
    """Tries faults: how many there were, were seen by a test, and change nothing."""
    killed, survived, equivalent = 0, list[str](), list[str]()
    preloaded(("torch", "captum.attr", "matplotlib.pyplot", "torch_geometric.data", "hypothesis", "pluggy"))
    checked = set[tuple[str, ...]]()
    with copied() as folder:
        for fault in tqdm(todo, unit="fault"):
            name, mine = f"{fault.module}: {fault.said}", tuple(tests[fault.module])
            if name in same:
                equivalent.append(name)
                continue
            if mine not in checked:
                note = Path(folder, "foreign")
                if seen(folder, mine, 4 * limit, note):
                    sys.exit(f"the tests fail or time out without any fault: {' '.join(mine)}")
                preloaded(note.read_text().split())
                checked.add(mine)
            path = Path(folder, fault.module)
            path.write_text(fault.source())
            if seen(folder, mine, limit):
                killed += 1
            else:
                survived.append(f"{fault.module}:{fault.line}: {fault.said}")
                tqdm.write(f"survived  {survived[-1]}")
            shutil.copy(ROOT / fault.module, path)
    return {"tried": len(todo), "killed": killed, "equivalent": equivalent, "survived": survived}


def _modules(tests: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The tests of each module, from those of patterns of paths; a later pattern wins."""
    found = dict[str, list[str]]()
    for pattern, names in tests.items():
        paths = sorted(path for path in ROOT.glob(pattern) if path.name != "__init__.py")
        if not paths:
            sys.exit(f"no module is {pattern}")
        found.update({str(path.relative_to(ROOT)): list(names) for path in paths})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="+", help="rooms of mutants.toml, or paths of modules with --tests")
    parser.add_argument("--tests", nargs="+", default=[], help="names of test files, such as state")
    parser.add_argument("--sample", type=int, default=0, help="how many faults are drawn of a room; 0 takes all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a fault counts as seen")
    parser.add_argument("--kept", type=Path, help="a JSON file to keep the counts in, by room")
    asked = parser.parse_args()
    known = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())
    for room in asked.rooms:
        tests = _modules({room: asked.tests} if asked.tests else known["rooms"][room])
        todo = [fault for module in tests for fault in faults(module)]
        if asked.sample:
            todo = random.Random(asked.seed).sample(todo, min(asked.sample, len(todo)))
            todo.sort(key=lambda fault: (fault.module, fault.number))
        found = counted(todo, tests, known["equivalent"], asked.timeout)
        print(f"{room}: {found['killed']} of {found['tried'] - len(found['equivalent'])} killed")
        if asked.kept:
            kept = json.loads(asked.kept.read_text()) if asked.kept.exists() else {}
            kept[room] = {"seed": asked.seed, **found}
            asked.kept.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
