"""``xsiamese train``: a network of the zoo on a data set, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal


def train(
    network: str | None = None, dataset: str | None = None, /, *, config: Path | None = None, data: Path = Path("data"), output: Path | None = None,
    lr: float | None = None, epochs: int | None = None, batch_size: int | None = None, optimizer: Literal["SGD", "Adam", "AdamW"] | None = None,
    schedule: Literal["constant", "onecycle", "plateau"] | None = None, clip: float | None = None, patience: int | None = None,
    valid_size: float | None = None, test_size: float | None = None, dimensions: int | None = None, backbone: str | None = None, weights: str | None = None,
    size: int | None = None, same_label: str = "1", paired_augmentation: bool = False, animation: bool = False, reduction: Literal["pca", "umap"] = "pca",
    log_interval: int = 50, logger: Literal["csv", "tensorboard"] = "csv", seed: int = 0, device: str = "auto", devices: int = 1,
    precision: str = "32-true", resume: bool = False,
) -> None:  # fmt: skip
    """Train a network of the zoo and write curves, latent space, metrics and a checkpoint that ``xsiamese explain --model`` takes.

    Parameters
    ----------
    network
        See ``xsiamese zoo``: siamese-contrastive, triplet-loss-net, koch, livieris, ...
    dataset
        MNIST, FashionMNIST, KMNIST, Omniglot, a folder with a folder of images per class, or a CSV of pairs (path_a, path_b, label).
    config
        A config.yml of Grad_CAM_Siamese instead of the two names.
    data
        Where a named set lies (torchvision's layout); it is downloaded there when it does not.
    output
        The folder that everything is written to; ./tmp if left out.
    lr, epochs, batch_size, optimizer, schedule
        Of the training; the network's own recipe if left out.
    clip
        The largest norm of the gradient.
    patience
        Stop after so many epochs without a better validation loss.
    valid_size, test_size
        Shares of the images for validation and test.
    dimensions
        Of the embedding.
    backbone
        Of livieris: MobileNet, ResNet50, any torchvision name, or timm/NAME.
    weights
        Of the backbone, for example DEFAULT; none if left out.
    size
        The height and width of the images, for networks that take any.
    same_label
        The label of a same pair in a CSV.
    paired_augmentation
        Augment both images of a pair in the same way.
    animation
        Draw the latent space after each epoch, as a GIF.
    reduction
        How more than two dimensions are drawn.
    log_interval
        Batches between two reports.
    logger
        Where losses are logged.
    seed
        Of everything random.
    device
        auto, cpu, cuda or mps.
    devices
        How many.
    precision
        As Lightning calls it: 32-true, bf16-mixed, ...
    resume
        Go on from the last epoch that is in the output folder.
    """
    import logging

    from xsiamese.data.augment import Augment
    from xsiamese.training.recipes import recipe
    from xsiamese.training.run import train as run
    from xsiamese.training.settings import Settings, sized

    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)  # its hints are not about this training
    if config is not None:
        if network is not None:
            raise ValueError(f"--config names the network and the data: leave {network!r} out")
        from xsiamese.training.config import read_config, settings_from

        settings, notes = settings_from(read_config(config), output)
        print(*(f"note: {note}" for note in notes), sep="\n", end="\n" if notes else "")
    else:
        if network is None or dataset is None:
            raise ValueError("a network and a data set are needed: xsiamese train siamese-contrastive MNIST --data DIR (or --config config.yml)")
        given: dict[str, Any] = {"dimensions": dimensions, "backbone": backbone, "weights": weights}
        settings = Settings(
            network, dataset, data=data, output=output or Path("tmp"), lr=lr, epochs=epochs, batch_size=batch_size, optimizer=optimizer, schedule=schedule,
            clip=clip, patience=patience, valid=valid_size, test=test_size, arguments={k: v for k, v in given.items() if v is not None},
            same_label=same_label, animation=animation, reduction=reduction, log_interval=log_interval, logger=logger, seed=seed, device=device,
            devices=devices, precision=precision, resume=resume,
        )  # fmt: skip
        settings = sized(settings, size)
        if paired_augmentation:
            base = recipe(settings.network).augment or Augment()
            settings = settings.changed(augment=base.changed(paired=True))
    trained = run(settings)
    print((Path(f"{trained.files[0].with_suffix('')}-metrics.txt")).read_text(encoding="utf-8"), end="")
    print(*(f"written {path}" for path in trained.files), sep="\n")
    print(f"xsiamese explain A B --model {trained.files[0]} explains pairs with it")
    if not trained.finished:
        raise KeyboardInterrupt
