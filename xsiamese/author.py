"""All that a plugin may import: names that are kept for a minor version. See the page "What a plugin may use"."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xsiamese.branches.derivative import RefusedDerivatives as RefusedDerivatives
from xsiamese.branches.intact import intact as intact
from xsiamese.branches.layers import Layer as Layer
from xsiamese.branches.layers import as_grid as as_grid
from xsiamese.branches.layout import ChannelsFirst as ChannelsFirst
from xsiamese.branches.layout import ChannelsLast as ChannelsLast
from xsiamese.branches.layout import Layout as Layout
from xsiamese.branches.layout import SideLayout as SideLayout
from xsiamese.branches.layout import Tokens as Tokens
from xsiamese.branches.record import record as record
from xsiamese.branches.rules import Rule as Rule
from xsiamese.branches.rules import Rules as Rules
from xsiamese.branches.untied import untied as untied
from xsiamese.door.arguments import AtLeast as AtLeast
from xsiamese.door.arguments import check as check
from xsiamese.door.hookspecs import hookimpl as hookimpl
from xsiamese.explain.attribution import PairAttribution as PairAttribution
from xsiamese.explain.captum import Adapted as Adapted
from xsiamese.explain.captum import adapt as adapt
from xsiamese.explain.catalogue import explainers as explainers
from xsiamese.explain.found import Found as Found
from xsiamese.explain.maps import Maps as Maps
from xsiamese.explain.maps import join as join
from xsiamese.explain.prepare import ItemBatch as ItemBatch
from xsiamese.explain.sample import ReadOut as ReadOut
from xsiamese.explain.sample import Sample as Sample
from xsiamese.explain.sample import Sampler as Sampler
from xsiamese.kinds.catalogue import side as side
from xsiamese.kinds.graphs.variants import of_side as of_side
from xsiamese.kinds.kind import Kind as Kind
from xsiamese.kinds.places import Places as Places
from xsiamese.kinds.places import softened as softened
from xsiamese.kinds.presence import PresenceSide as PresenceSide
from xsiamese.kinds.side import Leaves as Leaves
from xsiamese.kinds.side import Side as Side
from xsiamese.kinds.side import Wrt as Wrt
from xsiamese.kinds.words import Texts as Texts
from xsiamese.kinds.words import words_of as words_of
from xsiamese.model.blackbox import BlackBoxEncoder as BlackBoxEncoder
from xsiamese.model.comparison import Bilinear as Bilinear
from xsiamese.model.comparison import ClampedEuclidean as ClampedEuclidean
from xsiamese.model.comparison import Comparison as Comparison
from xsiamese.model.comparison import Cosine as Cosine
from xsiamese.model.comparison import Dot as Dot
from xsiamese.model.comparison import Euclidean as Euclidean
from xsiamese.model.comparison import SquaredEuclidean as SquaredEuclidean
from xsiamese.model.decision import Decision as Decision
from xsiamese.model.pair import PairModel as PairModel
from xsiamese.model.pair import SiameseModel as SiameseModel
from xsiamese.model.pair import TwoInputModel as TwoInputModel
from xsiamese.model.precision import wide as wide
from xsiamese.model.tokens import Pooling as Pooling
from xsiamese.model.tokens import TextEncoder as TextEncoder
from xsiamese.model.wrapped import pair_model as pair_model
from xsiamese.pairs.batch import PairBatch as PairBatch
from xsiamese.pairs.deletion import values_without as values_without
from xsiamese.pairs.objective import Objective as Objective
from xsiamese.pairs.objective import check_fit as check_fit
from xsiamese.pairs.parts import Cells as Cells
from xsiamese.pairs.parts import Parts as Parts
from xsiamese.pairs.parts import channel_of as channel_of
from xsiamese.pairs.parts import parts_of as parts_of
from xsiamese.pairs.refused import Unsuited as Unsuited
from xsiamese.pairs.refused import refuse_scripted as refuse_scripted
from xsiamese.plot.shown import Shows as Shows
from xsiamese.result import stored as stored
from xsiamese.result.columns import Column as Column
from xsiamese.result.columns import Packable as Packable
from xsiamese.result.columns import Picked as Picked
from xsiamese.result.explanation import PairExplanation as PairExplanation
from xsiamese.result.matrices import MatrixExplanation as MatrixExplanation
from xsiamese.result.matrix import Match as Match
from xsiamese.result.matrix import PairMatrix as PairMatrix

if TYPE_CHECKING:
    from xsiamese.metrics.metric import Curve as Curve
    from xsiamese.metrics.metric import Metric as Metric
    from xsiamese.zoo.cards import ModelCard as ModelCard
    from xsiamese.zoo.cards import Preprocessing as Preprocessing

_ON_DEMAND = {
    "Curve": "xsiamese.metrics.metric",
    "Metric": "xsiamese.metrics.metric",
    "ModelCard": "xsiamese.zoo.cards",
    "Preprocessing": "xsiamese.zoo.cards",
}


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"xsiamese.author has no {name!r}: a plugin may use {', '.join(__dir__())}")


def __dir__() -> list[str]:
    hidden = {"annotations", "import_module", "TYPE_CHECKING", "Any"}
    return sorted({name for name in (*globals(), *_ON_DEMAND) if not name.startswith("_")} - hidden)
