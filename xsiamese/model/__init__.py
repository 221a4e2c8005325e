"""Two-input models, how two embeddings become one score, and the decision on it."""

from __future__ import annotations

from xsiamese.model.comparison import Comparison as Comparison
from xsiamese.model.decision import Decision as Decision
from xsiamese.model.pair import PairModel as PairModel
from xsiamese.model.pair import SiameseModel as SiameseModel
from xsiamese.model.pair import TwoInputModel as TwoInputModel
from xsiamese.model.wrapped import pair_model as pair_model
