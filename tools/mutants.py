"""Breaks the code on purpose, one small fault at a time, and says which faults no test sees.

    python tools/mutants.py model branches --sample 20
    python tools/mutants.py xsiamese/branches/lock.py --tests state

Rooms, the tests that belong to each and the faults that change nothing are in ``mutants.toml``. A first run without
fault notes which tests pass which lines. Each fault is made in a copy of the tree, so that work in the tree goes on,
and shown to the tests that pass its statement. What only processes of their own pass is not noted.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
# where a warning points to, a check of what never is, and looks: no result hangs on them
SILENT = {"stacklevel", "strict", "fontsize", "labelsize", "linewidth", "linewidths", "lw", "ms", "zorder", "dpi"}
SILENT |= {
    "figsize",
    "fraction",
    "pad",
    "aspect",
    "wspace",
    "hspace",
    "width_ratios",
    "height_ratios",
    "width",
    "length",
}

COPIED = ("xsiamese", "plugins", "tests", "tools", "examples", "docs/measurements", "pyproject.toml", "README.md")

Counts = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One small fault: a node, counted in the order of ``ast.walk``, what stands in its place, the lines of its
    statement, and whether that runs when the module is imported.
    """

    module: str
    number: int
    lines: range
    at_import: bool
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


def _lines(node: ast.AST, around: range) -> range:
    """The lines of the statement that a node is in: of one with a body only those of its head."""
    if not isinstance(node, ast.stmt):
        return around
    body: list[ast.stmt] = getattr(node, "body", [])
    end = body[0].lineno if body else (node.end_lineno or 0) + 1
    return range(node.lineno, max(end, node.lineno + 1))


def _said(text: Sequence[str], node: ast.AST, fault: ast.AST) -> str:
    """The fault in its line: ``x = a + « 1  ->  2 »``."""
    change = f"« {ast.unparse(node)}  ->  {ast.unparse(fault)} »"
    assert isinstance(node, ast.expr | ast.stmt)
    line, end = text[node.lineno - 1].encode(), node.end_col_offset
    return (
        change
        if node.end_lineno != node.lineno
        else f"{line[: node.col_offset].decode()}{change}{line[end:].decode()}".strip()
    )


def faults(module: str) -> list[Fault]:
    """All faults of a module, named by its path from the root."""
    text = (ROOT / module).read_text()
    tree, passed, found = ast.parse(text), set[int](), list[Fault]()
    lines: dict[int, range] = {}
    run = {
        id(one)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for body in node.body
        for one in ast.walk(body)
    }
    for number, node in enumerate(ast.walk(tree)):  # parents come before their children
        lines |= {id(one): _lines(one, lines.get(id(node), range(0))) for one in ast.iter_child_nodes(node)}
        if id(node) in passed:
            passed.update(map(id, ast.iter_child_nodes(node)))
            continue
        passed.update(map(id, _passed_by(node)))
        if (fault := broken(node)) is not None:
            said = _said(text.split("\n"), node, fault)
            found.append(Fault(module, number, lines[id(node)], id(node) not in run, said, fault))
    return found


def preloaded(names: Sequence[str]) -> None:
    """Imports what every run needs and no fault is in, once: a run is a fork of this process."""
    for name in names:
        if name.split(".")[0] not in sys.modules:
            with contextlib.suppress(Exception):
                import_module(name)


class _Noted:
    """Notes of a run without fault which packages it imports, which tests pass each line, and how long they take."""

    def __init__(self, file: Path) -> None:
        from coverage import Coverage

        self.file, self.seconds = file, defaultdict[str, float](float)
        sources = [str(file.parent / "xsiamese"), str(file.parent / "plugins")]
        self.coverage = Coverage(data_file=None, config_file=False, source=sources, messages=False)
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        if sys.gettrace() is None:  # the test before this one traced by itself
            self.coverage.stop()
            self.coverage.start()
        self.coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_unconfigure(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        own = ("xsiamese", "tests", "conftest", "_pytest", "pytest", "coverage", "__", "tools")
        names = {name.split(".")[0] for name in sys.modules}
        noted = {
            "foreign": sorted(name for name in names if not name.startswith(own)),
            "seconds": self.seconds,
            "passed": {
                os.path.relpath(module, self.file.parent): data.contexts_by_lineno(module)
                for module in data.measured_files()
            },
        }
        self.file.write_text(json.dumps(noted))


@dataclass(frozen=True)
class _Chosen:
    """Runs only these tests, those of the quickest files first."""

    seconds: Mapping[str, float]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        of_file = defaultdict[str, float](float)
        for name, seconds in self.seconds.items():
            of_file[name.split("::")[0]] += seconds
        kept = [item for item in items if item.nodeid in self.seconds]
        items[:] = sorted(kept, key=lambda item: of_file[item.nodeid.split("::")[0]])


def seen(folder: str, tests: Sequence[str], timeout: float, plugin: Callable[[], object]) -> bool:
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
        asked = ["-x", "-q", "-p", "no:cacheprovider", *(f"tests/test_{name}.py" for name in tests)]
        os._exit(int(pytest.main(asked, [plugin()])))
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
        for name in COPIED:
            Path(folder, name).parent.mkdir(exist_ok=True)
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, Path(folder, name))
        yield folder


