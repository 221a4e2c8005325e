"""The door: lazy discovery that one broken plugin cannot shut, names that collide, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import xsiamese
from xsiamese import PairAttribution, PairGradCAM, PairSaliency, hookimpl
from xsiamese.door import hookspecs
from xsiamese.door import registry as plugins
from xsiamese.door.registry import Registry
from xsiamese.explain import catalogue
from xsiamese.kinds import catalogue as kind_catalogue
from xsiamese.kinds.kind import Kind
from xsiamese.kinds.side import Side
from xsiamese.model.comparison import Cosine, Dot

HOOKS = sorted(name for name, value in vars(hookspecs).items() if hasattr(value, "xsiamese_spec"))


class FakeDistribution:
    """What the registry asks of an installed distribution."""

    def __init__(self, name: str, version: str = "1.0") -> None:
        self.metadata = {"Name": name}
        self.version = version


Made = Callable[..., tuple[EntryPoint, FakeDistribution]]


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Made:
    """Makes an entry point whose module holds the given hook implementations."""

    def make(
        name: str, distribution: str = "", module: str | None = None, **hooks: Any
    ) -> tuple[EntryPoint, FakeDistribution]:
        module = module or f"fake_{name}"
        made = types.ModuleType(module)
        for hook, function in hooks.items():
            function.__name__ = hook
            setattr(made, hook, hookimpl(function))
        monkeypatch.setitem(sys.modules, module, made)
        return EntryPoint(name, module, "xsiamese"), FakeDistribution(distribution or f"dist-{name}")

    return make


def explainers_of(registry: Registry) -> dict[str, Any]:
    return registry.collect("xsiamese_explainers", lambda cls: str(cls.__name__), "explainers")


class PairMine(PairSaliency):
    """A stranger's."""

    name = "mine"


def test_discovery_is_lazy() -> None:
    asked: list[int] = []
    registry = Registry(find=lambda: asked.append(1) or [])
    assert not asked
    assert explainers_of(registry) == {}
    assert explainers_of(registry) == {}
    assert asked == [1]


def test_a_plugin_brings_explainers(plugin: Made) -> None:
    registry = Registry(find=lambda: [plugin("mine", xsiamese_explainers=lambda: [PairMine])])
    assert explainers_of(registry) == {"PairMine": PairMine}
    found = registry.plugins["mine"]
    assert (found.distribution, found.version, found.module, found.hooks, found.failure) == (
        "dist-mine",
        "1.0",
        "fake_mine",
        ["xsiamese_explainers"],
        "",
    )


