"""Which call of a shared module serves which side: recorded, untied, and left as it was."""

from __future__ import annotations

from xsiamese.branches.record import LayerPair as LayerPair
from xsiamese.branches.record import Recording as Recording
from xsiamese.branches.record import record as record
from xsiamese.branches.record import replaced as replaced
