"""``xsiamese train``: a network of the zoo on a data set, from the command line."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from xsiamese.training.settings import Settings

DATA = Parameter(group=Group("The data", sort_key=1))
NETWORK = Parameter(group=Group("The network", sort_key=2))
LEARNING = Parameter(group=Group("How it learns", sort_key=3))
TABLES = Parameter(group=Group("Of tables", sort_key=4))
GRAPHS = Parameter(group=Group("Of graphs", sort_key=5))
WRITTEN = Parameter(group=Group("What is written", sort_key=6))
MACHINE = Parameter(group=Group("The machine", sort_key=7))


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """What can be said about a training.

    Attributes:
        config: A config.yml of Grad_CAM_Siamese instead of the two names.
        data: Where a named set lies (torchvision's layout); it is downloaded there when it does not.
        output: The folder that everything is written to; ./tmp if left out.
        lr: The learning rate, the peak of onecycle. The network's own recipe if left out, as for the next five.
        epochs: How often training goes through all images.
        batch_size: Pairs, triplets or images of a batch.
        optimizer: What changes the weights.
        schedule: Of the learning rate.
        weight_decay: Of the optimiser.
        clip: The largest norm of the gradient.
        patience: Stop after so many epochs without a better validation loss.
        valid_size: The share of images for validation.
        test_size: The share of images for testing, of a folder or a CSV.
        split: What is held out for validation and testing: whole classes, or images of every class; classes where
            there are at least 10, if left out.
        dimensions: Of the embedding.
        backbone: Of livieris: MobileNet, ResNet50, any torchvision name, or timm/NAME.
        weights: Of the backbone, for example DEFAULT; none if left out.
        size: The height and width of the images, for networks that take any.
        same_label: The label of a same pair in a CSV.
        target: Of a table, or a CSV of SMILES: the column that says what is alike. Texts are classes, numbers are alike
            where they are close.
        close: Of a table: the share of all pairs whose targets count as close; 0.1 if left out. Of a CSV of SMILES: how
            much two targets, numbers, may differ to count as the same; classes if left out.
        smiles: Of a CSV of SMILES: the column that holds them, where it is not called smiles, mol or the like.
        rows: Of a table: what a row is, a pair of records (left_NAME and right_NAME, ``ltable_`` and ``rtable_``,
            NAME_a and NAME_b, and a label) or one item; found out by its columns, and asked for where they leave it
            open.
        missing: Of a table: what to do with rows that lack a value; "refuse" if left out, "drop" leaves them out,
            "fill" takes the mean.
        without: Of a table: a column to leave out; can be given again.
        layers: Of a graph network.
        hidden: Features of a node in each of its layers.
        readout: How a graph network makes nodes one embedding.
        comparison: Of siamese-gcn, -gin and -gat: cosine, euclidean, learned, ...
        pattern: Which files of a folder of connectivity matrices, such as ``*NORM*``.
        by: What makes two scans the same: their subject or their folder.
        neighbours: Of a region, that it is connected to in a brain network.
        density: The share of connections that a brain network keeps, instead.
        shared: Put all brains on the graph of their mean.
        paired_augmentation: Augment both images of a pair in the same way.
        animation: Draw the latent space after each epoch, as a GIF.
        reduction: How more than two dimensions are drawn.
        log_interval: Batches between two reports.
        logger: Where losses are logged.
        seed: Of everything random.
        device: auto, cpu, cuda or mps.
        devices: How many.
        precision: As Lightning calls it: 32-true, bf16-mixed or 16-mixed.
        resume: Go on from the last epoch that is in the output folder.
    """

    config: Annotated[Path | None, DATA] = None
    data: Annotated[Path, DATA] = Path("data")
    output: Annotated[Path | None, WRITTEN, Parameter(name=["--output", "-o"])] = None
    lr: Annotated[float | None, LEARNING] = None
    epochs: Annotated[int | None, LEARNING] = None
    batch_size: Annotated[int | None, LEARNING] = None
    optimizer: Annotated[Literal["SGD", "Adam", "AdamW"] | None, LEARNING] = None
    schedule: Annotated[Literal["constant", "onecycle", "plateau"] | None, LEARNING] = None
    weight_decay: Annotated[float | None, LEARNING] = None
    clip: Annotated[float | None, LEARNING] = None
    patience: Annotated[int | None, LEARNING] = None
    valid_size: Annotated[float | None, DATA] = None
    test_size: Annotated[float | None, DATA] = None
    split: Annotated[Literal["classes", "items"] | None, DATA] = None
    dimensions: Annotated[int | None, NETWORK] = None
    backbone: Annotated[str | None, NETWORK] = None
    weights: Annotated[str | None, NETWORK] = None
    size: Annotated[int | None, DATA] = None
    same_label: Annotated[str, DATA] = "1"
    target: Annotated[str | None, TABLES] = None
    close: Annotated[float | None, TABLES] = None
    smiles: Annotated[str | None, GRAPHS] = None
    rows: Annotated[Literal["pairs", "items"] | None, TABLES] = None
    missing: Annotated[Literal["refuse", "drop", "fill"] | None, TABLES] = None
    without: Annotated[tuple[str, ...] | None, TABLES] = None
    layers: Annotated[int | None, NETWORK] = None
    hidden: Annotated[int | None, NETWORK] = None
    readout: Annotated[Literal["mean", "sum", "attention"] | None, NETWORK] = None
    comparison: Annotated[str | None, NETWORK] = None
    pattern: Annotated[str | None, GRAPHS] = None
    by: Annotated[Literal["subject", "folder"] | None, GRAPHS] = None
    neighbours: Annotated[int | None, GRAPHS] = None
    density: Annotated[float | None, GRAPHS] = None
    shared: Annotated[bool | None, GRAPHS] = None
    paired_augmentation: Annotated[bool, DATA] = False
    animation: Annotated[bool, WRITTEN] = False
    reduction: Annotated[Literal["pca", "tsne", "umap"], WRITTEN] = "pca"
    log_interval: Annotated[int, WRITTEN] = 50
    logger: Annotated[Literal["csv", "tensorboard"], WRITTEN] = "csv"
    seed: Annotated[int, DATA] = 0
    device: Annotated[str, MACHINE] = "auto"
    devices: Annotated[int, MACHINE] = 1
    precision: Annotated[str, MACHINE] = "32-true"
    resume: Annotated[bool, LEARNING] = False


def train(
    network: str | None = None,
    dataset: str | None = None,
    /,
    *,
    options: Annotated[Options | None, Parameter(name="*")] = None,
) -> None:
    """Train a network of the zoo and write curves, latent space, metrics and a checkpoint that ``xsiamese explain
    --model`` takes.

    Parameters
    ----------
    network
        See ``xsiamese zoo``: siamese-contrastive, triplet-loss-net, koch, livieris, ...
    dataset
        Images: MNIST, FashionMNIST, KMNIST, Omniglot, a folder with a folder of images per class, or a CSV of pairs
            (path_a, path_b, label).
        Graphs: MUTAG, Mutagenicity or another TUDataset, AIDS700nef, LINUX, a CSV with a column of SMILES, or a folder
            of connectivity matrices.
        Tables, for siamese-mlp: a CSV with a header, and --target COLUMN; or a table of pairs of records, or a folder
            with train, valid and test tables of pairs.
    """
    import logging

    given = options or Options()
    settings = _configured(given, network) if given.config is not None else _named(given, network, dataset)
    from xsiamese.training.modality import modality  # Lightning takes seconds to load: what is wrong is told before
    from xsiamese.training.run import train as run

    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(
        logging.WARNING
    )  # its hints are not about this training
    watched = settings.changed(progress=settings.progress and sys.stderr.isatty())  # a bar is for people
    with redirect_stdout(sys.stderr):  # where Lightning's goes, too
        trained = run(watched)
    if not trained.files:
        return
    print((Path(f"{trained.files[0].with_suffix('')}-metrics.txt")).read_text(encoding="utf-8"), end="")
    print(*(f"written {path}" for path in trained.files), sep="\n")
    if pair := modality(settings).example():
        print(f"xsiamese explain {pair} --model {trained.files[0]} explains pairs with it")
    if not trained.finished:
        raise KeyboardInterrupt


def _configured(given: Options, network: str | None) -> Settings:
    from xsiamese.training.config import read_config, settings_from

    assert given.config is not None
    own = ("config", "output", "resume", "animation")
    usual = Options()
    if idle := next(
        (f.name for f in fields(Options) if f.name not in own and getattr(given, f.name) != getattr(usual, f.name)), ""
    ):
        raise ValueError(
            f"--config says all of a training: leave --{idle.replace('_', '-')} out, or write it into the file"
        )
    if network is not None:
        raise ValueError(f"--config names the network and the data: leave {network!r} out")
    settings, notes = settings_from(read_config(given.config), given.output)
    for note in notes:
        print(f"note: {note}")
    return settings.changed(resume=given.resume, animation=given.animation)


def _named(given: Options, network: str | None, dataset: str | None) -> Settings:
    from xsiamese.data.augment import Augment
    from xsiamese.training.recipes import recipe
    from xsiamese.training.settings import Settings, sized

    if network is None or dataset is None:
        raise ValueError(
            "a network and a data set are needed: xsiamese train siamese-contrastive MNIST --data DIR (or --config "
            "config.yml)"
        )
    if given.data != Options.data and Path(dataset).exists():
        raise ValueError(f"--data {given.data} is where a named set lies, and {dataset} is here itself: leave it out")
    alike = (
        "data",
        "lr",
        "epochs",
        "batch_size",
        "optimizer",
        "schedule",
        "clip",
        "patience",
        "split",
        "same_label",
        "animation",
        "reduction",
        "log_interval",
        "logger",
        "seed",
        "device",
        "devices",
        "precision",
        "resume",
    )
    building, reading = (
        ("dimensions", "backbone", "weights", "layers", "hidden", "readout", "comparison"),
        ("target", "close", "smiles", "rows", "missing", "without", "pattern", "by", "neighbours", "density", "shared"),
    )
    arguments, read = (
        {name: getattr(given, name) for name in names if getattr(given, name) is not None}
        for names in (building, reading)
    )
    rest: dict[str, Any] = {name: getattr(given, name) for name in alike}
    settings = Settings(
        network,
        dataset,
        output=given.output or Path("tmp"),
        valid=given.valid_size,
        test=given.test_size,
        arguments=arguments,
        reading=read,
        **rest,
    )
    if given.weight_decay is not None:
        settings = settings.changed(options={**settings.recipe.options, "weight_decay": given.weight_decay})
    if given.paired_augmentation:
        settings = settings.changed(augment=(recipe(settings.network).augment or Augment()).changed(paired=True))
    return sized(settings, given.size)
