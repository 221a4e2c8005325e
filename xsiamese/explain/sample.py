"""Runs that are kept and read several times: a sample of a model's answers, and methods that read one."""

from __future__ import annotations

import hashlib
import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.found import Found
from xsiamese.explain.maps import Maps
from xsiamese.pairs.batch import PairBatch
from xsiamese.result import columns
from xsiamese.result.columns import Column
from xsiamese.result.explanation import PairExplanation

FINGERPRINT = "fingerprint"


class Sample(PairExplanation):
    """A result without maps: what a model answered to one run of questions, for read-outs to read."""


class Sampler(PairAttribution):
    """Asks a model once, for several methods to read: its ``compute`` gives a
    :class:`~xsiamese.explain.found.Found` with columns and no maps.

    :meth:`sample` is :meth:`explain` with a fingerprint of weights, inputs, options and seed in every pair, so that a
    read-out knows whether a sample is of its own pairs.
    """

    result: ClassVar[type[PairExplanation]] = Sample

    def sample(self, inputs: Any, **arguments: Any) -> Sample:
        """The run, as a result that can be saved and read again."""
        found = self.explain(inputs, **arguments)
        assert isinstance(found, Sample)
        return found

    @abstractmethod
    def ask(self, batch: PairBatch, *args: Any, **options: Any) -> Mapping[str, Column]:
        """The columns of the sample; ``options`` are the sampler's own."""

    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Found:
        """The sample of one batch of pairs."""
        return Found(columns={**self.ask(batch, **options), FINGERPRINT: fingerprints(batch, options)})

    @classmethod
    def options(cls) -> dict[str, inspect.Parameter]:
        parameters = inspect.signature(cls.ask).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


class ReadOut(PairAttribution):
    """A method that reads a sample: it costs no pass of the model if one is given as ``sample=``.

    Attributes:
        requires: the sampler whose samples it reads.
    """

    requires: ClassVar[type[Sampler]]

    @abstractmethod
    def read(self, batch: PairBatch, sample: Mapping[str, Column], *args: Any, **options: Any) -> Maps | Found:
        """What the columns of a sample say of a batch; ``options`` are the read-out's own."""

    def compute(self, batch: PairBatch, *args: Any, sample: Sample | None = None, **options: Any) -> Maps | Found:
        """The maps.

        Args:
            batch: the pairs.
            sample: a run to read, of the same model, pairs, options and seed; a new one is made if left out.

        Raises:
            ValueError: if the sample is of other pairs, weights, options or another seed.
        """
        known = inspect.signature(self.requires.ask).parameters
        asked = {name: value for name, value in options.items() if name in known}
        own = {name: value for name, value in options.items() if name not in known}
        if sample is None:
            return self.read(batch, self.requires(self.model).ask(batch, **asked), **own)
        which = range(batch.first_pair, batch.first_pair + batch.pairs)
        told = sample.columns.get(FINGERPRINT, ())
        if len(told) < which.stop or [told[i] for i in which] != fingerprints(batch, asked):
            raise ValueError(
                "the sample is of other pairs, another model, other options or another seed: make it with "
                f"{self.requires.__name__}(model).sample(inputs) on the same"
            )
        value = sample.scores[list(which)].to(batch.leaves[0].device)
        read = self.read(batch, columns.taken(sample.columns, list(which)), **own)
        made = read if isinstance(read, Found) else Found(read)
        # the sample knows the scores, so that reading it costs no pass at all
        return Found(made.maps, batch.model.closeness(value) if made.value is None else made.value, made.columns)

    @classmethod
    def options(cls) -> dict[str, inspect.Parameter]:
        own = {p.name: p for p in inspect.signature(cls.read).parameters.values() if p.kind is p.KEYWORD_ONLY}
        sample = {"sample": inspect.signature(ReadOut.compute).parameters["sample"]}
        return {**cls.requires.options(), **own, **sample}


def fingerprints(batch: PairBatch, options: Mapping[str, Any]) -> list[str]:
    """What tells a run on each pair from any other: weights, both items, options and seed."""
    shared = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(_state(batch.model).items()):
        shared.update(f"{name}{tuple(tensor.shape)}".encode())
        shared.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    shared.update(repr((sorted((k, repr(v)) for k, v in options.items()), batch.seed)).encode())
    found = []
    for one in batch.split(1):
        made = shared.copy()
        for leaf in (*one.a.leaves, *one.b.leaves):
            made.update(f"{tuple(leaf.shape)}{leaf.dtype}".encode())
            made.update(leaf.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        found.append(made.hexdigest())
    return found


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in model.state_dict().items() if value.numel()}
