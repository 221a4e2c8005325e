"""Minimal mask: the smallest smooth region whose removal flips the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional
from tqdm.auto import tqdm

from xsiamese.author import Decision, PairBatch
from xsiamese_counterfactual.cells import ROOM
from xsiamese_counterfactual.result import Counterfactual
from xsiamese_counterfactual.search import SIDE_NAMES, Neighbours, PairCounterfactual

Replacement = Literal["auto", "blur", "mean", "partner", "noise"]
LEVELS = 24


class PairMinimalMask(PairCounterfactual):
    r"""Counterfactual by removal: the smallest smooth mask whose content, replaced, flips the decision.

    Minimises :math:`\lambda_1 \bar m + \lambda_2 TV(m)` under the condition that the pair with :math:`(1 - m) \odot x +
    m \odot r` is decided otherwise, for all pairs as one batch, with one weight of the condition for each pair that
    follows whether it is met. m lives on a coarse grid and is brought to the image bilinearly. The result is a hard
    mask, the smallest cut through m that flips the model; the score reported is that of the hard mask.

    Example:
        >>> from xsiamese import PairMinimalMask, SiameseModel
        >>> _ = torch.manual_seed(0)
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> a, b = torch.rand(1, 1, 8, 8), 3 * torch.rand(1, 1, 8, 8)
        >>> search = PairMinimalMask(SiameseModel(encoder, "euclidean"), threshold=0.2)
        >>> search.find((a, b), replacement="partner", steps=20)[0].flipped
        True
    """

    name = "minimal_mask"
    formula = (
        r"\min_m \lambda_1 \bar m + \lambda_2 TV(m) \;\text{s.t.}\; [s((1-m) \odot x + m \odot r, y) \ge "
        r"\tau] \ne [s(x, y) \ge \tau]"
    )
    reference = ("fong2017", "plummer2020")
    modalities: ClassVar[frozenset[str]] = frozenset({"image"})

    def spread(self, found: Counterfactual, row: Tensor) -> Tensor:
        """The closeness that the mask takes away, evenly over its pixels."""
        assert found.mask is not None
        lost = found.decision.closeness(found.score_before - found.score_after)
        return (found.mask[0] * lost / max(1, int(found.mask.sum()) * len(row))).expand_as(row).to(row)

    def search(
        self,
        batch: PairBatch,
        decision: Decision,
        side: int,
        *,
        replacement: Replacement = "auto",
        grid: int | None = None,
        steps: int = 120,
        l1: float = 1.0,
        tv: float = 0.2,
        rate: float = 0.15,
        reference: Tensor | None = None,
    ) -> list[Counterfactual]:
        """Finds masks.

        Args:
            batch: the pairs.
            decision: what is to flip.
            side: which side is masked.
            replacement: what comes in place of the masked pixels: the "blur" of the image, its "mean", the "partner",
                or "noise". "auto" takes the partner for a pair called different, and for one called alike the first of
                blur, mean and noise that flips it as a whole.
            grid: rows and columns that the mask is made of; None takes a quarter of the image's size, 14 at most.
            steps: how many steps of gradient descent.
            l1: the price of the masked area.
            tv: the price of the mask's total variation.
            rate: the step size.
            reference: real items; the result says how far the masked one is from the nearest. None takes the items of
                the batch.

        Raises:
            ValueError: if an input is not one image, or an option does not fit.
        """
        leaves = (batch.a, batch.b)[side].leaves
        if len(leaves) != 1:
            raise ValueError(
                f"a mask covers one image (pairs, channels, height, width); input {'ab'[side]} is {len(leaves)} tensors"
            )
        if steps < 1 or min(l1, tv) < 0 or rate <= 0 or (grid is not None and grid < 2):
            raise ValueError(
                f"steps={steps}, l1={l1}, tv={tv}, rate={rate}, grid={grid}: steps, rate > 0, l1, tv >= 0, grid >= 2 "
                "are needed"
            )
        one = batch.one_sided("second" if side else "first")
        real = Neighbours(
            torch.cat([leaves[0], *_alike(batch, 1 - side, leaves[0])])
            if reference is None
            else reference.to(leaves[0])
        )
        rows = batch.rows or max(1, ROOM // (leaves[0][0].numel() * 256))
        parts = one.split(rows)
        found = []
        for part in (
            tqdm(parts, total=-(-batch.pairs // rows), desc=type(self).__name__) if batch.show_progress else parts
        ):
            found += self._masks(
                part, decision, side, replacement=replacement, prices=_Prices(grid, steps, l1, tv, rate), real=real
            )
        return found

    def _masks(
        self,
        one: PairBatch,
        decision: Decision,
        side: int,
        *,
        replacement: Replacement,
        prices: _Prices,
        real: Neighbours,
    ) -> list[Counterfactual]:
        """The masks of one batch of pairs."""
        image = one.moved[0].detach()
        arguments = one.arguments

        def closeness(changed: Tensor) -> Tensor:
            value: Tensor = one.objective(changed, *arguments)
            return value

        with torch.no_grad():
            before = closeness(image)
        alike = decision.alike(before)
        filling = _replacement(one, side, replacement, decision, alike=alike, closeness=closeness)
        mask, smallest = torch.zeros_like(image[:, :1], dtype=torch.bool), torch.full_like(before, torch.inf)
        for soft in relaxed(image, filling, alike, decision, closeness=closeness, before=before, prices=prices):
            hard, cost = hardened(soft, image, filling, alike, decision=decision, closeness=closeness)
            better = cost < smallest
            mask, smallest = torch.where(better[:, None, None, None], hard, mask), torch.where(better, cost, smallest)
        changed = torch.where(mask, filling, image)
        with torch.no_grad():
            after = closeness(changed)
        return [
            self._result(
                one,
                i,
                decision,
                side=side,
                mask=mask,
                changed=changed,
                before=before,
                after=after,
                alike=alike,
                real=real,
            )
            for i in range(len(image))
        ]

    def _result(
        self,
        one: PairBatch,
        i: int,
        decision: Decision,
        *,
        side: int,
        mask: Tensor,
        changed: Tensor,
        before: Tensor,
        after: Tensor,
        alike: Tensor,
        real: Neighbours,
    ) -> Counterfactual:
        images = tuple(s.slice(i, i + 1).rebuild(s.slice(i, i + 1).leaves) for s in (one.a, one.b))
        edited = [*images]
        edited[side] = changed[i : i + 1]
        flipped = bool(decision.flipped(after[i], alike[i]))
        return Counterfactual(
            kind="mask",
            side=SIDE_NAMES[side],
            flipped=flipped,
            score_before=float(decision.score(before[i])),
            score_after=float(decision.score(after[i])),
            threshold=decision.threshold,
            higher_is_closer=decision.higher_is_closer,
            edits=(),
            count=regions(mask[i, 0]),
            size=float(mask[i].float().mean()),
            inputs=images,
            edited=tuple(edited),
            nearest=real.distance(changed[i]),
            typical=real.typical,
            mask=mask[i : i + 1],
            reason=""
            if flipped
            else "no cut through the mask flips it, nor the removal of the whole image: try another replacement",
        )


@dataclass(frozen=True)
class _Prices:
    grid: int | None
    steps: int
    l1: float
    tv: float
    rate: float


def relaxed(
    image: Tensor,
    filling: Tensor,
    alike: Tensor,
    decision: Decision,
    *,
    closeness: Any,
    before: Tensor,
    prices: _Prices,
) -> list[Tensor]:
    """Soft masks in [0, 1], (pairs, 1, height, width), half-way and at the end of gradient descent."""
    size = tuple(image.shape[2:])
    cells = prices.grid or max(2, min(14, max(size) // 4))
    logits = torch.zeros(len(image), 1, cells, cells, dtype=image.dtype, device=image.device, requires_grad=True)
    optimiser = torch.optim.Adam([logits], prices.rate)
    scale = (before - decision.cut).abs().clamp_min(1e-6)
    weight = torch.ones_like(before)
    kept = []
    for step in range(prices.steps):
        with torch.enable_grad():
            mask = functional.interpolate(logits, size, mode="bilinear", align_corners=False).sigmoid()
            value = closeness(image + mask * (filling - image))
            ahead = decision.progress(value, alike) / scale
            variation = mask.diff(dim=2).abs().mean((1, 2, 3)) + mask.diff(dim=3).abs().mean((1, 2, 3))
            loss = weight * (0.1 - ahead).relu() + prices.l1 * mask.mean((1, 2, 3)) + prices.tv * variation
            (slope,) = torch.autograd.grad(loss.sum(), logits)
        logits.grad = slope
        optimiser.step()
        if step % 5 == 4:  # the condition's weight follows whether it is met
            weight = torch.where(ahead.detach() > 0, weight * 0.8, weight * 1.3).clamp(0.05, 50)
        if step in (prices.steps // 2, prices.steps - 1):
            kept.append(mask.detach())
    return kept


def hardened(
    soft: Tensor, image: Tensor, filling: Tensor, alike: Tensor, *, decision: Decision, closeness: Any
) -> tuple[Tensor, Tensor]:
    """The smallest cut through each soft mask that flips the decision, or that comes closest to it, and what it costs.

    The cost is the share of the image; where no cut flips, it is 2 plus what is missing to the threshold.
    """
    pairs, pixels = len(soft), soft[0].numel()
    # # sorting the order gives each pixel's rank, 0 for the strongest: the first k are a cut through the mask
    rank = soft.flatten(1).argsort(1, descending=True).argsort(1)

    def cut(count: Tensor) -> Tensor:
        return (rank < count[:, None]).reshape(soft.shape)

    def value(count: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = closeness(torch.where(cut(count), filling, image))
        return found

    low, high = (
        torch.zeros(pairs, dtype=torch.long, device=soft.device),
        torch.full((pairs,), pixels + 1, device=soft.device),
    )
    best, nearest = torch.full_like(image[:, 0, 0, 0], -torch.inf), low.clone()
    previous = 0
    for level in range(1, LEVELS + 1):
        count = max(previous + 1, round(pixels * (level / LEVELS) ** 1.5))
        reached = value(torch.full_like(low, min(count, pixels)))
        ahead, found = decision.progress(reached, alike), (high > pixels) & decision.flipped(reached, alike)
        best, nearest = torch.maximum(ahead, best), torch.where(ahead > best, min(count, pixels), nearest)
        high, low = torch.where(found, min(count, pixels), high), torch.where(found, previous, low)
        previous = min(count, pixels)
        if bool((high <= pixels).all()):
            break
    while bool(((high <= pixels) & (high - low > 1)).any()):
        middle = torch.where((high <= pixels) & (high - low > 1), (low + high) // 2, high)
        found = decision.flipped(value(middle), alike) & (high <= pixels)
        low, high = torch.where(found | (middle == high), low, middle), torch.where(found, middle, high)
    done = high <= pixels
    return cut(torch.where(done, high, nearest)), torch.where(done, high.to(soft.dtype) / pixels, 2 - best)


def regions(mask: Tensor) -> int:
    """How many connected regions (4 neighbours) a mask (height, width) has."""
    height, width = mask.shape
    label = torch.where(mask, torch.arange(1, mask.numel() + 1, device=mask.device).reshape(height, width), 0).float()[
        None, None
    ]
    while True:
        across = functional.max_pool2d(label, (1, 3), 1, (0, 1))
        grown = torch.maximum(across, functional.max_pool2d(label, (3, 1), 1, (1, 0))) * mask
        if torch.equal(grown, label):
            return int(torch.unique(label[label > 0]).numel())
        label = grown


def blurred(image: Tensor) -> Tensor:
    """The image under a Gaussian of an eighth of its size."""
    sigma = max(image.shape[2:]) / 8
    reach = min(int(2 * sigma), min(image.shape[2:]) - 1)
    kernel = torch.exp(
        -torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device).square() / (2 * sigma**2)
    )
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, 1, -1)
    padded = functional.pad(image, (reach, reach, reach, reach), mode="reflect")
    across = functional.conv2d(padded, kernel, groups=image.shape[1])
    return functional.conv2d(across, kernel.transpose(2, 3), groups=image.shape[1])


def _replacement(
    one: PairBatch, side: int, kind: Replacement, decision: Decision, *, alike: Tensor, closeness: Any
) -> Tensor:
    """What comes in place of masked pixels, shaped as the images."""
    image = one.moved[0].detach()
    partner = (one.a, one.b)[1 - side].leaves[0]
    if kind == "partner" or (kind == "auto" and not bool(alike.all())):
        if partner.shape != image.shape:
            raise ValueError(
                f"replacement='partner' needs images of one shape: a and b are {tuple(one.a.leaves[0].shape)} and "
                f"{tuple(one.b.leaves[0].shape)}"
            )
        if kind == "partner":
            return partner
    if kind == "blur":
        return blurred(image)
    if kind == "mean":
        return image.mean((2, 3), keepdim=True).expand_as(image)
    noise = torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(one.seed or 0), dtype=image.dtype).to(
        image.device
    )
    made = image.mean((1, 2, 3), keepdim=True) + image.std((1, 2, 3), keepdim=True) * noise
    if kind == "noise":
        return made
    chosen, done = (
        torch.where(alike[:, None, None, None], blurred(image), partner if not bool(alike.all()) else image),
        ~alike,
    )
    with torch.no_grad():
        for candidate in (blurred(image), image.mean((2, 3), keepdim=True).expand_as(image), made):
            flips = decision.flipped(closeness(candidate), alike) & ~done
            chosen, done = torch.where(flips[:, None, None, None], candidate, chosen), done | flips
    return chosen


def _alike(batch: PairBatch, side: int, like: Tensor) -> list[Tensor]:
    leaves = (batch.a, batch.b)[side].leaves
    return [leaves[0]] if len(leaves) == 1 and leaves[0].shape[1:] == like.shape[1:] else []
