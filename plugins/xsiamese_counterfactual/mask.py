"""Minimal mask: the smallest smooth region whose removal flips the decision."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Decision, PairBatch
from xsiamese_counterfactual.cells import ROOM
from xsiamese_counterfactual.filling import Replacement, replacing
from xsiamese_counterfactual.relaxation import Prices, hardened, regions, relaxed
from xsiamese_counterfactual.result import Counterfactual
from xsiamese_counterfactual.search import SIDE_NAMES, Neighbours, PairCounterfactual


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
                part, decision, side, replacement=replacement, prices=Prices(grid, steps, l1, tv, rate), real=real
            )
        return found

    def _masks(
        self,
        one: PairBatch,
        decision: Decision,
        side: int,
        *,
        replacement: Replacement,
        prices: Prices,
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
        filling = replacing(one, side, replacement, decision, alike=alike, closeness=closeness)
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


def _alike(batch: PairBatch, side: int, like: Tensor) -> list[Tensor]:
    leaves = (batch.a, batch.b)[side].leaves
    return [leaves[0]] if len(leaves) == 1 and leaves[0].shape[1:] == like.shape[1:] else []
