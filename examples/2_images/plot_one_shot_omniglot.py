"""
One-shot learning on Omniglot, and why it chose
===============================================

One drawing of each of 20 characters is known, and another drawing is to be named: the
closest of the 20 is taken :cite:`koch2015`. The 20 runs of Lake et al.
:cite:`lake2015` measure it. Koch's own network takes hours (``xsiamese train koch
Omniglot``); here a small CNN of the zoo learns from 28 x 28 pixels within seconds,
from the two small background sets.

It needs Omniglot's zips in ``XSIAMESE_DATA/omniglot`` and stops with a line that says
so where they are not.
"""

import os
import sys
import tempfile
from pathlib import Path

import torch

folder = Path(os.environ.get("XSIAMESE_DATA", "../shared/data")) / "omniglot"
if not folder.is_dir():
    print(
        f"no Omniglot at {folder}: set XSIAMESE_DATA to the folder that holds omniglot/"
    )
    sys.exit()

from xsiamese import PairGradCAM
from xsiamese.data import Augment, omniglot
from xsiamese.data.sources import Source
from xsiamese.training.oneshot import one_shot_accuracy, one_shot_scores
from xsiamese.training.run import fit, make_module, make_trainer
from xsiamese.training.settings import Settings
from xsiamese.zoo import find_card
from xsiamese.zoo.cards import Preprocessing

pixels = Preprocessing((28, 28), channels=1, mean=(0.08,), std=(0.2,), invert=True)
train, _, test = omniglot.load(folder, pixels.size)
print(
    f"{len(train.classes)} characters to train on, {len(test.classes)} others to test"
)

# %%
# Training: the classes of the training characters, by the softmax over them. The
# classifier is left behind, what stays is the embedding and its cosine.

settings = Settings(
    "small",
    "Omniglot",
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
source = Source("Omniglot", train, train.take([]), train.take(range(64)))
module = make_module(settings.build(), settings, source)
trainer, _ = make_trainer(settings, f"{settings.output}/run")
fit(trainer, module, settings, source)
model = module.model.eval()
runs = omniglot.runs(folder, pixels.size)
print(
    f"20-way one-shot accuracy {one_shot_accuracy(model, runs, pixels):.3f} (chance 0.05)"
)

# %%
# The first run: closeness of every test drawing to every known drawing. A mistake is a
# row whose largest value is not in the right place.

scores = one_shot_scores(model, runs[0], pixels)
chosen = scores.argmax(1)
wrong = (chosen != runs[0].answers).nonzero().flatten().tolist()
print(f"wrong in run 1: {wrong}")

# %%
# Why it chose: the query against the drawing that was taken. Blue places pull the two
# together, red ones push them apart.

query = wrong[0] if wrong else 0


def drawing(images: torch.Tensor, number: int) -> torch.Tensor:
    return pixels.normalise(images[number : number + 1])


explainer = PairGradCAM(model, find_card("small").layer)
taken = explainer.explain(
    (drawing(runs[0].test, query), drawing(runs[0].train, int(chosen[query]))),
    ids=[("query", "taken")],
).plot(preprocessing=pixels)

# %%
# And the query against the drawing of its own character.

right = explainer.explain(
    (drawing(runs[0].test, query), drawing(runs[0].train, int(runs[0].answers[query]))),
    ids=[("query", "its own character")],
).plot(preprocessing=pixels)