def test_a_broken_import_is_a_warning_that_names_it_and_harms_nobody(
    plugin: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_at_import.py").write_text("import a_module_that_is_not_installed")
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("torn", "broken_at_import", "xsiamese"), FakeDistribution("dist-torn", "0.3")
    registry = Registry(find=lambda: [entry, plugin("mine", xsiamese_explainers=lambda: [PairMine])])
    with pytest.warns(
        RuntimeWarning,
        match="plugin 'torn' of dist-torn 0.3 is broken and left out: ModuleNotFoundError: "
        ".*a_module_that_is_not_installed",
    ):
        assert set(explainers_of(registry)) == {"PairMine"}
    assert "ModuleNotFoundError" in registry.plugins["torn"].failure


@pytest.mark.parametrize(
    ("returns", "message"),
    [(lambda: 1 / 0, "ZeroDivisionError"), (lambda: None, "TypeError"), (lambda: ["not a class"], "AttributeError")],
)
def test_a_broken_hook_is_a_warning_and_harms_nobody(plugin: Made, returns: Callable[[], Any], message: str) -> None:
    registry = Registry(
        find=lambda: [
            plugin("torn", xsiamese_explainers=returns),
            plugin("mine", xsiamese_explainers=lambda: [PairMine]),
        ]
    )
    with pytest.warns(RuntimeWarning, match=f"'torn' of dist-torn 1.0 is broken and left out: {message}"):
        assert set(explainers_of(registry)) == {"PairMine"}
    assert message in registry.plugins["torn"].failure


def test_a_hook_with_other_arguments_is_a_warning(plugin: Made) -> None:
    registry = Registry(find=lambda: [plugin("torn", xsiamese_explainers=lambda registry: [PairMine])])
    with pytest.warns(RuntimeWarning, match="'torn'.*PluginValidationError"):
        assert explainers_of(registry) == {}


def test_a_hook_that_does_not_exist_is_a_warning_with_the_nearest_name(plugin: Made) -> None:
    registry = Registry(
        find=lambda: [plugin("typo", xsiamese_explainer=lambda: [PairMine], xsiamese_comparisons=lambda: [Dot])]
    )
    with pytest.warns(
        RuntimeWarning,
        match="'typo' of dist-typo 1.0 implements 'xsiamese_explainer', which is no hook.*did you mean "
        "'xsiamese_explainers'",
    ):
        assert explainers_of(registry) == {}
    assert registry.collect("xsiamese_comparisons", lambda cls: str(cls.name), "comparisons") == {"dot": Dot}


@pytest.mark.parametrize("first", [True, False])
def test_of_two_plugins_of_one_name_ours_is_used_and_the_other_is_named(plugin: Made, first: bool) -> None:
    ours = plugin("mine", "xsiamese", "fake_1", xsiamese_explainers=lambda: [PairMine])
    theirs = plugin("mine", "second-dist", "fake_2", xsiamese_explainers=lambda: [PairSaliency])
    registry = Registry(find=lambda: [ours, theirs] if first else [theirs, ours])
    said = "two plugins are called 'mine': that of xsiamese is used, and that of second-dist is left out"
    with pytest.warns(RuntimeWarning, match=said):
        assert explainers_of(registry) == {"PairMine": PairMine}


def test_two_explainers_of_one_name_are_an_error_that_names_both(plugin: Made) -> None:
    other = type("PairMine", (PairSaliency,), {})
    entries = [
        plugin("one", xsiamese_explainers=lambda: [PairMine]),
        plugin("two", xsiamese_explainers=lambda: [other]),
    ]
    registry = Registry(find=lambda: entries)
    with pytest.raises(
        ValueError,
        match=r"two explainers are called 'PairMine': from dist-one \(fake_one\) and from dist-two \(fake_two\)",
    ):
        explainers_of(registry)


def test_one_explainer_from_two_plugins_is_no_collision(plugin: Made) -> None:
    registry = Registry(
        find=lambda: [
            plugin("one", xsiamese_explainers=lambda: [PairMine]),
            plugin("two", xsiamese_explainers=lambda: [PairMine]),
        ]
    )
    assert explainers_of(registry) == {"PairMine": PairMine}


def test_two_explainers_with_one_short_name_are_an_error(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    other = type("PairOther", (PairMine,), {})
    monkeypatch.setattr(
        plugins, "registry", Registry(find=lambda: [plugin("one", xsiamese_explainers=lambda: [PairMine, other])])
    )
    with pytest.raises(ValueError, match="two explainers are called 'mine'"):
        catalogue.explainer("mine")


def test_disabled_plugins_stay_out(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XSIAMESE_DISABLED_PLUGINS", "mine, other")
    registry = Registry(find=lambda: [plugin("mine", xsiamese_explainers=lambda: [PairMine])])
    assert explainers_of(registry) == {}
    assert registry.plugins["mine"].disabled
    assert "fake_mine" in sys.modules


# every hook is tested


def test_hook_xsiamese_explainers() -> None:
    assert xsiamese.explainers()["PairGradCAM"] is PairGradCAM
    assert all(issubclass(cls, PairAttribution) for cls in xsiamese.explainers().values())


def test_hook_xsiamese_models(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    card = types.SimpleNamespace(name="my-net")
    monkeypatch.setattr(plugins, "registry", Registry(find=lambda: [plugin("mine", xsiamese_models=lambda: [card])]))
    assert plugins.models() == {"my-net": card}


def test_hook_xsiamese_comparisons(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = type("Angle", (Cosine,), {"name": "angle"})
    monkeypatch.setattr(
        plugins, "registry", Registry(find=lambda: [plugin("mine", xsiamese_comparisons=lambda: [cls])])
    )
    assert isinstance(xsiamese.model.comparison.comparison("angle"), cls)
    with pytest.raises(ValueError, match="no comparison is called 'angel'; did you mean 'angle'"):
        xsiamese.model.comparison.comparison("angel")


def test_hook_xsiamese_metrics(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = types.SimpleNamespace(name="sparsity")
    monkeypatch.setattr(plugins, "registry", Registry(find=lambda: [plugin("mine", xsiamese_metrics=lambda: [metric])]))
    assert plugins.metrics() == {"sparsity": metric}


def test_hook_xsiamese_commands(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def say_hello() -> None:
        """Says hello."""

    monkeypatch.setattr(
        plugins, "registry", Registry(find=lambda: [plugin("mine", xsiamese_commands=lambda: [say_hello])])
    )
    assert plugins.commands() == {"say-hello": say_hello}


def test_hook_xsiamese_kinds(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sound(Kind):
        """A kind of input of a plugin."""

        name = "sound"

        def side(self, item: Any, name: str, *, asked: bool = False) -> Side | None:
            return None

    sound = Sound()
    monkeypatch.setattr(
        kind_catalogue, "registry", Registry(find=lambda: [plugin("mine", xsiamese_kinds=lambda: [sound])])
    )
    assert kind_catalogue.kinds()["sound"] is sound
    assert kind_catalogue.kind("sound") is sound
    assert "image" in kind_catalogue.kinds()  # ours stay


def test_hook_xsiamese_openers(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_folder(name: str) -> None:
        """Opens nothing."""

    def by_name(name: str) -> None:
        """Opens nothing either."""

    monkeypatch.setattr(
        plugins, "registry", Registry(find=lambda: [plugin("mine", xsiamese_openers=lambda: [by_folder, by_name])])
    )
    assert list(plugins.openers().values()) == [by_folder, by_name]  # two of one module are two


def test_every_hook_has_a_test_and_a_docstring() -> None:
    assert HOOKS
    assert {name for name in globals() if name.startswith("test_hook_")} == {f"test_hook_{hook}" for hook in HOOKS}
    assert all(getattr(hookspecs, hook).__doc__ for hook in HOOKS)


# names


def test_did_you_mean() -> None:
    with pytest.raises(
        AttributeError, match="module 'xsiamese' has no attribute 'PairGradCam'; did you mean 'PairGradCAM'"
    ):
        _ = xsiamese.PairGradCam
    with pytest.raises(AttributeError, match="did you mean 'SiameseModel'"):
        _ = xsiamese.SiamseModel
    with pytest.raises(ImportError):
        exec("from xsiamese import PairNothingOfTheKind")


@pytest.mark.parametrize(
    ("typo", "near"),
    [("gradcan", "'gradcam'"), ("Grad-CAM", "'gradcam'"), ("integrated-gradient", "'integrated_gradients'")],
)
def test_unknown_explainer_names_the_nearest(typo: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"no explainer is called '{typo}'; did you mean .*{near}"):
        catalogue.explainer(typo)


def test_explainers_by_either_name() -> None:
    assert catalogue.explainer("gradcam") is catalogue.explainer("PairGradCAM") is PairGradCAM


def test_dir_lists_plugin_classes_and_no_private_name() -> None:
    names = dir(xsiamese)
    assert "PairGradCAM" in names
    assert "SiameseModel" in names
    assert not [n for n in names if n.startswith("_") and not n.startswith("__")]


def test_explainers_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        xsiamese.explainers()["PairX"] = PairMine  # type: ignore[index]


# a fresh interpreter


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ORDERS = (
    "from xsiamese import PairGradCAM; import xsiamese_gradcam; assert xsiamese_gradcam.PairGradCAM is PairGradCAM",
    "import xsiamese_gradcam, xsiamese; assert xsiamese_gradcam.PairGradCAM is xsiamese.PairGradCAM",
    "import xsiamese_captum; from xsiamese import PairDeepLift; assert xsiamese_captum.PairDeepLift is PairDeepLift",
    "from xsiamese.testing import check_explainer; from xsiamese import PairOcclusion, PairIntegratedGradients",
    "from xsiamese.explain.catalogue import explainer; assert explainer('gradcam').__name__ == 'PairGradCAM'",
)


def test_any_import_order() -> None:
    """Each order in a process of its own, forked before any of ours is imported."""
    fresh(
        "import os, sys, torch, captum.attr\n"
        f"for code in {ORDERS!r}:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        assert 'xsiamese' not in sys.modules\n"
        "        exec(code)\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0, code"
    )


def test_importing_loads_neither_plugins_nor_anything_optional() -> None:
    heavy = (
        "torchvision",
        "torch_geometric",
        "matplotlib",
        "sklearn",
        "PIL",
        "lightning",
        "rdkit",
        "xsiamese_captum",
        "xsiamese_gradcam",
        "safetensors",
    )
    added = fresh(
        "import torch, captum, captum.attr, sys; before = set(sys.modules); import xsiamese; "
        "print(*(set(sys.modules) - before))"
    ).split()
    assert "xsiamese" in added
    assert not [name for name in heavy if name in added]


def test_what_a_plugin_makes_public_is_found_by_name() -> None:
    import xsiamese_counterfactual

    assert xsiamese.PairMinimalMask is xsiamese_counterfactual.PairMinimalMask
    assert "Counterfactual" in dir(xsiamese)
    with pytest.raises(AttributeError, match="did you mean 'Counterfactual'"):
        _ = xsiamese.Counterfactuall


def test_two_plugins_that_make_one_name_public_collide(plugin: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [plugin("one", xsiamese_explainers=lambda: []), plugin("two", xsiamese_explainers=lambda: [])]
    for number, (entry, _) in enumerate(entries):
        sys.modules[entry.value].Thing, sys.modules[entry.value].__all__ = number, ["Thing"]  # type: ignore[attr-defined]
    monkeypatch.setattr(plugins, "registry", Registry(find=lambda: entries))
    with pytest.raises(ValueError, match="two plugins make a name 'Thing' public"):
        plugins.public_names()


@pytest.mark.parametrize("package", ["xsiamese_captum", "xsiamese_gradcam"])
def test_plugins_import_public_names_only(package: str) -> None:
    import ast
    from importlib import import_module

    folder = Path(str(import_module(package).__file__)).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xsiamese"):
                assert not [alias.name for alias in node.names if alias.name.startswith("_")], path
                other = {"xsiamese_captum", "xsiamese_gradcam"} - {package}
                assert (node.module or "").split(".")[0] not in other, f"{path} imports another plugin"
