"""How many pairs fit into memory at once."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from xsiamese_invariance.problem import MaskProblem

SHARE = 0.5
FEW = 64  # draws that a pass is measured with; more of them take memory in proportion


def available(device: torch.device) -> int:
    """The bytes that are free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE")) // 2
    except (ValueError, OSError, AttributeError):
        return 2**31


def bytes_of_pass(problem: MaskProblem, theta: Tensor) -> int:
    """What one step of these pairs holds at its peak: the draws, their gradients, and all that autograd keeps of the
    model.
    """
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would be held by its own graph for ever

    parameters = {p.untyped_storage().data_ptr() for p in getattr(problem.objective, "parameters", list)()}
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        _, moved = problem.scores(problem.mask(theta))
    activations = sum(size for place, size in kept.items() if place not in parameters)
    rows = sum(leaf.numel() * leaf.element_size() for side in moved for leaf in side)
    return 2 * activations + 4 * rows


def pairs_that_fit(problem: MaskProblem, theta: Tensor, draws: int) -> int:
    """How many pairs like the one of this problem, each with so many draws, may be optimised together.

    Raises:
        MemoryError: if not even one fits.
    """
    needed, free = bytes_of_pass(problem, theta) * max(1, draws // problem.draws), available(theta.device)
    fit = int(SHARE * free / max(1, needed))
    if fit < 1:
        raise MemoryError(
            f"one pair with {draws} draws needs {needed / 2**30:.2g} GiB a step and {free / 2**30:.2g} GiB are free: "
            "use fewer draws, or coarser items"
        )
    return fit
