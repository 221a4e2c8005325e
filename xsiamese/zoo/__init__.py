"""Reference models: cards, checkpoints and the shipped default."""

from __future__ import annotations

from xsiamese.zoo import graph, image, planted, tabular
from xsiamese.zoo.cards import ModelCard as ModelCard
from xsiamese.zoo.cards import Preprocessing as Preprocessing
from xsiamese.zoo.checkpoint import Checkpoint as Checkpoint
from xsiamese.zoo.checkpoint import find_card as find_card
from xsiamese.zoo.checkpoint import load as load
from xsiamese.zoo.checkpoint import save as save
from xsiamese.zoo.checkpoint import shipped as shipped
from xsiamese.zoo.opened import OpenedModel as OpenedModel
from xsiamese.zoo.opened import open_model as open_model

CARDS: tuple[ModelCard, ...] = (*image.CARDS, *graph.CARDS, *tabular.CARDS, *planted.CARDS)
