"""Runs that are kept and read several times: a sample of a model's answers, and methods that read one."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.digest import checksum, digest, tensors_of, weights
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
    same_draws = True

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
    same_draws = True

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
    """What tells a run on each pair from any other: weights, both items, baselines, what else was asked, and seed."""
    numbers = [(tuple(one.shape), checksum(one)) for one in weights(batch.model)]
    told = [(name, value) for name, value in sorted(options.items()) if not isinstance(value, Tensor)]
    shared = digest(value for _, value in sorted(options.items()) if isinstance(value, Tensor))
    shared.update(repr((numbers, told, batch.wrt, str(batch.target), batch.seed)).encode())
    found = []
    for one in batch.split(1):
        extra = [value for value in one.extra if isinstance(value, Tensor)]
        own = [*tensors_of(one.a), *tensors_of(one.b), *one.baselines[0], *one.baselines[1], *extra]
        found.append(digest(own, shared).hexdigest())
    return found
