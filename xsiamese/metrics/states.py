"""A metric over many batches and processes: the numbers of all pairs are kept and gathered by torchmetrics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from xsiamese.branches.intact import intact
from xsiamese.metrics.metric import Metric, number
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation

if TYPE_CHECKING:
    import torchmetrics


def over_batches(metric: Metric) -> torchmetrics.Metric:
    """``metric`` as a torchmetrics metric: ``update(batch, explanation, **needs)`` for each batch, then ``compute()``,
    which is what one run on all pairs gives, also over several processes.

    Raises:
        ImportError: if torchmetrics is missing.

    Example:
        >>> from xsiamese import PairSaliency, SiameseModel
        >>> from xsiamese.metrics.catalogue import made
        >>> from xsiamese.metrics.measure import batch_of
        >>> saliency, pairs = PairSaliency(SiameseModel(torch.nn.Identity(), "dot")), (torch.eye(2), torch.eye(2))
        >>> size = over_batches(made("effective_size"))
        >>> size.update(batch_of(saliency, pairs), saliency.explain(pairs))
        >>> float(size.compute())
        1.0
    """
    try:
        import torchmetrics  # noqa: F401
    except ImportError as error:
        raise ImportError('metrics over batches need torchmetrics: pip install "xsiamese[train]"') from error
    made: torchmetrics.Metric = _state()(metric)
    return made


@cache
def _state() -> Callable[[Metric], Any]:
    from torchmetrics import Metric as TorchMetric
    from torchmetrics.utilities import dim_zero_cat

    class OverBatches(TorchMetric):
        """The numbers of all pairs so far."""

        full_state_update = False

        def __init__(self, metric: Metric) -> None:
            super().__init__()
            self._measured = (metric,)  # in a tuple: torchmetrics takes whatever is a module for one of its own
            self.add_state("numbers", default=[], dist_reduce_fx="cat")

        def update(self, batch: PairBatch, explanation: PairExplanation, **needs: Any) -> None:
            measured = self._measured[0]
            with intact(batch.model):
                numbers: Any = self.numbers
                numbers.append(number(measured.compute(batch, explanation, **needs)).detach().double())

        def compute(self) -> torch.Tensor:
            numbers: Any = self.numbers
            return torch.tensor(self._measured[0].reduce(dim_zero_cat(numbers)), dtype=torch.float64)

    return OverBatches
