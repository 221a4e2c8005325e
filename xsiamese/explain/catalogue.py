"""Every installed explainer, by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from xsiamese.door import registry
from xsiamese.explain.attribution import PairAttribution


def explainers() -> Mapping[str, type[PairAttribution]]:
    """Every explainer by its class name.

    Example:
        >>> "PairGradCAM" in explainers()
        True
    """
    return registry.explainers()


def explainer(name: str) -> type[PairAttribution]:
    """The explainer of a name: its class name, or the short one of the command line.

    Raises:
        ValueError: if there is none, with the nearest names.
    """
    known = explainers()
    short = registry.registry.collect("xsiamese_explainers", lambda cls: str(cls.name), "explainers")
    if name in known or name in short:
        found: type[PairAttribution] = known.get(name) or short[name]
        return found
    near = get_close_matches(name.lower().replace("-", "_"), [*short, *(k.lower() for k in known)])
    names = {k.lower(): k for k in known}
    hint = (
        f"did you mean {' or '.join(repr(names.get(n, n)) for n in near)}?"
        if near
        else f"known: {', '.join(sorted(short))}"
    )
    raise ValueError(f"no explainer is called {name!r}; {hint}")
