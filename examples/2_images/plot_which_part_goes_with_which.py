"""
Which part goes with which
==========================

Two maps of one pair can contradict each other, because a comparison is a question
about *pairs* of parts. A pair matrix answers it: which cell of one image goes with
which cell of the other. Here it is found from masks alone.
"""

from xsiamese import PairMaskRegression
from xsiamese.data import fashion_pair
from xsiamese.zoo import find_card, shipped

model, preprocessing = shipped("fashion").model, find_card("fashion").preprocessing
explainer = PairMaskRegression(model)

# %%
# **Two sneakers.** The upper line of the shoe goes with the upper line of the other.
# Lines join cells that go together, as thick as their share of what two images alike in
# everything would give together.

pair = fashion_pair("sneaker", "sneaker", number=2)
alike = explainer.explain(pair, ids=[("a sneaker", "another sneaker")])
figure = alike.plot(preprocessing=preprocessing)

# %%
# **A sneaker and a bag.** Little goes with anything: colours have the same scale as
# above, and stay pale.

pair = fashion_pair("sneaker", "bag", number=2)
different = explainer.explain(pair, ids=[("a sneaker", "a bag")])
figure = different.plot(preprocessing=preprocessing)

# %%
# **Numbers.** Each cell of the matrix has a standard error; both marginals sum to the
# same number.

for found in (alike, different):
    best = found.matrix.top(1, largest="closer")[0]
    print(
        f"{found.named(0)}: {best.of_a} with {best.of_b}, "
        f"{best.value:.3f} ± {1.96 * best.error:.3f}"
    )
    print(
        "   sums of both maps:",
        *(round(float(values.sum()), 4) for values in found.matrix.marginals),
    )
