"""
Train a Siamese network and watch its latent space
==================================================

The 2-d EmbeddingNet of *Siamese networks and Friends* under the contrastive loss, on
Fashion-MNIST. On the command line this is

.. code-block:: console

   $ xsiamese train siamese-contrastive FashionMNIST --data data --animation

Here it is trained for seconds, on 3,000 images of the data set if it is there
(``XSIAMESE_DATA``), or on the 40 images that come with the library.
"""

import os
import tempfile
from pathlib import Path

from xsiamese.data import LabelledImages, fashion_samples
from xsiamese.data.samples import CLASSES
from xsiamese.data.sources import Source, torchvision_set
from xsiamese.plot import curves, latent_space
from xsiamese.training.evaluation import evaluate, table
from xsiamese.training.latent import LatentSpace
from xsiamese.training.run import fit, make_module, make_trainer
from xsiamese.training.settings import Settings
from xsiamese.zoo import find_card

pixels = find_card("siamese-contrastive").preprocessing
folder = Path(os.environ.get("XSIAMESE_DATA", "../shared/data")) / "fashion_mnist"
if folder.is_dir():
    train, test = (
        torchvision_set("FashionMNIST", folder, part, pixels).take(range(size))
        for part, size in ((True, 3000), (False, 1000))
    )
else:
    samples = fashion_samples()
    train = test = LabelledImages(samples.images, samples.labels, CLASSES)
print(f"{len(train)} images to train on, {len(test)} to test")

# %%
# Pairs are sampled for a whole epoch at once, half of them same. The latent space of
# the test images is kept after each epoch.

output = Path(tempfile.mkdtemp())
settings = Settings(
    "siamese-contrastive",
    "FashionMNIST",
    output=output,
    lr=2e-3,
    epochs=6,
    batch_size=64,
    device="cpu",
    progress=False,
)
source = Source("FashionMNIST", train, train.take([]), test)
module = make_module(settings.build(), settings, source)
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
# And why a shirt and a trouser are not alike.

from xsiamese import PairGradCAM
from xsiamese.data import fashion_pair

a, b = fashion_pair("shirt", "trouser")
why = (
    PairGradCAM(model, find_card("siamese-contrastive").layer)
    .explain((a, b), ids=[("shirt", "trouser")])
    .plot(preprocessing=pixels)
)
