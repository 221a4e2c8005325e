"""A first look: the shipped model on shipped pairs."""

from __future__ import annotations

from pathlib import Path


def demo(*, output: Path = Path("demo"), method: str = "gradcam") -> None:
    """Explain a similar and a different pair of shipped images with the shipped model.

    Parameters
    ----------
    output
        The folder for the pictures.
    method
        The explainer, see ``xsiamese explainers``.
    """
    from xsiamese.data import fashion_pair
    from xsiamese.explain.catalogue import explainer as find
    from xsiamese.zoo import shipped

    output.mkdir(parents=True, exist_ok=True)
    checkpoint = shipped("fashion")
    cls = find(method)
    made = cls(checkpoint.model, checkpoint.card.layer) if cls.needs_layer else cls(checkpoint.model)
    for name, classes in (("similar", ("sneaker", "sneaker")), ("different", ("sneaker", "bag"))):
        explanation = made.explain(fashion_pair(*classes, number=2), ids=[classes])
        path = output / f"{name}.png"
        explanation.plot(preprocessing=checkpoint.card.preprocessing).savefig(path, dpi=120)
        print(
            f"{name}: {classes[0]} - {classes[1]}, cosine similarity {float(explanation.scores[0]):.3f}, "
            f"{explanation.method}: {path}"
        )
