"""Where the names in texts and signatures lead: to the one place where each of ours is documented, and nowhere else."""

from __future__ import annotations

import builtins
import inspect
import sys
from functools import cache
from importlib.metadata import packages_distributions
from typing import Any

from catalogue import known, public_path
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.nodes import find_pending_xref_condition

import xsiamese

# the first names of what others document; ours would be searched for every int and Tensor of a signature
FOREIGN = frozenset(
    name
    for name in (*sys.stdlib_module_names, *packages_distributions(), *vars(builtins))
    if not name.startswith("xsiamese")
)


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.connect("doctree-read", leave_foreign)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def leave_foreign(app: Sphinx, doctree: nodes.document) -> None:
    """Takes types of other libraries as the text that an unknown name becomes."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and node["reftype"] == "class" and node["reftarget"].split(".")[0] in FOREIGN:
            found = find_pending_xref_condition(node, "resolved" if hasattr(builtins, node["reftarget"]) else "*")
            node.replace_self((node if found is None else found).children)


def resolve(app: Sphinx, env: Any, node: Any, contnode: nodes.Element) -> nodes.Element | None:
    """Finds a public name where it is documented: ``PairGradCAM`` and ``xsiamese_gradcam.gradient.PairGradCAM`` are
    ``xsiamese.PairGradCAM``, as every explainer is, and all else is where it lives.
    """
    if node.get("refdomain") != "py":
        return None
    thing, rest = _public(node["reftarget"])
    if not hasattr(thing, "__qualname__"):
        return None
    path = public_path(thing) if any(thing is cls for cls in known()) else f"{thing.__module__}.{thing.__qualname__}"
    target = ".".join(filter(None, (path, rest)))
    if target == node["reftarget"]:
        return None
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, node["reftype"], target, node, contnode)


@cache
def _public(target: str) -> tuple[Any, str]:
    """What a public name means, and what is left of it: ``xsiamese.zoo.ModelCard``,
    ``xsiamese.PairAttribution.attribute``, ``PairGradCAM``, ``xsiamese_gradcam.gradient.PairGradCAM``.
    """
    for cls in known():
        if f"{target}.".startswith(f"{cls.__module__}.{cls.__qualname__}."):
            return cls, target.removeprefix(f"{cls.__module__}.{cls.__qualname__}").removeprefix(".")
    name, _, rest = target.removeprefix("xsiamese.").partition(".")
    thing = getattr(xsiamese, name, None) or xsiamese.explainers().get(name)
    if inspect.ismodule(thing) and rest:
        name, _, rest = rest.partition(".")
        thing = getattr(thing, name, None)
    return thing, rest
