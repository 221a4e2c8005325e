"""The Lightning module of Siamese training: loss, optimiser, and what happens at a NaN. It does not know what the items
are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xsiamese.data.batches import SIDES, Apart, Batch
from xsiamese.model.pair import PairModel
from xsiamese.training.engine import LightningModule
from xsiamese.training.inputs import Ready
from xsiamese.training.losses import Loss
from xsiamese.training.recipes import Optimizer, Schedule


class SiameseModule(LightningModule):
    """Trains a Siamese model on :class:`~xsiamese.data.Batches`.

    Args:
        model: what is trained.
        loss: what is minimised; its own parameters are trained too.
        ready: makes the stored items the model's input, and augments them in training.
        lr: the learning rate; the peak of "onecycle".
        optimizer: "SGD", "Adam" or "AdamW", with the further arguments ``options``.
        schedule: "constant", "onecycle" (over the whole training) or "plateau" (on the validation loss, arguments
            ``plateau``).
        seed: of everything random in a step; an epoch depends on the seed and its number only.
        log_interval: batches between two reports.
        bad_batch: where a batch with a loss that is not finite is saved.
        kept: where the network of the last whole epoch is kept, for the message.

    Attributes:
        history: the mean losses of each epoch so far.
    """

    def __init__(
        self,
        model: PairModel,
        loss: Loss,
        ready: Ready,
        *,
        lr: float = 1e-4,
        optimizer: Optimizer = "Adam",
        options: Mapping[str, Any] | None = None,
        schedule: Schedule = "constant",
        plateau: Mapping[str, Any] | None = None,
        seed: int = 0,
        log_interval: int = 50,
        bad_batch: Path | None = None,
        kept: Path | None = None,
    ) -> None:
        super().__init__()
        self.model, self.loss, self.ready = model, loss, ready
        self.lr, self.optimizer_name, self.options = lr, optimizer, dict(options or {})
        self.schedule, self.plateau = schedule, dict(plateau or {})
        self.seed, self.log_interval, self.bad_batch, self.kept = seed, log_interval, bad_batch, kept
        self.history: dict[str, list[float]] = {"train_loss": [], "valid_loss": []}
        self._sum, self._rows = torch.zeros(()), 0

    def on_train_epoch_start(self) -> None:
        torch.manual_seed((self.seed * 1_000_003 + self.current_epoch) % 2**63)
        self._sum, self._rows = torch.zeros((), device=self.device), 0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        if isinstance(batch.inputs, Apart):
            inputs: Any = Apart(*(self.ready.augmented(side, 1) for side in batch.inputs))
        else:
            inputs = self.ready.augmented(batch.inputs, SIDES[self.loss.kind])
        loss: Tensor = self.loss(self.model, inputs, batch.labels, batch.classes)
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
        self.check_finite()
        self._valid_sum, self._valid_rows = torch.zeros((), device=self.device), 0

    def validation_step(self, batch: Batch, index: int) -> None:
        if index == 0:
            torch.manual_seed(self.seed)
        inputs = Apart(*map(self.ready, batch.inputs)) if isinstance(batch.inputs, Apart) else self.ready(batch.inputs)
        loss = self.loss(self.model, inputs, batch.labels, batch.classes)
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

            save_file({name: tensor.cpu().contiguous() for name, tensor in _tensors(batch).items()}, self.bad_batch)
            where = f"; the batch is in {self.bad_batch}"
        raise FloatingPointError(
            f"the loss is {loss} in epoch {self.current_epoch}, batch {index}{where}; {self._so()}"
        )

    def check_finite(self) -> None:
        """Raises a FloatingPointError if the last steps of an epoch have made a weight NaN or infinite."""
        wrong = next((name for name, value in self.model.named_parameters() if not bool(value.isfinite().all())), None)
        if wrong is not None:
            raise FloatingPointError(
                f"the weights {wrong} are not finite after epoch {self.current_epoch}, although its losses were; "
                f"{self._so()}"
            )

    def _so(self) -> str:
        """What is kept, and what to try."""
        there = self.kept is not None and self.kept.is_file()
        kept = f"the network of the last good epoch is in {self.kept}: " if there else ""
        return f"{kept}try a smaller lr (it was {self.lr:g}) or gradient clipping"


def _tensors(batch: Batch) -> dict[str, Tensor]:
    """The tensors of a batch by name: its one tensor of inputs, or those of each part (a graph's come by its own
    names).
    """
    inputs = batch.inputs
    named = (
        {"images": inputs}
        if isinstance(inputs, Tensor)
        else inputs._asdict()
        if isinstance(inputs, Apart)
        else {"inputs": inputs}
    )
    flat: dict[str, Any] = {}
    for name, part in named.items():
        parts = {} if isinstance(part, Tensor) else part.to_dict()
        flat |= (
            {name: part}
            if isinstance(part, Tensor)
            else {f"{name}.{key}": value for key, value in parts.items() if isinstance(value, Tensor)}
        )
    return {**flat, "labels": batch.labels}
