"""Makes what the package ships: 40 Fashion-MNIST test images, and the ``fashion`` model trained on the training images.

    python tools/ship_fashion.py --data ../shared/data/fashion_mnist

Takes about two minutes on two cores. The loss is the supervised contrastive loss over each batch: images of one class
are positives.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional
from torchvision.datasets import FashionMNIST
from tqdm import tqdm

from xsiamese.model.pair import SiameseModel
from xsiamese.zoo import find_card, save

PACKAGE = Path(__file__).parents[1] / "xsiamese"


def ship_images(data: Path, test: FashionMNIST) -> None:
    """The first four test images of each class, with their licence."""
    chosen = torch.cat([(test.targets == c).nonzero().flatten()[:4] for c in range(10)])
    folder = PACKAGE / "data" / "samples"
    folder.mkdir(exist_ok=True)
    save_file(
        {"images": test.data[chosen][:, None].contiguous(), "labels": test.targets[chosen]},
        folder / "fashion.safetensors",
    )
    shutil.copy(data / "LICENSE", folder / "LICENSE")


def contrastive(z: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) of one batch."""
    z = functional.normalize(z)
    logits = (z @ z.T / temperature).fill_diagonal_(-1e9)
    positive = (labels[:, None] == labels).fill_diagonal_(False)
    log_p = logits.log_softmax(1)
    return -(log_p * positive).sum(1).div(positive.sum(1).clamp_min(1)).mean()


def train(train_set: FashionMNIST, epochs: int, seed: int) -> SiameseModel:
    """The model after some epochs of Adam."""
    torch.manual_seed(seed)
    card = find_card("fashion")
    model = card.build()
    assert isinstance(model, SiameseModel)
    assert card.preprocessing is not None
    images, labels = card.preprocessing.normalise(train_set.data[:, None]), train_set.targets
    steps = epochs * (len(images) // 256)
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    with tqdm(total=steps, mininterval=5) as bar:
        for _ in range(epochs):
            for rows in torch.randperm(len(images))[: len(images) // 256 * 256].split(256):
                loss = contrastive(model.encode(images[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
                bar.set_postfix(loss=f"{loss.item():.3f}")
    return model.eval()


@torch.no_grad()
def measure(model: SiameseModel, test: FashionMNIST, seed: int) -> dict[str, float]:
    """ROC-AUC of 20,000 random test pairs, and the threshold at which both error rates are equal."""
    preprocessing = find_card("fashion").preprocessing
    assert preprocessing is not None
    z = torch.cat([model.encode(part) for part in preprocessing.normalise(test.data[:, None]).split(500)])
    i, j = torch.randint(0, len(z), (2, 20000), generator=torch.Generator().manual_seed(seed))
    scores, same = model.compare(z[i], z[j]), test.targets[i] == test.targets[j]
    grid = scores.unique()[:: max(1, len(scores) // 2000)]
    gap = [abs(float((scores[same] < t).float().mean()) - float((scores[~same] >= t).float().mean())) for t in grid]
    model.comparison.threshold_ = float(grid[int(torch.tensor(gap).argmin())])
    accuracy = float(((scores >= model.comparison.threshold_) == same).float().mean())
    return {
        "roc_auc": float(roc_auc_score(same, scores)),
        "pair_accuracy": accuracy,
        "threshold": model.comparison.threshold_,
    }


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(
        1
    )  # small convolutions: a second thread costs more than it brings when the other core is busy
    sets = [FashionMNIST(arguments.data, train=train, download=False) for train in (True, False)]
    ship_images(arguments.data, sets[1])
    model = train(sets[0], arguments.epochs, arguments.seed)
    about = {
        "data": "Fashion-MNIST, 60,000 training images",
        "epochs": arguments.epochs,
        "seed": arguments.seed,
        **measure(model, sets[1], arguments.seed),
    }
    save(PACKAGE / "zoo" / "weights" / "fashion.safetensors", model, "fashion", about=about)
    print(about)


if __name__ == "__main__":
    main()
