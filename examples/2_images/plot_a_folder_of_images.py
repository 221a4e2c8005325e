"""
From a folder of images to an answer
====================================

A Siamese network is trained on a folder of images, and then says why it found two of
them alike or different.

These are the two notebooks of Grad_CAM_Siamese (Livieris et al. 2023,
:cite:`livieris2023`) from end to end. On the command line the first is ``xsiamese train
--config config.yml``, with their ``config.yml``. The flowers are drawn here, so that
nothing is downloaded: four species, which differ in the number and the shape of their
petals and not in colour. A small backbone starts from nothing; ``--weights DEFAULT``
starts from ImageNet.
"""

# sphinx_gallery_thumbnail_number = 2
import tempfile
from pathlib import Path

import torch
from torchvision.utils import save_image

SPECIES = {"trillium": (3, 0.9), "periwinkle": (5, 0.6), "lily": (6, 2.0)}
SPECIES["daisy"] = (14, 1.0)  # petals, and how pointed they are
SIDE = 64
generator = torch.Generator().manual_seed(0)


def flower(petals, pointed):
    """One flower in a meadow: place, size, turn and colour are drawn by lot."""
    across, down, size, turn, *colour = torch.rand(6, generator=generator).tolist()
    axis = torch.linspace(-1, 1, SIDE)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    x, y = x - 0.4 * (across - 0.5), y - 0.4 * (down - 0.5)
    angle, radius = torch.atan2(y, x) + 6.3 * turn, x.hypot(y) / (0.6 + 0.3 * size)
    edge = 0.25 + 0.75 * (0.5 + 0.5 * (petals * angle).cos()) ** pointed
    petal, heart = (
        torch.sigmoid(25 * (edge - radius)),
        torch.sigmoid(25 * (0.2 - radius)),
    )
    grass = torch.rand(1, SIDE // 8, SIDE // 8, generator=generator)
    grass = torch.nn.functional.interpolate(grass[None], (SIDE, SIDE))[0]
    meadow = torch.tensor([0.2, 0.5, 0.2]).view(3, 1, 1) * (0.6 + 0.8 * grass)
    bright = torch.tensor([0.95, 0.4 + 0.5 * colour[0], 0.4 + 0.5 * colour[1]])
    picture = torch.lerp(meadow, bright.view(3, 1, 1).expand(-1, SIDE, SIDE), petal)
    yellow = torch.tensor([0.85, 0.7, 0.1]).view(3, 1, 1)
    return torch.lerp(picture, yellow.expand(-1, SIDE, SIDE), heart)


folder = Path(tempfile.mkdtemp())
for name, form in SPECIES.items():
    (folder / "flowers" / name).mkdir(parents=True)
    for number in range(40):
        save_image(flower(*form), folder / "flowers" / name / f"{number:02}.png")

# %%
# **01, training.** For each anchor one positive and one negative, images split into
# training, validation and test. Distances are learned with margin 2 and reported
# clamped at 1.

from xsiamese.training.run import loaded, train
from xsiamese.training.settings import Settings, sized

settings = Settings(
    "livieris",
    str(folder / "flowers"),
    output=folder,
    arguments={"backbone": "timm/test_resnet"},
    lr=2e-3,
    epochs=6,
    batch_size=32,
    valid=0.1,
    test=0.2,
    device="cpu",
    progress=False,
)
settings = sized(settings, SIDE)
trained = train(settings)
low, high = trained.metrics["roc_auc_interval"]
print(
    f"test ROC-AUC {trained.metrics['roc_auc']:.3f}, "
    f"95 % interval {low:.3f} to {high:.3f}"
)
print(f"two images are called alike below {trained.metrics['threshold']:.3f}")

# %%
# **The test images** in the plane of the embedding.

from xsiamese.plot import latent_space
from xsiamese.training.evaluation import embed

source = loaded(settings)
test = source.test
points = embed(trained.model, test.images, settings.pixels)
plane = latent_space(points, test.labels, test.classes, "test images")

# %%
# **02, inference.** The checkpoint that was written is opened by its file name, and two
# files are compared.

from xsiamese import PairGradCAM
from xsiamese.zoo import open_model

opened = open_model(str(trained.files[0]))
explainer = PairGradCAM(opened.model, "features.layer2")


def files(name):
    rows = (test.labels == test.classes.index(name)).nonzero().flatten()
    return [test.paths[i] for i in rows]


lilies, daisy = files("lily")[:2], files("daisy")[0]
alike = explainer.explain(
    (opened.read(lilies[0]), opened.read(lilies[1])), ids=[("a lily", "another lily")]
)
print(alike.summary())
figure = alike.plot(preprocessing=opened.preprocessing)

# %%
# Where the two maps disagree, neither is wrong: a gradient says what would bring *this*
# flower closer to where the other stands, and of two embeddings on one line the way is
# the opposite one. Which part goes with which is another question
# (:doc:`/how-to/match-parts`).
#
# **A lily and a daisy**: the notebook's "counterfactual" is the negative part of the
# same signed map, on the same scale.

different = explainer.explain(
    (opened.read(lilies[0]), opened.read(daisy)), ids=[("a lily", "a daisy")]
)
print(different.summary())
figure = different.plot(preprocessing=opened.preprocessing)
