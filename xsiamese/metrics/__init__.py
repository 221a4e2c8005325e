"""How good explanations are: metrics of pairs, one file a property."""

from __future__ import annotations

from xsiamese.metrics.catalogue import metrics as metrics
from xsiamese.metrics.measure import Measured as Measured
from xsiamese.metrics.measure import Measurement as Measurement
from xsiamese.metrics.measure import measure as measure
from xsiamese.metrics.metric import Curve as Curve
from xsiamese.metrics.metric import Metric as Metric
