"""How each network of the zoo is trained: loss, optimiser and what else the published or the recommended way says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from xsiamese.data.augment import Augment
from xsiamese.data.items import Items, LabelledImages, around
from xsiamese.training import itemlosses, losses
from xsiamese.training.losses import Loss
from xsiamese.zoo.cards import ModelCard, Preprocessing

Optimizer = Literal["SGD", "Adam", "AdamW"]
Schedule = Literal["constant", "onecycle", "plateau"]


@dataclass(frozen=True)
class Task:
    """What a loss may need to know: the card, the size of the embedding, the number of classes, the preprocessing,
    whether labels are numbers, the items.
    """

    card: ModelCard
    dimensions: int
    classes: int
    preprocessing: Preprocessing | None
    graded: bool = False
    items: Items | None = None


@dataclass(frozen=True)
class Recipe:
    """The defaults of a training; every one of them can be set on the command line.

    Attributes:
        loss: makes the loss.
        lr, epochs, batch_size, optimizer, schedule: as everywhere.
        options: further arguments of the optimiser.
        augment: of training images, or None.
        rounds: how often an epoch goes through the training items: more than once for small sets.
        per_class: how many items of a class follow each other in batches of items.
        for_data: what is different for a data set, by its name.
        given_pairs: whether pairs follow the rule of Livieris et al. instead of being sampled anew in each epoch.
    """

    loss: Callable[[Task], Loss]
    lr: float = 1e-4
    epochs: int = 10
    batch_size: int = 32
    optimizer: Optimizer = "Adam"
    schedule: Schedule = "constant"
    options: Mapping[str, Any] = field(default_factory=dict)
    augment: Augment | None = None
    given_pairs: bool = False
    per_class: int = 1
    rounds: int = 1
    for_data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _evidence(task: Task) -> Loss:
    assert task.preprocessing is not None
    low, high = ((bound - task.preprocessing.mean[0]) / task.preprocessing.std[0] for bound in (0, 1))
    return losses.Evidence(low, high)


def _classification(task: Task) -> Loss:
    """Directions of the classes in the order in which their mean images lie around the plane of the first two principal
    components.
    """
    order = around(task.items) if isinstance(task.items, LabelledImages) else None
    return itemlosses.Classification(task.dimensions, task.classes, radius=32.0, order=order)


def _recommended(task: Task) -> Loss:
    """Learned class centres give the plane its order, neighbourhood components (:cite:`goldberger2004`) what the
    nearest neighbours see.
    """
    return itemlosses.Sum(itemlosses.Centres(task.dimensions, task.classes), itemlosses.Neighbours())


def _circle(task: Task) -> Loss:
    """For digits: centres that start on a circle, and nothing else."""
    return itemlosses.Centres(task.dimensions, task.classes, radius=4.0)


def _graph(task: Task) -> Loss:
    """Same or different by a logistic line on the score; where it is known how alike two graphs are, by that."""
    return losses.Graded() if task.graded else losses.Logistic(1.0 if task.card.comparison == "learned" else 5.0)


GRAPH: Mapping[str, Any] = {"lr": 3e-3, "epochs": 30, "batch_size": 64, "optimizer": "AdamW", "schedule": "onecycle"}
GED: Mapping[str, Any] = {"lr": 3e-3, "epochs": 10, "batch_size": 128, "rounds": 30}
EDITED: Mapping[str, Mapping[str, Any]] = {"AIDS700nef": GED, "LINUX": GED}
RECIPES: Mapping[str, Recipe] = {
    "embedding-classification": Recipe(_classification),
    "siamese-contrastive": Recipe(lambda task: losses.Contrastive(within=True)),
    "siamese-binary-cross-entropy": Recipe(lambda task: losses.BinaryCrossEntropy()),
    "triplet-loss-net": Recipe(lambda task: losses.Triplet(within=True)),
    "vae": Recipe(_evidence, lr=1e-3, batch_size=128),
    "embedding-recommended": Recipe(
        _recommended,
        lr=1e-2,
        batch_size=128,
        optimizer="AdamW",
        schedule="onecycle",
        options={"weight_decay": 1e-4},
        for_data={"MNIST": {"loss": _circle, "augment": Augment(degrees=10, shift=0.07, scale=0.1)}},
    ),
    "small": Recipe(
        lambda task: itemlosses.Classification(task.dimensions, task.classes),
        lr=5e-3,
        batch_size=128,
        optimizer="AdamW",
        schedule="onecycle",
        options={"weight_decay": 1e-2},
        epochs=8,
    ),
    "koch": Recipe(
        lambda task: losses.AllPairs(),
        lr=1e-3,
        epochs=20,
        batch_size=64,
        optimizer="AdamW",
        schedule="onecycle",
        augment=Augment(degrees=10, shift=0.02, scale=0.1),
        per_class=4,
    ),
    "livieris": Recipe(
        lambda task: losses.Contrastive(margin=2.0, factor=1.0),
        lr=1e-3,
        epochs=20,
        batch_size=16,
        given_pairs=True,
        augment=Augment(horizontal=0.5),
    ),
    "siamese-mlp": Recipe(
        lambda task: losses.BinaryCrossEntropy(),
        lr=5e-3,
        epochs=40,
        batch_size=128,
        optimizer="AdamW",
        schedule="onecycle",
        options={"weight_decay": 1e-2},
        rounds=2,
    ),
    **{
        name: Recipe(_graph, **GRAPH, rounds=4, for_data=EDITED)
        for name in ("siamese-gcn", "siamese-gin", "siamese-gat", "graph-matching")
    },
    "simgnn": Recipe(
        _graph,
        **{**GRAPH, "lr": 1e-3},
        rounds=4,
        for_data={"AIDS700nef": {**GED, "epochs": 25}, "LINUX": {**GED, "epochs": 16}},
    ),
    "brain-gcn": Recipe(_graph, **{**GRAPH, "lr": 1e-3, "batch_size": 32}),
}
OLD_NAMES: Mapping[str, str] = {"siamese-constrastive": "siamese-contrastive", "tripet-loss-net": "triplet-loss-net"}


def recipe(network: str) -> Recipe:
    """The recipe of a network; a card without one (a plugin's) is trained by the contrastive loss."""
    return RECIPES.get(network, Recipe(lambda task: losses.Contrastive()))
