"""A small job, what is in its folder by other readers than ours, and processes that die in the middle of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from pyarrow import parquet
from torch import Tensor, nn

from xsiamese import PairIntegratedGradients, SiameseModel, explain_pairs
from xsiamese.jobs.explanations import StoredExplanations
from xsiamese.jobs.source import Rows, Source
from xsiamese.kinds.words import Texts

PAIRS = 10
UNITS = 3  # of four pairs, the last of two


def model() -> SiameseModel:
    """A model of rows of four numbers with a threshold, in float64."""
    torch.manual_seed(0)
    made = SiameseModel(nn.Sequential(nn.Linear(4, 3), nn.Tanh()).double(), "cosine")
    made.comparison.threshold_ = 0.25
    return made.eval()


def explainer() -> PairIntegratedGradients:
    """A method that is complete, so that there is a delta."""
    return PairIntegratedGradients(model())


def items() -> Tensor:
    """Ten rows."""
    return torch.randn(10, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def pairs() -> Tensor:
    """Different pairs of them."""
    every = torch.cartesian_prod(torch.arange(10), torch.arange(10))
    return every[torch.randperm(100, generator=torch.Generator().manual_seed(2))[:PAIRS]]


def job(folder: Path, **changed: Any) -> StoredExplanations:
    """The job, or what is left of it."""
    given: dict[str, Any] = {"items": items(), "unit": 4, "batch": 3, "show_progress": False, "n_steps": 5, **changed}
    given = {name: value for name, value in given.items() if value is not None or name == "items"}
    return explain_pairs(given.pop("pairs", pairs()), folder, given.pop("explainer", None) or explainer(), **given)


def contents(folder: Path) -> dict[str, Any]:
    """Every array and every row of a folder, as zarr and pyarrow read them, and the units that its manifests name."""
    named = [json.loads(line) for path in folder.glob("manifest*.jsonl") for line in path.read_text().splitlines()]
    groups = {path.name for path in (folder / "arrays.zarr").glob("[!.]*") if path.is_dir()}
    parts = {path.stem for path in (folder / "pairs").glob("[!.]*")}
    found: dict[str, Any] = {"named": sorted(one["unit"] for one in named), "groups": groups, "parts": parts}
    for name in sorted(groups):
        group = zarr.open_group(folder / "arrays.zarr", mode="r")[name]
        assert isinstance(group, zarr.Group)
        found[f"{name}/about"] = json.dumps(dict(group.attrs), sort_keys=True)
        for key in group.array_keys():
            found[f"{name}/{key}"] = np.asarray(group[key])  # type: ignore[arg-type]
    for name in sorted(parts):
        found[f"{name}/rows"] = parquet.read_table(folder / "pairs" / f"{name}.parquet").to_pylist()
    return found


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two folders hold the same, value for value."""
    return first.keys() == second.keys() and all(
        np.array_equal(value, second[key]) if isinstance(value, np.ndarray) else value == second[key]
        for key, value in first.items()
    )


class Dying(Source):
    """Rows, whose reader kills its process the first time that it runs in another than it was made in."""

    def __init__(self, items: Tensor, mark: Path) -> None:
        self.rows, self.mark, self.home = Rows(items), mark, os.getpid()

    def __call__(self, word: str) -> Tensor:
        if os.getpid() != self.home and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.rows(word)

    def together(self, items: Sequence[Any]) -> Tensor:
        return self.rows.together(items)

    def described(self) -> str:
        return self.rows.described()


class Choking(nn.Module):
    """An encoder that refuses rows that begin with 99."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 3).double()

    def forward(self, rows: Tensor) -> Tensor:
        if bool((rows[:, 0] == 99).any()):
            raise ValueError("a row of 99 is too much")
        found: Tensor = self.linear(rows)
        return found


class Spelled(SiameseModel):
    """A model of texts: a word is its number of letters, a text the mean of their embeddings."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(Words(), "dot")

    def taken(self, inputs: Any) -> Any:
        return tuple(spelled(side) if isinstance(side[0], str) else side for side in inputs)


class Words(nn.Module):
    """The mean of the embeddings of the words that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 3)

    def forward(self, input_ids: Tensor) -> Tensor:
        there = (input_ids > 0).float()[..., None]
        found: Tensor = (self.embedding(input_ids) * there).sum(1) / there.sum(1).clamp(min=1)
        return found


def spelled(texts: Sequence[str]) -> Texts:
    """The words of some texts as the numbers of their letters, as long as the longest text."""
    words = [text.split() for text in texts]
    longest = max(map(len, words))
    ids = torch.tensor([[len(word) for word in one] + [0] * (longest - len(one)) for one in words])
    word_of = torch.tensor([[i if i < len(one) else -1 for i in range(longest)] for one in words])
    pieces = [(*one, *["[PAD]"] * (longest - len(one))) for one in words]
    return Texts({"input_ids": ids}, pieces, word_of, words)


class Summed(nn.Module):
    """The sum of the features of a graph's nodes, bent; a feature of 99 is refused."""

    def forward(self, graphs: Any) -> Tensor:
        if bool((graphs.x == 99).any()):
            raise ValueError("a node of 99 is too much")
        of = graphs.batch if graphs.batch is not None else graphs.x.new_zeros(len(graphs.x), dtype=torch.long)
        return graphs.x.new_zeros(int(of.max()) + 1, graphs.x.shape[1]).index_add(0, of, graphs.x.tanh())


def summed() -> SiameseModel:
    """A model of graphs."""
    return SiameseModel(Summed(), "dot")


class Deadly(Dying):
    """Rows, whose reader kills every process but the one that it was made in."""

    def __init__(self, items: Tensor) -> None:
        super().__init__(items, Path("/nowhere"))

    def __call__(self, word: str) -> Tensor:
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.rows(word)


class Idle:
    """An actor that holds processors."""

    def lives(self) -> bool:
        return True
