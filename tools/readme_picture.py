"""Makes docs/_static/demo.png, the README's picture: a similar and a different pair of shipped images, explained."""

from __future__ import annotations

from pathlib import Path

import torch

from xsiamese import PairGradCAM
from xsiamese.data import fashion_pair
from xsiamese.zoo import shipped

checkpoint = shipped("fashion")
classes = [("sneaker", "sneaker"), ("sneaker", "bag")]
pairs = [fashion_pair(*both, number=2) for both in classes]
inputs = torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])
figure = (
    PairGradCAM(checkpoint.model, checkpoint.card.layer)
    .explain(inputs, ids=classes)
    .plot(preprocessing=checkpoint.card.preprocessing)
)
figure.savefig(Path(__file__).parents[1] / "docs" / "_static" / "demo.png", dpi=90)
