"""Data: pairs from images, folders, graphs and tables, and the samples that come with the library."""

from __future__ import annotations

from xsiamese.data.augment import Augment as Augment
from xsiamese.data.batches import Batch as Batch
from xsiamese.data.batches import Batches as Batches
from xsiamese.data.items import LabelledImages as LabelledImages
from xsiamese.data.items import split as split
from xsiamese.data.pairs import ClassIndex as ClassIndex
from xsiamese.data.pairs import Pairs as Pairs
from xsiamese.data.pairs import Triplets as Triplets
from xsiamese.data.pairs import anchor_pairs as anchor_pairs
from xsiamese.data.pairs import fixed_pairs as fixed_pairs
from xsiamese.data.samples import fashion_pair as fashion_pair
from xsiamese.data.samples import fashion_samples as fashion_samples
