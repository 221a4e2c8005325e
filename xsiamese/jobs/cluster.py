"""Units done by a Ray cluster: plain actors that are watched and replaced, around the same store and manifest.

The driver gives each actor one unit at a time and names in the manifest what was written; an actor that dies, or does
not answer, is replaced, and its unit is given to another. Whatever a dead actor had begun is not named, so that no unit
is there twice.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from xsiamese.jobs.manifest import Entry
from xsiamese.jobs.task import Task, answered
from xsiamese.jobs.unit import Decoded, Unit

TRIES = 3  # of one unit
MISSING = '--engine ray needs Ray: pip install "xsiamese[ray]"'


@dataclass(frozen=True)
class Cluster:
    """An engine of actors on the machines of a cluster, all of which see the job's folder under its path.

    Attributes:
        workers: actors that explain, each with the processors of its threads, or with a GPU.
        address: of the cluster, as ``ray.init`` takes it; a new one on this machine if None.
        decoders: actors that decode for them; as many as ``workers`` where those have GPUs, else none, since an actor
            that explains on processors decodes as fast.
        patience: seconds without a finished unit after which the actors are asked whether they live, and in which they
            must answer.
    """

    workers: int
    address: str | None = None
    decoders: int | None = None
    patience: float = 300.0

    def __call__(self, task: Task, units: Sequence[Unit], /) -> Iterator[Entry]:
        """Does the units.

        Raises:
            ImportError: if Ray is not installed.
            ValueError: if no cluster answers, or the actors die or stay silent again and again.
        """
        with self._reached(task) as ray:
            yield from _Run(ray, self, task, units).entries()

    @contextmanager
    def _reached(self, task: Task) -> Iterator[Any]:
        """Ray, connected; a cluster that was begun here ends here."""
        try:
            import ray
        except ImportError as error:
            raise ImportError(MISSING) from error
        begun = not ray.is_initialized()
        new: dict[str, Any] = (
            {"num_cpus": self.workers * task.threads, "include_dashboard": False} if self.address is None else {}
        )
        if begun:
            try:
                ray.init(address=self.address or "local", log_to_driver=False, logging_level=logging.ERROR, **new)
            except Exception as error:  # of many classes: no such address, no answer, another version
                why = (str(error).splitlines() or [type(error).__name__])[0]
                raise ValueError(f"no Ray cluster answers at {self.address or 'this machine'}: {why}") from error
        try:
            yield ray
        finally:
            if begun:
                ray.shutdown()


class _Run:
    """One job on a connected cluster."""

    def __init__(self, ray: Any, cluster: Cluster, task: Task, units: Sequence[Unit]) -> None:
        self.ray, self.cluster, self.units = ray, cluster, units
        self.gpus = 0 if task.device == "cpu" else 1
        self.threads = task.threads
        self.task = ray.put(task)  # once for all actors
        self.tries: Counter[Unit] = Counter()
        self.waiting = deque(units)
        self.running: dict[Any, tuple[Any, Unit]] = {}  # the actor and the unit of each answer that is awaited
        count = min(cluster.workers, len(units))
        self.idle = [self._explainer() for _ in range(count)]
        decoders = cluster.decoders if cluster.decoders is not None else count * self.gpus
        self.decoders = [self._decoder() for _ in range(decoders)]

    def entries(self) -> Iterator[Entry]:
        """What was written of each unit, as soon as it is."""
        while self.waiting or self.running:
            while self.idle and self.waiting:
                self._give(self.idle.pop(), self.waiting.popleft())
            ready, _ = self.ray.wait(list(self.running), timeout=self.cluster.patience)
            if not ready:
                self._ask_who_lives()
                continue
            actor, unit = self.running.pop(ready[0])
            try:
                answer = self.ray.get(ready[0])
            except self.ray.exceptions.RayError as error:  # the actor, its machine or what it was sent is gone
                self._again(actor, unit, type(error).__name__)
                continue
            if isinstance(answer, Exception):
                raise answer
            self.idle.append(actor)
            yield answer

    def _give(self, actor: Any, unit: Unit) -> None:
        self.tries[unit] += 1
        what: Any = unit
        if self.decoders:
            decoder = self.decoders[unit.number % len(self.decoders)]
            what = decoder.decoded.remote(unit)  # goes from the decoder to the actor, not through this process
        self.running[actor.done.remote(what)] = actor, unit

    def _again(self, actor: Any, unit: Unit, why: str) -> None:
        """Replaces an actor, and gives its unit to another one.

        Raises:
            ValueError: if the unit was tried too often.
        """
        if self.tries[unit] >= TRIES:
            raise ValueError(
                f"pairs {unit.start} to {unit.stop - 1} ended {TRIES} workers of the cluster ({why}): often there is "
                "not enough memory; give a smaller --batch, or a smaller --unit in a new folder"
            )
        self.ray.kill(actor)
        self.waiting.appendleft(unit)
        self.idle.append(self._explainer())
        for i, decoder in enumerate(self.decoders):
            if self._silent([decoder]):
                self.ray.kill(decoder)
                self.decoders[i] = self._decoder()

    def _ask_who_lives(self) -> None:
        """Replaces actors that do not answer beside their work.

        Raises:
            ValueError: if none does.
        """
        busy = dict(self.running)
        silent = self._silent([actor for actor, _ in busy.values()])
        if len(silent) == len(busy):
            free = {name: n for name, n in self.ray.available_resources().items() if name in ("CPU", "GPU")}
            raise ValueError(
                f"no worker of the cluster has answered for {2 * self.cluster.patience:.0f} s: each needs "
                f"{self.gpus or self.threads} {'GPU' if self.gpus else 'CPU'}, and free are {free or 'none'}"
            )
        for answer, (actor, unit) in busy.items():
            if actor in silent:
                del self.running[answer]
                self._again(actor, unit, "no answer")

    def _silent(self, actors: Sequence[Any]) -> list[Any]:
        asked = {actor.lives.remote(): actor for actor in actors}
        ready, late = self.ray.wait(list(asked), num_returns=len(asked), timeout=self.cluster.patience)
        return [asked[one] for one in late] + [asked[one] for one in ready if not self._said(one)]

    def _said(self, answer: Any) -> bool:
        try:
            return bool(self.ray.get(answer))
        except self.ray.exceptions.RayError:
            return False

    def _explainer(self) -> Any:
        needs: dict[str, Any] = {"num_gpus": 1, "num_cpus": 0} if self.gpus else {"num_cpus": self.threads}
        return self.ray.remote(concurrency_groups={"health": 1}, **needs)(Worker).remote(self.task)

    def _decoder(self) -> Any:
        needs: dict[str, Any] = {"num_cpus": self.gpus}  # beside explainers on processors it is a guest
        return self.ray.remote(concurrency_groups={"health": 1}, **needs)(Worker).remote(self.task)


class Worker:
    """What runs in an actor."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def decoded(self, unit: Unit) -> Decoded:
        """A unit with its items."""
        return self.task.decoded(unit)

    def done(self, what: Unit | Decoded) -> Entry | Exception:
        """What was written of a unit, or what went wrong."""
        torch.set_num_threads(self.task.threads)
        return answered(self.task, what)

    def lives(self) -> bool:
        """Answers beside the work, in a thread of its own."""
        return True
