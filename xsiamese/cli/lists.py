"""What is there: plugins, explainers and networks, for people and as JSON."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from xsiamese.explain.attribution import PairAttribution

Json = Annotated[bool, Parameter(name="--json", negative=())]
WIDTH = 100
FEW = 64
COSTS = (
    "a pass or a few",
    "tens of passes, as an option says",
    "a pass for each part: feature, cell, channel, node, dimension or step of a search",
    "a hundred passes and more, as an option says",
)
COUNTS = ("masks", "n_steps", "n_samples", "nt_samples", "epochs", "steps", "draws")
"""Options that say how often the model is asked."""


def plugins(*, json_: Json = False) -> None:
    """List the installed plugins: distribution, version, hooks, and what is broken.

    Parameters
    ----------
    json_
        Print JSON for machines.
    """
    from dataclasses import asdict

    from xsiamese.door.registry import installed

    rows = [asdict(plugin) for plugin in installed().values()]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        state = (
            f"BROKEN {row['failure']}" if row["failure"] else "disabled" if row["disabled"] else ", ".join(row["hooks"])
        )
        print(f"{row['name']:<16} {row['distribution']} {row['version']}  ({row['module']})  {state}")


def explainers(*, kind: str = "", json_: Json = False) -> None:
    """List the explainers by cost: the name for --method, the class, the kinds of input and what it does.

    Parameters
    ----------
    kind
        Only those that explain this kind of input: image, row, graph, series, volume or text.
    json_
        Print JSON for machines.
    """
    from xsiamese.explain.catalogue import explainers as known
    from xsiamese.explain.words import first_sentence
    from xsiamese.kinds.catalogue import kind as kind_named

    if kind:
        kind_named(kind)  # an unknown one is refused with the nearest
    found = {key: cls for key, cls in known().items() if not kind or kind in cls.traits.modalities}
    if json_:
        rows = [
            {
                "name": cls.name,
                "class": key,
                "summary": first_sentence(cls),
                "kinds": sorted(cls.traits.modalities),
                "gradients": cls.traits.uses_gradients,
                "cost": cost_of(cls)[1],
            }
            for key, cls in found.items()
        ]
        print(json.dumps(rows, indent=2))
        return
    print("\n".join(listed(found)))


def listed(found: Mapping[str, type[PairAttribution]]) -> Iterator[str]:
    """Explainers for a terminal, by what a pair costs: name, class, kinds of input and cost, and what it does below."""
    from xsiamese.explain.words import first_sentence

    kinds = sorted({kind for cls in found.values() for kind in cls.traits.modalities})
    for number, title in enumerate(COSTS):
        group = {key: cls for key, cls in found.items() if cost_of(cls)[0] == number}
        if not group:
            continue
        yield from ("", f"# {title}") if number else (f"# {title}",)
        for key, cls in sorted(group.items(), key=lambda item: str(item[1].name)):
            own = " ".join(kind if kind in cls.traits.modalities else " " * len(kind) for kind in kinds)
            yield f"{cls.name:<28} {key:<29} {own}".rstrip()
            plain = re.sub(r":\w+:`~?([^`]+)`|``([^`]+)``", r"\1\2", first_sentence(cls))  # a terminal has no links
            said = f"{plain} Passes: {cost_of(cls)[1]}." if cost_of(cls)[1] else plain
            yield from textwrap.wrap(said, WIDTH, initial_indent="    ", subsequent_indent="    ")


def cost_of(cls: type[PairAttribution]) -> tuple[int, str]:
    """Which of :data:`COSTS` an explainer is, and how many passes that are by default, in words.

    Example:
        >>> from xsiamese import PairGradCAM, PairIntegratedGradients, PairRISE, PairOcclusion
        >>> [cost_of(cls) for cls in (PairGradCAM, PairIntegratedGradients, PairRISE)]
        [(0, ''), (1, 'n_steps=50'), (3, 'masks=1000')]
        >>> cost_of(PairOcclusion)
        (2, '')
    """
    if cls.traits.cost:
        return 2, cls.traits.cost
    options = {name: option.default for name, option in cls.options().items()}
    count = next((name for name in COUNTS if isinstance(options.get(name), int)), None)
    if count is not None:
        return (1 if options[count] <= FEW else 3), f"{count}={options[count]}"
    if cls.traits.distribution_baselines:
        return 2, "one for each baseline"
    return (0 if cls.traits.uses_gradients or cls.traits.of_activations else 2), ""


def zoo(*, json_: Json = False) -> None:
    """List the networks of the zoo.

    Parameters
    ----------
    json_
        Print JSON for machines.
    """
    from xsiamese.door.registry import models as brought
    from xsiamese.zoo import CARDS

    cards = {**{card.name: card for card in CARDS}, **brought()}
    shown = ("name", "input", "embedding", "comparison", "layer", "licence", "weights", "summary")
    rows = [{key: getattr(card, key) for key in shown} for card in cards.values()]
    if json_:
        print(json.dumps(rows, indent=2, default=str))  # a plugin's weights are a path
        return
    for row in rows:
        print(f"{row['name']:<28} {'shipped' if row['weights'] else 'untrained':<10} {row['summary']}")
