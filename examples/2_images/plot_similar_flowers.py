"""
Explainable image similarity on flowers
=======================================

The two notebooks of Grad_CAM_Siamese (Livieris et al. 2023, :cite:`livieris2023`)
from end to end: a Siamese network on a folder of images, then why it found two of
them alike or different. Their command, with their ``config.yml``:

.. code-block:: console

   $ xsiamese train --config config.yml

Here a small backbone starts from nothing and learns for seconds, so expect little of
it: the point is the way. ``--weights DEFAULT`` starts from ImageNet. It needs the
flowers in ``XSIAMESE_DATA/flowers`` and stops with a line that says so where they are
not.
"""

import os
import sys
import tempfile
from pathlib import Path

folder = Path(os.environ.get("XSIAMESE_DATA", "../shared/data")) / "flowers"
if not folder.is_dir():
    print(
        f"no flowers at {folder}: set XSIAMESE_DATA to the folder that holds flowers/"
    )
    sys.exit()

from xsiamese.plot import latent_space
from xsiamese.training.evaluation import embed
from xsiamese.training.run import loaded, train
from xsiamese.training.settings import Settings, sized

settings = Settings(
    "livieris",
    str(folder),
    output=Path(tempfile.mkdtemp()),
    arguments={"backbone": "timm/test_resnet"},
    lr=2e-3,
    epochs=8,
    batch_size=32,
    valid=0.1,
    test=0.2,
    device="cpu",
    progress=False,
)
settings = sized(settings, 40)

# %%
# **01, training.** For each anchor one positive and one negative, images split into
# training, validation and test. Distances are learned with margin 2 and reported
# clamped at 1.

trained = train(settings)
print(
    f"test ROC-AUC {trained.metrics['roc_auc']:.3f}, 95 % interval",
    [round(v, 3) for v in trained.metrics["roc_auc_interval"]],
)
print(
    f"threshold {trained.metrics['threshold']:.3f}: below it two images are called alike"
)

# %%
# The test images in the plane of the embedding.

source = loaded(settings)
points = embed(trained.model, source.test.images, settings.pixels)
plane = latent_space(points, source.test.labels, source.test.classes, "test images")

# %%
# **02, inference.** The checkpoint that was written is opened by its file name, and two
# files are compared.

from xsiamese import PairGradCAM
from xsiamese.zoo import open_model

opened = open_model(str(trained.files[0]))
same = [source.test.paths[i] for i in (source.test.labels == 0).nonzero().flatten()[:2]]
other = source.test.paths[int((source.test.labels == 3).nonzero()[0])]
explainer = PairGradCAM(opened.model, "features.layer2")
explanation = explainer.explain(
    (opened.read(same[0]), opened.read(same[1])), ids=[("daisy", "another daisy")]
)
print(explanation.summary())
alike = explanation.plot(preprocessing=opened.preprocessing)

# %%
# A daisy and a sunflower: the notebook's "counterfactual" is the negative part of the
# same signed map, on the same scale.

explanation = explainer.explain(
    (opened.read(same[0]), opened.read(other)), ids=[("daisy", "sunflower")]
)
print(explanation.summary())
different = explanation.plot(preprocessing=opened.preprocessing)
