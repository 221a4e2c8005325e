"""The explainer that a command line means: by its name or by the scoreboard's choice, with its options in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import signature
from typing import Any

from xsiamese.door.registry import explainers
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.auto import Auto, Budget, auto
from xsiamese.explain.catalogue import explainer
from xsiamese.explain.options import parsed
from xsiamese.kinds.catalogue import names


@dataclass(frozen=True)
class Meant:
    """An explainer that is made, and what was said for its pairs.

    Attributes:
        explains: the explainer, or a choice of one.
        options: of its ``explain``.
        files: options that are given as files, as they were typed: ``from_files`` reads them.
    """

    explains: PairAttribution | Auto
    options: dict[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def explainer(self) -> PairAttribution:
        """The explainer itself."""
        return self.explains.explainer if isinstance(self.explains, Auto) else self.explains

    @classmethod
    def of(
        cls,
        model: Callable[..., Any],
        kind: str | None,
        words: Mapping[str, str],
        *,
        method: str | None = None,
        budget: Budget = "normal",
        layer: str | None = None,
        usual_layer: str | None = None,
        threshold: float | None = None,
    ) -> Meant:
        """The explainer of a model.

        Args:
            model: of two inputs.
            kind: of the inputs, or None for two towers.
            words: the method's own options, each as it is typed.
            method: its name, see :func:`~xsiamese.explain.catalogue.explainer`; the scoreboard's choice if None.
            budget: what that choice may cost.
            layer: the layer to explain on.
            usual_layer: the one that is taken where none is named and the method has one.
            threshold: the score at which the decision turns.

        Raises:
            ValueError: if there is no such method, it does not explain the kind, or an option does not fit.
        """
        if method is not None:
            if budget != "normal":
                raise ValueError(f"--budget {budget} is for the choice of a method, and --method {method} names one")
            found = explainer(method).for_kind(kind)
            return cls._named(found, model, kind, words, layer=layer, usual_layer=usual_layer, threshold=threshold)
        chosen = auto(model, budget, kind=kind, layer=usual_layer if layer is None else layer)
        found = type(chosen.explainer)
        files = _files(found, words)
        own = {name: text for name, text in words.items() if name not in files}
        foreign = [name for name in own if name.replace("-", "_") not in found.options()]
        if foreign or threshold is not None:
            first = next(iter(foreign), "threshold").replace("_", "-")
            if not any(_takes(cls, first.replace("-", "_")) for cls in explainers().values()):
                raise ValueError(f"there is no option --{first}, of the command or of a method")
            raise ValueError(f"--{first} is a setting of one method: say which by --method")
        return cls(chosen, parsed(found, own)[1], files)

    @classmethod
    def _named(
        cls,
        found: type[PairAttribution],
        model: Callable[..., Any],
        kind: str | None,
        words: Mapping[str, str],
        *,
        layer: str | None,
        usual_layer: str | None,
        threshold: float | None,
    ) -> Meant:
        if found.name == "counterfactual" and not names(frozenset({kind or ""})) <= names(found.modalities):
            what = f"are {kind}" if kind else "are of two kinds"
            raise ValueError(
                f"--method counterfactual searches images, graphs and rows, and the inputs of this model {what}: "
                "--method feature_ablation says what the score hangs on"
            )
        if layer is not None and not found.needs_layer:
            raise ValueError(
                f"--layer is for methods that explain a layer, and {found.name} explains the inputs: leave it out"
            )
        files = _files(found, words)
        settings, own = parsed(found, {name: text for name, text in words.items() if name not in files})
        if threshold is not None:
            if "threshold" not in found.settings():
                raise ValueError(
                    f"--threshold is for methods about the decision, and {found.name} explains the score: leave it "
                    "out, or use --method counterfactual"
                )
            settings["threshold"] = threshold
        layers = (usual_layer if layer is None else layer,) if found.needs_layer else ()
        return cls(found(model, *layers, **settings), own, files)


def refuse_misspelt(words: Iterable[str], command: Callable[..., Any]) -> None:
    """Refuses an option of no method that is nearly one of a command's own.

    Args:
        words: options that are not the command's own.
        command: the function of the command, whose arguments these are.

    Raises:
        ValueError: with the nearest one.
    """
    own = [name.strip("_").replace("_", "-") for name in signature(command).parameters if name != "options"]
    for word in words:
        near = get_close_matches(word.replace("_", "-"), own, n=1, cutoff=0.7)
        if near and not any(_takes(cls, word.replace("-", "_")) for cls in explainers().values()):
            raise ValueError(f"there is no option --{word.replace('_', '-')}: did you mean --{near[0]}?")


def _takes(cls: type[PairAttribution], name: str) -> bool:
    return name == "threshold" or name in cls.options() or name in cls.settings()


def _files(found: type[PairAttribution], words: Mapping[str, str]) -> dict[str, str]:
    """The options among some that a method takes as files."""
    return {name: text for name, text in words.items() if name.replace("-", "_") in found.files}
