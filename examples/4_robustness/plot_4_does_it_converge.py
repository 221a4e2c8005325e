"""
Does gradient descent-ascent converge?
======================================

Learning a mask under a constraint can be watched, and it is known where it should end.

It is a game: the logits :math:`\\theta` of the mask go down on
the Lagrangian, the multipliers :math:`\\lambda` go up,

.. math:: \\min_\\theta \\max_{0 \\le \\lambda \\le \\Lambda} F(\\theta)
   + \\Omega(\\theta) + \\lambda \\cdot g(\\theta)
   - \\tfrac{\\mu}{2} |\\lambda|^2 .

On a network whose decisive features are known this can be watched. Everything here is
made on the spot.
"""

import torch
from torch import nn

from xsiamese import InvarianceLearner, RobustPairExplainer, SiameseModel
from xsiamese.model.comparison import SquaredEuclidean

# %%
# **The network.** Of 12 features the first three always count, the next three only
# where they are above one half, and the rest never.


class Encoder(nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.cat([rows[:, :3], 1.5 * torch.relu(rows[:, 3:6] - 0.5)], 1)


class Logit(SquaredEuclidean):
    higher_is_closer = True

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return 3 - 0.7 * super().forward(a, b)


model = SiameseModel(Encoder(), Logit())
rows = torch.randn(400, 12, generator=torch.Generator().manual_seed(0))
queries, references, pool = (
    rows[:8].repeat_interleave(8, 0),
    rows[8:16].repeat(8, 1),
    rows[16:],
)
invariance = InvarianceLearner(model).fit(rows[:8], pool)
print(invariance)
print(
    "mean relevance: always",
    *[f"{v:.2f}" for v in invariance.mask.mean(0)[:3]],
    "| sometimes",
    *[f"{v:.2f}" for v in invariance.mask.mean(0)[3:6]],
)
print("never", *[f"{v:.2f}" for v in invariance.mask.mean(0)[6:]])

# %%
# **The course**, of 64 pairs at once, with and without the ascent's regularisation.
# With :math:`\mu > 0` and the constraint active, a stationary point has :math:`g = \mu
# \lambda` exactly: the infeasibility ends on a plateau that is known beforehand.
# Without it, it goes on falling.

from xsiamese.plot import convergence
from xsiamese_invariance import Descent

held = invariance[torch.arange(8).repeat_interleave(8)]
traces = {}
for mu in (1e-3, 0.0):
    explainer = RobustPairExplainer(model, coupling="ball")
    descent = Descent(
        steps=2000, rate=8, mu=mu, tolerance=1e-12
    )  # to the end, also where it has long converged
    _, traces[f"mu = {mu:g}"] = explainer.attribute(
        (queries, references),
        invariance=held,
        masks="shared",
        descent=descent,
        draws=16,
        return_convergence=True,
    )
figure = convergence(
    traces, "Gradient descent-ascent, KL ball of 0.05 nats", {"stationarity": 1e-3}
)

# %%
# The plateau, for the pairs whose constraint is active:

end = traces["mu = 0.001"].final
active = end.multipliers[:, 0] > 0.01
ratio = (end.infeasibility[active] / (1e-3 * end.multipliers[active, 0])).quantile(
    torch.tensor([0.05, 0.5, 0.95])
)
print(
    f"{int(active.sum())} of {len(active)} pairs; infeasibility / (mu lambda): "
    f"median {ratio[1]:.3f}, 90 % within {ratio[0]:.3f} and {ratio[2]:.3f}"
)
for name, trace in traces.items():
    good = trace.final.stationarity <= 1e-3
    print(
        f"{name}: stationarity at most 1e-3 for {int(good.sum())} of {len(good)} pairs"
    )

# %%
# **Contradictory constraints** cannot hold: the multiplier runs to its bound, and the
# pair is called infeasible, never converged.

_, trace = RobustPairExplainer(model, coupling="order").attribute(
    (queries[:4], references[:4]),
    invariance=held[:4],
    masks="shared",
    xi=1.2,
    steps=1500,
    return_convergence=True,
)
print(trace)
