"""Training on images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xsiamese.data.items import Items, LabelledImages
from xsiamese.data.sources import NAMES, Source, load
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.training.inputs import Images
from xsiamese.training.modality import Modality


class Training(Modality):
    """MNIST-like sets, Omniglot, folders of images and tables of pairs."""

    noun = "images"
    augmented = True

    def load(self, valid: float | None) -> Source[LabelledImages]:
        of = self.settings
        if of.dataset in NAMES:
            self.refuse("test", "sets that do not say themselves what is tested")
        if Path(of.dataset).suffix.lower() != ".csv":
            self.refuse("same_label", "a table of pairs")
        return load(
            of.dataset,
            of.data,
            of.pixels,
            valid=valid,
            test=of.test,
            seed=of.seed,
            same_label=of.same_label,
            by=of.split,
        )

    def ready(self) -> Images:
        return Images(self.settings.pixels, self.settings.recipe.augment or None)

    def described(self) -> dict[str, Any]:
        pixels = self.settings.pixels
        shown = {
            "size": pixels.size,
            "channels": pixels.channels,
            "mean": pixels.mean,
            "std": pixels.std,
            "invert": pixels.invert,
        }
        return {"preprocessing": shown}

    def example(self) -> str:
        return "A B"

    def rows(self, items: Items, size: int) -> int:
        return max(size, 256 if items.gather(items.labels[:1] * 0).numel() < 20_000 else size)

    def measure(self, model: PairModel, source: Source[Any]) -> dict[str, Any]:
        return {**super().measure(model, source), **self._one_shot(model)}

    def _one_shot(self, model: PairModel) -> dict[str, Any]:
        """The 20-way one-shot accuracy of Lake et al., where the data set is Omniglot and its runs are there."""
        if self.settings.dataset != "Omniglot" or not isinstance(model, SiameseModel):
            return {}
        from xsiamese.data import omniglot
        from xsiamese.training.oneshot import one_shot_accuracy

        runs = omniglot.runs(self.settings.data, self.settings.pixels.size)
        return {"one_shot_20_way_accuracy": one_shot_accuracy(model, runs, self.settings.pixels)} if runs else {}
