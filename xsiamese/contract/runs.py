"""Whether one run gives one result: what it costs, that it comes back from a file, and that two do not meet."""

from __future__ import annotations

import json
import threading
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.contract.numbers import Numbers
from xsiamese.contract.subject import ContractError, Subject, names_of, near
from xsiamese.explain.options import options_of
from xsiamese.model.comparison import Dot, Function
from xsiamese.model.pair import SiameseModel
from xsiamese.result import columns, files
from xsiamese.result.explanation import PairExplanation

SIZE = 2
PATIENCE = 5.0  # seconds in which a thread starts, on any machine


def check_one_run(subject: Subject) -> None:
    """``explain`` costs the encoder rows of ``attribute``, never more at once, and gives the same maps and the model's
    own scores.
    """
    rows: dict[str, list[int]] = {"attribute": [], "explain": []}
    maps = subject.attribute(_counted(subject, rows["attribute"]), subject.pairs(), internal_batch_size=SIZE)
    found = subject.explain(subject.make(_counted(subject, rows["explain"])), subject.pairs(), internal_batch_size=SIZE)
    spent, whole = (sum(rows[way]) for way in rows)
    if whole != spent and found.maps is not None:  # without maps there is no attribute
        raise ContractError(f"explain encodes {whole} rows and attribute {spent}: explain must be the one run")
    most = max([SIZE, *rows["attribute"]])
    if max(rows["explain"], default=0) > most:
        raise ContractError(f"explain sends {max(rows['explain'])} rows through the model at once, not {most}")
    near(numbers(subject, found), maps, "in explain from that of attribute")
    with torch.no_grad():
        own = subject.model()(*subject.given(subject.pairs()))
    if found.scores.shape != own.shape or not torch.allclose(found.scores, own, rtol=1e-6, atol=1e-9):
        raise ContractError(f"the scores are {found.scores.tolist()}, and the model's own are {own.tolist()}")


def check_from_file(subject: Subject) -> None:
    """A result comes back from a file as what it was, whole and of some of the pairs."""
    made = subject.explain(subject.make(subject.model()), subject.pairs())
    for found, what in ((made, "whole"), (made[1:], "pairs 1 on")):
        if type(found) is not subject.cls.result:
            raise ContractError(f"{what}: a {type(found).__name__} where result says {subject.cls.result.__name__}")
        with TemporaryDirectory() as folder:
            again = files.load(found.save(Path(folder, "why.safetensors")), subject.cls.result)
        if type(again) is not type(found):
            raise ContractError(
                f"{what}: a {type(again).__name__} comes back from the file of a {type(found).__name__}"
            )
        if len(again) != len(found) or not torch.equal(again.scores, found.scores):
            raise ContractError(f"{what}: the scores that come back are {again.scores.tolist()}")
        if found.maps is not None:
            near(numbers(subject, again), numbers(subject, found), f"when it comes back from a file, {what}", 0.0)
        for name, column in again.columns.items():
            parts = [entry.type for entry in column if isinstance(entry, columns.Unknown)]
            if parts:
                raise ContractError(f"{what}: column {name} comes back as parts: name {parts[0]} in packables")
        (tensors, plain), (own, told) = (columns.pack(one.columns) for one in (again, found))
        same = tensors.keys() == own.keys() and all(torch.equal(tensors[name], own[name]) for name in own)
        if not same or json.dumps(plain) != json.dumps(told):
            raise ContractError(f"{what}: other columns come back from the file: {', '.join(again.columns) or 'none'}")


