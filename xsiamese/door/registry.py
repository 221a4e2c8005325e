"""The door: finds plugins when they are first needed, guards against broken ones, and knows what each one brings."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import Distribution, EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import pluggy

from xsiamese.door import hookspecs

GROUP = "xsiamese"


@dataclass
class Plugin:
    """What is known of one plugin."""

    name: str
    distribution: str
    version: str
    module: str
    hooks: list[str] = field(default_factory=list)
    failure: str = ""
    disabled: bool = False


class Registry:
    """A plugin manager that loads entry points lazily and keeps going when one of them is broken."""

    def __init__(self, find: Callable[[], Iterable[tuple[EntryPoint, Distribution]]] | None = None) -> None:
        self._find = find or _entry_points
        self._manager: pluggy.PluginManager | None = None
        self.plugins: dict[str, Plugin] = {}

    @property
    def manager(self) -> pluggy.PluginManager:
        """The pluggy manager, with every plugin loaded."""
        if self._manager is None:
            manager = pluggy.PluginManager(GROUP)
            manager.add_hookspecs(hookspecs)
            self.plugins.clear()
            self._load(manager)
            self._manager = manager
        return self._manager

    def collect(self, hook: str, key: Callable[[Any], str], what: str) -> dict[str, Any]:
        """What all plugins return for a hook, by ``key``.

        Raises:
            ValueError: if two plugins bring different things of one name.
        """
        found: dict[str, tuple[Any, str]] = {}
        caller = getattr(self.manager.hook, hook)
        for implementation in caller.get_hookimpls():
            name = implementation.plugin_name
            try:
                with redirect_stdout(sys.stderr):  # --json owns the output
                    things = [(key(thing), thing) for thing in implementation.function()]
            except (Exception, SystemExit) as error:  # a broken plugin must not break the others
                self._fail(name, error)
                continue
            owner = self._owner(name)
            for called, thing in things:
                if called in found and found[called][0] is not thing:
                    raise ValueError(
                        f"two {what} are called {called!r}: from {found[called][1]} and from {owner}; uninstall one "
                        "or set XSIAMESE_DISABLED_PLUGINS"
                    )
                found[called] = (thing, owner)
        return {name: thing for name, (thing, _) in sorted(found.items())}

    def _load(self, manager: pluggy.PluginManager) -> None:
        disabled = {name.strip() for name in os.environ.get("XSIAMESE_DISABLED_PLUGINS", "").split(",")}
        ours_first = sorted(self._find(), key=lambda found: found[1].metadata["Name"] != GROUP)
        for entry, distribution in ours_first:
            name = entry.name
            plugin = Plugin(name, distribution.metadata["Name"], distribution.version, entry.value)
            if name in self.plugins:
                other = self.plugins[name]
                if (other.distribution, other.module) != (plugin.distribution, plugin.module):
                    self._left_out(plugin, other)
                continue
            self.plugins[name] = plugin
            if name in disabled:
                plugin.disabled = True
                continue
            try:
                with redirect_stdout(sys.stderr):
                    module = entry.load()
                manager.register(module, name=name)
            except (Exception, SystemExit) as error:  # a broken plugin must not break the others
                self._fail(name, error)
                continue
            callers = manager.get_hookcallers(module) or ()
            plugin.hooks = sorted(caller.name for caller in callers if caller.has_spec())
            for unknown in sorted(caller.name for caller in callers if not caller.has_spec()):
                self._warn_of_hook(plugin, unknown)

    def _left_out(self, plugin: Plugin, other: Plugin) -> None:
        """A plugin of a name that is taken: whoever installs it last must not replace what the name meant."""
        warnings.warn(
            f"two plugins are called {plugin.name!r}: that of {other.distribution} is used, and that of "
            f"{plugin.distribution} is left out; uninstall one of them",
            RuntimeWarning,
            stacklevel=5,
        )

    def _warn_of_hook(self, plugin: Plugin, hook: str) -> None:
        known = [caller for caller in vars(hookspecs) if caller.startswith(f"{GROUP}_")]
        near = get_close_matches(hook, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        warnings.warn(
            f"the plugin {plugin.name!r} of {plugin.distribution} {plugin.version} implements {hook!r}, which is no "
            f"hook of this version; {hint}",
            RuntimeWarning,
            stacklevel=5,
        )

    def _fail(self, name: str, error: BaseException) -> None:
        plugin = self.plugins[name]
        plugin.failure = f"{type(error).__name__}: {error}"
        warnings.warn(
            f"the plugin {name!r} of {plugin.distribution} {plugin.version} is broken and left out: {plugin.failure}",
            RuntimeWarning,
            stacklevel=4,
        )

    def _owner(self, name: str) -> str:
        plugin = self.plugins[name]
        return f"{plugin.distribution} ({plugin.module})"


def _entry_points() -> Iterable[tuple[EntryPoint, Distribution]]:
    """Those of the first distribution of each name on the path, which is the one that is imported."""
    return [(entry, entry.dist) for entry in entry_points(group=GROUP) if entry.dist is not None]


registry = Registry()


def installed() -> Mapping[str, Plugin]:
    """Every plugin that is installed, also disabled and broken ones."""
    _ = registry.manager
    explainers()
    return MappingProxyType(registry.plugins)


def explainers() -> Mapping[str, type[Any]]:
    """Every explainer that a plugin brings, by its class name; :func:`xsiamese.explainers` is the same with types."""
    return MappingProxyType(registry.collect("xsiamese_explainers", lambda cls: str(cls.__name__), "explainers"))


def public_names() -> Mapping[str, Any]:
    """What plugins make public besides their explainers, by name: all that a plugin's module lists in ``__all__``.

    Raises:
        ValueError: if two plugins bring different things of one name.

    Example:
        >>> "Counterfactual" in public_names()
        True
    """
    found: dict[str, Any] = {}
    for module in registry.manager.get_plugins():
        for name in getattr(module, "__all__", ()):
            if found.setdefault(name, getattr(module, name)) is not getattr(module, name):
                raise ValueError(
                    f"two plugins make a name {name!r} public; {getattr(module, '__name__', module)} is one: set "
                    "XSIAMESE_DISABLED_PLUGINS"
                )
    return MappingProxyType(found)


def models() -> Mapping[str, Any]:
    """Every model card by its name."""
    return MappingProxyType(registry.collect("xsiamese_models", lambda card: str(card.name), "models"))


def openers() -> Mapping[str, Callable[[str], Any]]:
    """What opens models of other libraries by a folder or a name, by where the function stands."""

    def place(function: Callable[..., Any]) -> str:
        return f"{function.__module__}.{function.__qualname__}"

    return MappingProxyType(registry.collect("xsiamese_openers", place, "openers of models"))


def comparisons() -> Mapping[str, type[Any]]:
    """Every comparison that a plugin brings, by its name."""
    return MappingProxyType(registry.collect("xsiamese_comparisons", lambda cls: str(cls.name), "comparisons"))


def metrics() -> Mapping[str, Any]:
    """Every metric that a plugin brings, by its name."""
    return MappingProxyType(registry.collect("xsiamese_metrics", lambda metric: str(metric.name), "metrics"))


def commands() -> Mapping[str, Any]:
    """Every command that a plugin brings, by the name of its function."""
    return MappingProxyType(
        registry.collect("xsiamese_commands", lambda function: str(function.__name__).replace("_", "-"), "commands")
    )
