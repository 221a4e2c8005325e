"""The hooks that a plugin may implement. Every hook returns things; nothing is registered by a callback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("xsiamese")
hookimpl = pluggy.HookimplMarker("xsiamese")


@hookspec
def xsiamese_explainers() -> Iterable[type[Any]]:  # type: ignore[empty-body]
    """Explainers, subclasses of :class:`~xsiamese.PairAttribution`: each is known by its class name in Python and by
    its ``name`` on the command line.
    """


@hookspec
def xsiamese_kinds() -> Iterable[Any]:  # type: ignore[empty-body]
    """Kinds of input, instances of :class:`xsiamese.kinds.kind.Kind`: each is known by its ``name``."""


@hookspec
def xsiamese_models() -> Iterable[Any]:  # type: ignore[empty-body]
    """Model cards (:class:`xsiamese.zoo.ModelCard`) of a zoo."""


@hookspec
def xsiamese_openers() -> Iterable[Any]:  # type: ignore[empty-body]
    """Functions that open what ``--model`` names, a folder or a name of another library's, as a
    :class:`~xsiamese.model.pair.PairModel`; None if it is not theirs.
    """


@hookspec
def xsiamese_comparisons() -> Iterable[type[Any]]:  # type: ignore[empty-body]
    """Comparisons, subclasses of :class:`~xsiamese.Comparison`, that can be named by a string."""


@hookspec
def xsiamese_metrics() -> Iterable[type[Any]]:  # type: ignore[empty-body]
    """Metrics of explanations, subclasses of :class:`xsiamese.author.Metric`, each known by its ``name``."""


@hookspec
def xsiamese_commands() -> Iterable[Any]:  # type: ignore[empty-body]
    """Commands of the command line: functions with annotations and a docstring, run as ``xsiamese NAME``."""
