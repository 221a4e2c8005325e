"""xsiamese explains why a two-input (Siamese) model found two things alike or different."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any

from xsiamese.branches.layout import ChannelsFirst as ChannelsFirst
from xsiamese.branches.layout import ChannelsLast as ChannelsLast
from xsiamese.branches.layout import Tokens as Tokens
from xsiamese.branches.record import record as record
from xsiamese.branches.untied import untied as untied
from xsiamese.door.hookspecs import hookimpl as hookimpl
from xsiamese.door.registry import public_names as public_names
from xsiamese.explain.attribution import PairAttribution as PairAttribution
from xsiamese.explain.catalogue import explainers as explainers
from xsiamese.explain.found import Found as Found
from xsiamese.kinds.pool import Pool as Pool
from xsiamese.model.blackbox import BlackBoxEncoder as BlackBoxEncoder
from xsiamese.model.comparison import Comparison as Comparison
from xsiamese.model.decision import Decision as Decision
from xsiamese.model.pair import PairModel as PairModel
from xsiamese.model.pair import SiameseModel as SiameseModel
from xsiamese.model.pair import TwoInputModel as TwoInputModel
from xsiamese.moved import MOVED
from xsiamese.moved import install as _install
from xsiamese.pairs.batch import PairBatch as PairBatch
from xsiamese.pairs.calibration import Calibration as Calibration
from xsiamese.pairs.calibration import calibrate as calibrate
from xsiamese.result.explanation import PairExplanation as PairExplanation
from xsiamese.result.explanation import load as load
from xsiamese.result.matrices import MatrixExplanation as MatrixExplanation
from xsiamese.result.matrix import Match as Match
from xsiamese.result.matrix import PairMatrix as PairMatrix

_install()

__version__ = "0.2.0.dev0"

ON_DEMAND = {
    "auto": "xsiamese.explain.auto",
    "Gallery": "xsiamese.explain.gallery.gallery",
    "collate_pairs": "xsiamese.kinds.graphs.side",
    "compare": "xsiamese.plot.compared",
    "explain_pairs": "xsiamese.jobs.job",
    "OnnxEncoder": "xsiamese.model.onnx",
    "export": "xsiamese.model.exported",
    "measure": "xsiamese.metrics.measure",
    "open_exported": "xsiamese.model.exported",
    "open_explanations": "xsiamese.jobs.explanations",
    "superpixels": "xsiamese.kinds.superpixels",
}


def __getattr__(name: str) -> Any:
    """Modules and plugin classes are loaded when they are first asked for (PEP 562)."""
    if name == "__all__":  # what ``from xsiamese import *`` asks for
        return __dir__()
    if name.startswith("_"):
        raise AttributeError(name)
    if name in MOVED or PathFinder.find_spec(f"xsiamese.{name}", __path__):
        return import_module(f"xsiamese.{name}")
    if name in ON_DEMAND:
        return getattr(import_module(ON_DEMAND[name]), name)
    known = explainers()
    if name in known:
        globals()[name] = known[name]
        return known[name]
    brought = public_names()
    if name in brought:
        return brought[name]
    near = get_close_matches(name, [*known, *brought, *(n for n in globals() if not n.startswith("_"))], n=1)
    raise AttributeError(
        f"module 'xsiamese' has no attribute {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    )


def __dir__() -> list[str]:
    """The public names: classes and functions of ours, and what plugins bring; no modules and nothing of others."""
    own = {n for n, value in globals().items() if getattr(value, "__module__", "").startswith("xsiamese.")}
    return sorted({n for n in own if not n.startswith("_")} | {"hookimpl", *ON_DEMAND, *explainers(), *public_names()})
