"""
One drawing is enough, and why it chose
=======================================

One drawing of each of 20 characters is known, and another drawing is to be named: the
closest of the 20 is taken :cite:`koch2015`, and a map shows what made it so.

The alphabet is invented here, in the way that Lake et al. :cite:`lake2015` describe
handwriting: a character is a few strokes, and whoever draws it moves them a little. Of
Omniglot itself, with Koch's network, ``xsiamese train koch Omniglot`` takes hours; a
small CNN of the zoo learns these characters in seconds.
"""

import tempfile
from pathlib import Path

import torch

from xsiamese.data import Augment, LabelledImages
from xsiamese.data.omniglot import OneShotRun

SIDE = 28
generator = torch.Generator().manual_seed(0)


def character():
    """Two to four strokes, each a curve through three points of the sheet."""
    strokes = int(torch.randint(2, 5, (1,), generator=generator))
    return 3 + (SIDE - 6) * torch.rand(strokes, 3, 2, generator=generator)


def drawing(strokes):
    """Dark ink on white paper, with an unsteady hand: bytes (1, SIDE, SIDE)."""
    start, middle, end = (
        strokes + 1.2 * torch.randn(strokes.shape, generator=generator)
    ).unbind(1)
    t = torch.linspace(0, 1, 40)[None, :, None]
    curve = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * middle[:, None]
    points = (curve + t**2 * end[:, None]).reshape(-1, 2)
    grid = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).float()
    near = torch.cdist(grid, points).amin(1).view(1, SIDE, SIDE)
    return (255 * ((near - 0.6) / 0.9).clamp(0, 1)).byte()


def sheets(count, drawings):
    images = [[drawing(of) for _ in range(drawings)] for of in count]
    return torch.stack([one for row in images for one in row])


learned, new = [[character() for _ in range(n)] for n in (60, 40)]
names = tuple(f"character {k}" for k in range(60))
train = LabelledImages(
    sheets(learned, 15), torch.arange(60).repeat_interleave(15), names
)
runs = [
    OneShotRun(sheets(new[k : k + 20], 1), sheets(new[k : k + 20], 1), torch.arange(20))
    for k in (0, 20)
]
print(f"{len(names)} characters to train on, {len(new)} others to test")

# %%
# **Training**: the classes of the training characters, by the softmax over them. The
# classifier is left behind, what stays is the embedding and its cosine.

from xsiamese.data.sources import Source
from xsiamese.training.oneshot import one_shot_accuracy, one_shot_scores
from xsiamese.training.run import fit, make_module, make_trainer
from xsiamese.training.settings import Settings
from xsiamese.zoo import find_card
from xsiamese.zoo.cards import Preprocessing

pixels = Preprocessing((28, 28), channels=1, mean=(0.08,), std=(0.2,), invert=True)
settings = Settings(
    "small",
    "invented",
    output=Path(tempfile.mkdtemp()),
    preprocessing=pixels,
    arguments={"channels": 8},
    lr=1e-2,
    epochs=8,
    batch_size=64,
    device="cpu",
    progress=False,
    augment=Augment(degrees=10, shift=0.07, scale=0.1),
)
source = Source("invented", train, train.take([]), train.take(range(60)))
module = make_module(settings.build(), settings, source)
trainer, _ = make_trainer(settings, f"{settings.output}/run")
fit(trainer, module, settings, source)
model = module.model.eval()
accuracy = one_shot_accuracy(model, runs, pixels)
print(f"20-way one-shot accuracy {accuracy:.2f} (chance 0.05)")

# %%
# **The first run**: closeness of every test drawing to every known drawing. A mistake
# is a row whose largest value is not in the right place.

scores = one_shot_scores(model, runs[0], pixels)
chosen = scores.argmax(1)
wrong = (chosen != runs[0].answers).nonzero().flatten().tolist()
print(f"wrong in run 1: {wrong}")

# %%
# **Why it chose.** A query that it got wrong, against the drawing that was taken for
# it. Blue places pull the two together, red ones push them apart.

from xsiamese import PairGradCAM

query = wrong[0] if wrong else 0
explainer = PairGradCAM(model, find_card("small").layer)


def why(number, name):
    pair = runs[0].test[query], runs[0].train[number]
    found = explainer.explain(
        tuple(pixels.normalise(one[None]) for one in pair), ids=[("query", name)]
    )
    return found.plot(preprocessing=pixels)


taken = why(int(chosen[query]), "taken, wrongly" if wrong else "taken")

# %%
# And the query against the drawing of its own character.

right = why(query, "its own character")
