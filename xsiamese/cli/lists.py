"""What is there: plugins, explainers and networks, for people and as JSON."""

from __future__ import annotations

import json
import re
from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(name="--json", negative=())]


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
    """List the explainers: the name for --method, the class, and what it does; first those that take gradients.

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
    rows = [
        {
            "name": cls.name,
            "class": key,
            "summary": first_sentence(cls),
            "kinds": sorted(cls.traits.modalities),
            "gradients": cls.traits.uses_gradients,
        }
        for key, cls in known().items()
        if not kind or kind in cls.traits.modalities
    ]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    for gradients, title in (
        (True, "by gradients: a pass or a few"),
        (False, "by the model's answers alone: many passes, any model"),
    ):
        print(f"# {title}")
        for row in sorted((row for row in rows if row["gradients"] is gradients), key=lambda row: str(row["name"])):
            plain = re.sub(r":\w+:`~?([^`]+)`|``([^`]+)``", r"\1\2", str(row["summary"]))  # a terminal has no links
            print(f"{row['name']:<28} {row['class']:<30} {plain}")


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
