"""The commands, and how an error is told: in one line."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import pairwise
from typing import Any, get_args

from cyclopts import App, CycloptsError, Parameter, Token, convert

from xsiamese.cli.demo import demo
from xsiamese.cli.evaluate import evaluate
from xsiamese.cli.explain import explain
from xsiamese.cli.explain_pairs import explain_pairs
from xsiamese.cli.groups import BROUGHT, EXPLAIN, HELP, LISTS, TRAIN
from xsiamese.cli.lists import explainers, plugins, zoo
from xsiamese.door.deferred import deferred
from xsiamese.door.faults import sentence
from xsiamese.training.command import train


def converted(kind: Any, tokens: Sequence[Token]) -> Any:
    """What a word of the command line is; 1.5 for a whole number is refused, which was rounded.

    Raises:
        ValueError: with the word.
    """
    if kind is int or int in get_args(kind):
        for token in tokens:
            if "." in token.value:
                raise ValueError(f"{token.value!r} is no whole number.")
    return convert(kind, tokens)


app = App(
    name="xsiamese",
    help="Explains why a two-input (Siamese) model found two things alike or different.",
    version=lambda: str(sys.modules["xsiamese"].__version__),
    version_flags=["--version"],
    group_commands=HELP,
    default_parameter=Parameter(converter=converted),
)
GROUPED = {EXPLAIN: (explain, explain_pairs, demo), TRAIN: (train, evaluate), LISTS: (explainers, zoo, plugins)}
for group, functions in GROUPED.items():
    for function in functions:
        app.command(function, group=group)

SELDOM = {
    **dict.fromkeys(("torch_geometric.datasets", "torch._dynamo", "torch.onnx.ops", "numba", "fsspec", "psutil"), ()),
    "torch_geometric.template": ("module_from_template",),
    "requests": (),
    "scipy.optimize": ("linear_sum_assignment", "brentq"),
    "scipy.stats": ("pearsonr", "spearmanr"),
    "sklearn": (),
    "sklearn.metrics": ("average_precision_score", "f1_score", "ndcg_score", "pairwise_distances"),
}
"""What torch_geometric, wordllama, transformers and sentence-transformers load for few, and the functions they take
out of it by name.
"""

OURS = frozenset(app) - {"--help", "-h", "--version"}


def main() -> None:
    """The entry point: an error is one line and exit code 2; ``--traceback`` shows where it comes from."""
    if not gc.get_freeze_count():  # what is loaded stays: going through it for garbage takes a fifth of a second
        gc.freeze()
    _speakable()
    traceback = "--traceback" in sys.argv
    sys.argv[:] = [word for word in sys.argv if word != "--traceback"]
    with warnings.catch_warnings(), deferred(SELDOM):
        warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
        warnings.filterwarnings(
            "ignore", message=".*torch.jit.script. is deprecated"
        )  # torch_geometric's, not the user's
        try:
            add_plugins()
            _named(sys.argv[1:])
            if not method_help(sys.argv[1:]):
                app(exit_on_error=False, print_error=False)  # told in one line below, as every other error
        except BrokenPipeError:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except KeyboardInterrupt as error:
            print(f"xsiamese: {error if error.args else 'interrupted'}", file=sys.stderr)
            sys.exit(130)
        except CycloptsError as error:
            command = f" {sys.argv[1]}" if sys.argv[1:] and sys.argv[1] in OURS else ""
            said = " ".join(str(error).split())
            print(f"xsiamese: {said} See xsiamese{command} --help", file=sys.stderr)
            sys.exit(2)
        except Exception as error:  # whatever it is, a person gets one line
            if traceback:
                raise
            print(f"xsiamese: {sentence(error)}", file=sys.stderr)
            sys.exit(2)


def _speakable() -> None:
    """Makes both streams take what is printed: they may be closed, or know fewer letters than the names of files."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _named(words: Sequence[str]) -> None:
    """Refuses an output without a name, as of a shell variable that is not set: it would be the current folder."""
    for option, value in pairwise([*words, "-"]):
        if (option in ("-o", "--output") and not value.strip()) or option in ("-o=", "--output="):
            raise ValueError(f"{option} {value.strip()!r} names no file and no folder: give a name")


def add_plugins() -> None:
    """Adds the commands that plugins bring; one that has the name of ours is named and left out."""
    from xsiamese.door.registry import commands

    for name, function in commands().items():
        if name in OURS:
            warnings.warn(
                f"a plugin brings a command {name!r} of its own ({function.__module__}): left out", stacklevel=2
            )
        else:
            app.command(function, name=name, group=BROUGHT)


def method_help(words: Sequence[str]) -> bool:
    """Prints the help of one method, for ``xsiamese explain --method M --help``; whether that was asked for."""
    if (
        words[:1] not in (["explain"], ["explain-pairs"])
        or not {"--help", "-h"} & set(words)
        or "--method" not in words[:-1]
    ):
        return False
    from xsiamese.explain.catalogue import explainer
    from xsiamese.explain.options import options_of
    from xsiamese.explain.words import first_sentence

    cls = explainer(words[list(words).index("--method") + 1])
    app.help_print(list(words[:1]))
    own = [option for option in options_of(cls) if option.types]
    files = [f"  --{name:<22} {text}" for name, text in cls.files.items()]
    print(f"{cls.name}: {first_sentence(cls)}")
    print("\n".join(["Its own options:", *map(str, own), *files]) if own or files else "It has no options of its own.")
    return True
