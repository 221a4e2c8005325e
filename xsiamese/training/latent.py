"""The latent space over the epochs of a training: collected by a callback, drawn as an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xsiamese.data.items import Items
from xsiamese.plot.latent import Reduction, frame, latent_space, plane
from xsiamese.training.engine import Callback, LightningModule, Trainer
from xsiamese.training.evaluation import embeddings


class LatentSpace(Callback):
    """Embeds the same items before the first and after each epoch.

    Args:
        items: whose embeddings are watched; at most ``most`` of them, spread evenly.
        most: how many.
    """

    def __init__(self, items: Items, most: int = 2000) -> None:
        self.items = items.take(torch.linspace(0, len(items) - 1, min(most, len(items))).long())
        self.frames: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.frames:
            self._watch(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch(pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"frames": self.frames}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.frames = list(state_dict["frames"])

    def _watch(self, module: Any) -> None:
        self.frames.append(embeddings(module.model, self.items, module.ready))

    def save(self, path: Path, reduction: Reduction = "pca", title: str = "", seconds: float = 0.5) -> Path:
        """Writes the animation as a GIF, all frames on one scale; ``seconds`` a frame."""
        points = torch.split(plane(torch.cat(self.frames), reduction), len(self.items))
        corners = torch.stack([torch.quantile(torch.cat(points[-3:]).float(), q, dim=0) for q in (0.002, 0.998)])
        margin = 0.15 * (corners[1] - corners[0])
        limits = torch.stack([corners[0] - margin, corners[1] + margin])
        images = [
            frame(latent_space(p, self.items.labels, self.items.classes, f"{title}: epoch {epoch}", limits=limits))
            for epoch, p in enumerate(points)
        ]
        images[0].save(path, save_all=True, append_images=images[1:], duration=int(1000 * seconds), loop=0)
        return path