def counted(todo: Sequence[Fault], tests: Sequence[str], same: Mapping[str, str], limit: float) -> Counts:
    """Tries faults: how many there were, were seen by a test, and change nothing."""
    killed, survived, equivalent = 0, list[str](), list[str]()
    preloaded(("torch", "captum.attr", "matplotlib.pyplot", "torch_geometric.data", "hypothesis", "pluggy"))
    with copied() as folder:
        note = Path(folder, "noted.json")
        if seen(folder, tests, 10 * limit, partial(_Noted, note)):
            sys.exit(f"the tests fail or time out without any fault: {' '.join(tests)}")
        noted = json.loads(note.read_text())
        preloaded(noted["foreign"])
        for number, fault in enumerate(tqdm(todo, unit="fault")):
            if (about := f"{fault.module}: {fault.said}") in same:
                equivalent.append(about)
                continue
            passed = noted["passed"].get(fault.module, {})
            lines = passed if fault.at_import else map(str, fault.lines)  # an import is noted of the first test only
            those = {one for line in lines for one in passed.get(line, ())}
            mine = {name: seconds for name, seconds in noted["seconds"].items() if name in those}
            files = sorted({one.split("::")[0].removeprefix("tests/test_").removesuffix(".py") for one in mine})
            path = Path(folder, fault.module)
            path.write_text(fault.source())
            os.utime(path, (number, number))  # by which bytecode knows its source: two may be of one second and length
            if mine and seen(folder, files, min(limit, 30 + 10 * sum(mine.values())), partial(_Chosen, mine)):
                killed += 1
            else:
                survived.append(f"{fault.module}:{fault.lines.start}: {fault.said}")
                tqdm.write(f"survived{'' if mine else ' as no test passes it'}  {survived[-1]}")
            shutil.copy2(ROOT / fault.module, path)
    return {"tried": len(todo), "killed": killed, "equivalent": equivalent, "survived": survived}


def _modules(patterns: Sequence[str]) -> list[str]:
    """The modules of patterns of paths."""
    found = set[Path]()
    for pattern in patterns:
        paths = {path for path in ROOT.glob(pattern) if path.name != "__init__.py"}
        if not paths:
            sys.exit(f"no module is {pattern}")
        found |= paths
    return sorted(str(path.relative_to(ROOT)) for path in found)


def _later(before: Counts, found: Counts) -> Counts:
    """The counts of a room with what tests have seen since that survived at first."""
    return before | {
        "later": before["later"] + found["killed"],
        "equivalent": before["equivalent"] + found["equivalent"],
        "survived": found["survived"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="+", help="rooms of mutants.toml, or paths of modules with --tests")
    parser.add_argument("--tests", nargs="+", default=[], help="names of test files, such as state")
    parser.add_argument("--sample", type=int, default=0, help="how many faults are drawn of a room; 0 takes all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a fault counts as seen")
    parser.add_argument("--kept", type=Path, help="a JSON file to keep the counts in, by room")
    parser.add_argument("--again", action="store_true", help="tries what survived in that file once more")
    asked = parser.parse_args()
    known = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())
    for room in asked.rooms:
        of_room = {"modules": [room], "tests": asked.tests} if asked.tests else known["rooms"][room]
        todo = [fault for module in _modules(of_room["modules"]) for fault in faults(module)]
        kept = json.loads(asked.kept.read_text()) if asked.kept and asked.kept.exists() else {}
        before = kept.get(room, {}) if asked.again else {}
        if asked.again:  # lines move as the module is worked on
            left = {tuple(re.split(r":\d+: ", name, maxsplit=1)) for name in before["survived"]}
            todo = [fault for fault in todo if (fault.module, fault.said) in left]
        elif asked.sample:
            todo = random.Random(asked.seed).sample(todo, min(asked.sample, len(todo)))
            todo.sort(key=lambda fault: (fault.module, fault.number))
        found = counted(todo, of_room["tests"], known["equivalent"], asked.timeout)
        print(f"{room}: {found['killed']} of {found['tried'] - len(found['equivalent'])} killed")
        if asked.kept:
            kept[room] = _later(before, found) if asked.again else {"seed": asked.seed, "later": 0, **found}
            asked.kept.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
