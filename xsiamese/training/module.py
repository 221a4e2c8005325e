"""The Lightning module of Siamese training: bytes to floats, augmentation, loss, optimiser, and what happens at a NaN."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xsiamese.data.augment import Augment
from xsiamese.data.batches import SIDES, Batch
from xsiamese.model import SiameseModel
from xsiamese.training.losses import Loss
from xsiamese.zoo.cards import Preprocessing

try:
    from lightning.pytorch import LightningModule
except ImportError as error:
    raise ImportError('training needs Lightning: pip install "xsiamese[train]"') from error

Optimizer = Literal["SGD", "Adam", "AdamW"]
Schedule = Literal["constant", "onecycle", "plateau"]


class SiameseModule(LightningModule):
    """Trains a Siamese model on :class:`~xsiamese.data.Batches`.

    Args:
        model: what is trained.
        loss: what is minimised; its own parameters are trained too.
        preprocessing: of the images; their size is already right.
        lr: the learning rate; the peak of "onecycle".
        optimizer: "SGD", "Adam" or "AdamW", with the further arguments ``options``.
        schedule: "constant", "onecycle" (over the whole training) or "plateau" (on the validation loss, arguments ``plateau``).
        augment: what is done to training images.
        seed: of everything random in a step; an epoch depends on the seed and its number only.
        log_interval: batches between two reports.
        bad_batch: where a batch with a loss that is not finite is saved.

    Attributes:
        history: the mean losses of each epoch so far.
    """

    def __init__(
        self, model: SiameseModel, loss: Loss, preprocessing: Preprocessing, *, lr: float = 1e-4, optimizer: Optimizer = "Adam",
        options: Mapping[str, Any] | None = None, schedule: Schedule = "constant", plateau: Mapping[str, Any] | None = None,
        augment: Augment | None = None, seed: int = 0, log_interval: int = 50, bad_batch: Path | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.model, self.loss, self.preprocessing, self.augment = model, loss, preprocessing, augment
        self.pixels = Pixels(preprocessing)
        self.lr, self.optimizer_name, self.options = lr, optimizer, dict(options or {})
        self.schedule, self.plateau = schedule, dict(plateau or {})
        self.seed, self.log_interval, self.bad_batch = seed, log_interval, bad_batch
        self.history: dict[str, list[float]] = {"train_loss": [], "valid_loss": []}
        self._sum, self._rows = torch.zeros(()), 0

    def on_train_epoch_start(self) -> None:
        torch.manual_seed((self.seed * 1_000_003 + self.current_epoch) % 2**63)
        self._sum, self._rows = torch.zeros((), device=self.device), 0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        images = self.pixels(batch.images)
        if self.augment is not None:
            images = self.augment(images, SIDES[self.loss.kind])
        loss: Tensor = self.loss(self.model, self.pixels.normalise(images), batch.labels, batch.classes)
        if not bool(torch.isfinite(loss)):
            self._diverged(batch, index, float(loss))
        self._sum += loss.detach() * len(batch.labels)
        self._rows += len(batch.labels)
        if (index + 1) % self.log_interval == 0:
            self.log("loss", self._sum / self._rows, prog_bar=True, on_step=True, on_epoch=False)
        return loss

    def on_train_epoch_end(self) -> None:
        mean = float(self._sum / max(self._rows, 1))
        self.history["train_loss"].append(mean)
        self.log("train_loss", mean)

    def on_validation_epoch_start(self) -> None:
        self._valid_sum, self._valid_rows = torch.zeros((), device=self.device), 0

    def validation_step(self, batch: Batch, index: int) -> None:
        if index == 0:
            torch.manual_seed(self.seed)
        loss = self.loss(self.model, self.pixels.normalise(self.pixels(batch.images)), batch.labels, batch.classes)
        self._valid_sum += loss * len(batch.labels)
        self._valid_rows += len(batch.labels)

    def on_validation_epoch_end(self) -> None:
        mean = float(self._valid_sum / max(self._valid_rows, 1))
        self.history["valid_loss"].append(mean)
        self.log("valid_loss", mean, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = getattr(torch.optim, self.optimizer_name)(parameters, lr=self.lr, **self.options)
        if self.schedule == "onecycle":
            steps = int(self.trainer.estimated_stepping_batches)
            scheduler: Any = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=steps, pct_start=0.2)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
        if self.schedule == "plateau":
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **self.plateau)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "valid_loss"}}
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]

    def _diverged(self, batch: Batch, index: int, loss: float) -> None:
        where = ""
        if self.bad_batch is not None:
            from safetensors.torch import save_file

            save_file({"images": batch.images.cpu().contiguous(), "labels": batch.labels.cpu().contiguous()}, self.bad_batch)
            where = f"; the batch is in {self.bad_batch}"
        raise FloatingPointError(
            f"the loss is {loss} in epoch {self.current_epoch}, batch {index}{where}; "
            f"the last good checkpoint is kept: try a smaller lr (it was {self.lr:g}) or gradient clipping"
        )


class Pixels(nn.Module):
    """Bytes to the model's input, on the device where they are: values in [0, 1], then inverted and normalised as the card says."""

    scale: Tensor
    shift: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (preprocessing.mean, preprocessing.std))
        sign = -1.0 if preprocessing.invert else 1.0
        self.register_buffer("scale", sign / std, persistent=False)
        self.register_buffer("shift", ((1.0 if preprocessing.invert else 0.0) - mean) / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Values in [0, 1], not inverted."""
        return images.to(torch.float32).div_(255)

    def normalise(self, images: Tensor) -> Tensor:
        """The model's input from values in [0, 1]."""
        return images * self.scale + self.shift
