"""xsiamese explains why a two-input (Siamese) model found two things alike or different."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from xsiamese.attribution import PairAttribution as PairAttribution
from xsiamese.batch import PairBatch as PairBatch
from xsiamese.branches import record as record
from xsiamese.calibration import Calibration as Calibration
from xsiamese.calibration import calibrate as calibrate
from xsiamese.comparison import Comparison as Comparison
from xsiamese.explanation import PairExplanation as PairExplanation
from xsiamese.hookspecs import hookimpl as hookimpl
from xsiamese.layers import ChannelsLast as ChannelsLast
from xsiamese.layers import Tokens as Tokens
from xsiamese.model import PairModel as PairModel
from xsiamese.model import SiameseModel as SiameseModel
from xsiamese.model import TwoInputModel as TwoInputModel
from xsiamese.plugins import explainers as explainers
from xsiamese.plugins import public_names as public_names
from xsiamese.views import untied as untied

if TYPE_CHECKING:
    from xsiamese.graphs import collate_pairs as collate_pairs
    from xsiamese_captum import *  # noqa: F403
    from xsiamese_gradcam import *  # noqa: F403
    from xsiamese_graph import *  # noqa: F403

__version__ = "0.1.0"

_ON_DEMAND = {"collate_pairs": "xsiamese.graphs"}


def __getattr__(name: str) -> Any:
    """Modules and plugin classes are loaded when they are first asked for (PEP 562)."""
    if name.startswith("_"):
        raise AttributeError(name)
    if find_spec(f"xsiamese.{name}"):
        return import_module(f"xsiamese.{name}")
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    known = explainers()
    if name in known:
        globals()[name] = known[name]
        return known[name]
    brought = public_names()
    if name in brought:
        return brought[name]
    near = get_close_matches(name, [*known, *brought, *(n for n in globals() if not n.startswith("_"))], n=1)
    raise AttributeError(f"module 'xsiamese' has no attribute {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND, *explainers(), *public_names()} - {n for n in globals() if n.startswith("_") and not n.startswith("__")})