def check_two_at_once(subject: Subject) -> None:
    """Two explanations at once, on one explainer, are what each is alone, and leave the model as it was."""
    meeting = Meeting()
    model = SiameseModel(subject.encoder(), Meets(meeting)).train()
    next(model.parameters()).requires_grad_(False)
    explainer, before = subject.make(model), _flags(model)
    pairs = [subject.one(subject.pairs(), i) for i in (0, 1)]
    found: dict[int, Any] = {}

    def work(i: int, begun: threading.Event) -> None:
        if i:  # the first says so itself, from inside the model
            begun.set()
        try:
            found[i] = explainer.explain(subject.given(pairs[i]), **subject.options)
        except Exception as error:
            found[i] = error
        begun.set()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        alone = [numbers(subject, explainer.explain(subject.given(pair), **subject.options)) for pair in pairs]
        meeting.waits = True
        threads = [threading.Thread(target=work, args=(i, event)) for i, event in enumerate(meeting.begun)]
        threads[0].start()
        meeting.begun[0].wait(PATIENCE)
        threads[1].start()
        for thread in threads:
            thread.join()
    for i in (0, 1):
        if isinstance(found[i], Exception):
            raise ContractError(f"of two explanations at once one raised {type(found[i]).__name__}: {found[i]}")
        near(
            numbers(subject, found[i]), alone[i], "when two pairs are explained at once: keep nothing on self in a call"
        )
    if _flags(model) != before:
        raise ContractError("training flags or requires_grad are not as they were after two explanations at once")


class Meeting:
    """What two explanations know of each other; a copy of a model has the same one."""

    def __init__(self) -> None:
        self.begun = threading.Event(), threading.Event()
        self.waits = False

    def __deepcopy__(self, memo: Any) -> Meeting:
        return self


class Meets(Dot):
    """The inner product, whose first call waits until another explanation has begun."""

    def __init__(self, meeting: Meeting) -> None:
        super().__init__()
        self.meeting = meeting

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        first, second = self.meeting.begun
        if self.meeting.waits and not first.is_set():
            first.set()
            second.wait(PATIENCE)
            sleep(0.02)  # it has begun, and comes as far as it can
        return super().forward(z_a, z_b)


def _flags(model: nn.Module) -> list[Any]:
    return [(m.training, [p.requires_grad for p in m.parameters(False)]) for m in model.modules()]


def check_options(subject: Subject) -> None:
    """Own options are described, and those of plain types can be given as text."""
    for option in options_of(subject.cls):
        if not option.text:
            raise ContractError(f"the option {option.name} is described nowhere: name it under Args: of its docstring")
        default = option.default
        if not option.types or not isinstance(default, (bool, int, float, str, type(None))):
            continue
        text = str(default).lower() if isinstance(default, bool) or default is None else str(default)
        try:
            read = option.value(text)
        except ValueError as error:
            raise ContractError(f"the default of {option.name} does not fit its annotation: {error}") from None
        if read != default:
            raise ContractError(f"{option.flag} {text} is read as {read!r}, and the default is {default!r}")


def check_linear(subject: Subject) -> None:
    """Where it is claimed, the maps of a sum of two values are the sum of their maps."""

    def first(z_a: Tensor, z_b: Tensor) -> Tensor:
        return (z_a * z_b).sum(1)

    def second(z_a: Tensor, z_b: Tensor) -> Tensor:
        return z_a[:, 0] * z_b[:, 1]

    def both(z_a: Tensor, z_b: Tensor) -> Tensor:
        return first(z_a, z_b) + second(z_a, z_b)

    one, two, whole = (
        subject.attribute(SiameseModel(subject.encoder(), Function(value)), subject.pairs())
        for value in (first, second, both)
    )
    added = [x + y for x, y in zip(one, two, strict=True)]
    near(whole, added, "from the sum of those of two values, and linear=True says that it is that")


def check_of_this_model(subject: Subject) -> None:
    """Other weights give other maps: an explanation is of a model."""
    other = subject.encoder()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.25)
    found = subject.attribute(subject.model(), subject.pairs())
    changed = subject.attribute(subject.model(other), subject.pairs())
    if all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(found, changed, strict=True)):
        raise ContractError(f"{' and '.join(names_of(found))} are the same for a model with other weights")


def numbers(subject: Subject, found: PairExplanation) -> Any:
    """The maps of a result as two tensors, or the numbers of its columns if it has none."""
    if found.maps is None:
        return Numbers(found.columns)
    return subject.plain(found.maps)


def _counted(subject: Subject, rows: list[int]) -> SiameseModel:
    """The model, whose last layer notes how many rows go through it at once, those of a tail as well."""
    encoder = subject.encoder()
    encoder[-1].register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    return subject.model(encoder)
