"""
Train a Siamese network and watch its latent space
==================================================

A network learns which handwritten digits are the same, and after each epoch the plane
of its embeddings is kept: ten classes come apart.

It is the 2-d EmbeddingNet of *Siamese networks and Friends* under the contrastive loss;
the digits are those of scikit-learn. On the command line, on Fashion-MNIST, this is
``xsiamese train siamese-contrastive FashionMNIST --data data --animation``.
"""

# sphinx_gallery_thumbnail_number = 3

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from xsiamese.data import LabelledImages
from xsiamese.data.sources import Source
from xsiamese.plot import curves, latent_space
from xsiamese.training.evaluation import evaluate, table
from xsiamese.training.latent import LatentSpace
from xsiamese.training.run import fit, make_module, make_trainer
from xsiamese.training.settings import Settings
from xsiamese.zoo import find_card

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] * (255 / 16)
images = torch.nn.functional.interpolate(images, (28, 28), mode="bilinear").byte()
everything = LabelledImages(
    images, torch.tensor(digits.target), tuple(map(str, range(10)))
)
train, test = everything.take(range(1200)), everything.take(range(1200, 1797))
print(f"{len(train)} images to train on, {len(test)} to test")

# %%
# Pairs are sampled for a whole epoch at once, half of them same. The latent space of
# the test images is kept after each epoch.

output = Path(tempfile.mkdtemp())
settings = Settings(
    "siamese-contrastive",
    "digits",
    output=output,
    lr=2e-3,
    epochs=6,
    batch_size=64,
    device="cpu",
    progress=False,
)
source = Source("digits", train, train.take([]), test)
module = make_module(settings.build(), settings, source)
pixels = find_card("siamese-contrastive").preprocessing
latent = LatentSpace(test)
trainer, _ = make_trainer(settings, str(output / "run"), latent)
fit(trainer, module, settings, source)
losses = curves(
    {
        "train loss": module.history["train_loss"],
        "test loss": module.history["valid_loss"],
    }
)

# %%
# Before training, and after the last epoch. ``latent.save("latent.gif")`` writes all of
# them as an animation.

before = latent_space(
    latent.frames[0], latent.items.labels, latent.items.classes, "before training"
)

# %%
after = latent_space(
    latent.frames[-1], latent.items.labels, latent.items.classes, "after 6 epochs"
)

# %%
# What it is worth: the threshold is found on training pairs, and everything else is
# measured on test pairs.

model = module.model.eval()
print(table(evaluate(model, train, test, pixels, count=2000)))

# %%
# **And why a three and an eight are not alike.** Blue pulls together, red pushes apart.

from xsiamese import PairGradCAM


def digit(number):
    first = int((test.labels == number).nonzero()[0])
    return pixels.normalise(test.images[first : first + 1])


explainer = PairGradCAM(model, find_card("siamese-contrastive").layer)
found = explainer.explain((digit(3), digit(8)), ids=[("a three", "an eight")])
figure = found.plot(preprocessing=pixels)
