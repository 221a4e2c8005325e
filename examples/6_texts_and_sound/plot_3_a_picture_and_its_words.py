"""
Which word names which place of a picture
=========================================

A picture and a sentence are two kinds of input with an encoder each, and a pair matrix
says which place of the picture a word is about.

The model is of the kind of CLIP: one tower reads pictures, the other words, and both
end in one space, where a cosine compares them. It learns here, in seconds, from
pictures of two things each and the sentences that name them; nobody tells it where
the things are.
"""

# sphinx_gallery_thumbnail_number = 1
import torch
from torch import nn
from torch.nn import functional

from xsiamese import PairFeatureAblation, PairMaskRegression, SiameseModel, Texts

torch.manual_seed(0)
SHAPES = ("ball", "box", "cross", "ring", "bar", "pole")
WORDS = ("", "a", "and", *SHAPES)  # the first fills up
SIZE, CELL = 24, 8


def pattern(name):
    """One thing, 8 x 8 pixels."""
    y, x = torch.meshgrid(*[torch.arange(CELL) - 3.5] * 2, indexing="ij")
    distance = (x**2 + y**2).sqrt()
    return {
        "ball": distance < 3.4,
        "box": (x.abs() < 3) & (y.abs() < 3),
        "cross": (x.abs() < 1) | (y.abs() < 1),
        "ring": (distance < 3.9) & (distance > 2.2),
        "bar": y.abs() < 1.2,
        "pole": x.abs() < 1.2,
    }[name].float()


THINGS = torch.stack([pattern(name) for name in SHAPES])


def drawn(which):
    """Pictures of two things each, at two of nine places, and where these are."""
    pictures = 0.1 * torch.rand(len(which), 1, SIZE, SIZE)
    places = torch.stack([torch.randperm(9)[:2] for _ in which])
    for picture, things, cells in zip(pictures, which, places, strict=True):
        for thing, cell in zip(things.tolist(), cells.tolist(), strict=True):
            top, left = cell // 3 * CELL, cell % 3 * CELL
            picture[0, top : top + CELL, left : left + CELL] += THINGS[thing]
    return pictures, places


def said(which):
    """The ids of "a ... and a ..."."""
    first, second = (which + WORDS.index("ball")).T
    a, also = torch.ones_like(first), torch.full_like(first, 2)
    return torch.stack([a, first, also, a, second], 1)


def sentences(ids):
    """The same with what people read, for pictures of the explanation."""
    words = [tuple(WORDS[i] for i in row) for row in ids.tolist()]
    number = torch.arange(ids.shape[1]).expand(ids.shape)
    return Texts({"input_ids": ids}, words, number, words)


# %%
# **Two towers.** The tower of pictures is a small convolutional network, the tower of
# words the mean of their vectors.


class OfPictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.grid = nn.Sequential(
            nn.Conv2d(1, 24, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(24, 48, 5, padding=2),
            nn.ReLU(),
        )
        self.last = nn.Linear(48, 16)

    def forward(self, picture):
        return self.last(self.grid(picture).mean((2, 3)))


class OfWords(nn.Module):
    def __init__(self):
        super().__init__()
        self.vectors = nn.Embedding(len(WORDS), 16, padding_idx=0)

    def forward(self, input_ids):
        return self.vectors(input_ids).mean(1)


model = SiameseModel((OfPictures(), OfWords()), "cosine")
optimiser = torch.optim.Adam(model.parameters(), 3e-3)
for _ in range(250):
    which = torch.stack([torch.randperm(len(SHAPES))[:2] for _ in range(64)])
    held = torch.zeros(64, len(SHAPES)).scatter_(1, which, 1)
    u = functional.normalize(model.encode(drawn(which)[0], 0))
    v = functional.normalize(model.encode(said(which), 1))
    loss = (u @ v.T - held @ held.T / 2).square().mean()  # alike by what they share
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
model.eval()

# %%
# **Which word goes with which place.** Both sides are hidden in parts, a few hundred
# times, and the scores are split up between the parts that were there: a picture's
# nine places on one side, the words on the other.

which = torch.tensor([[0, 3], [4, 5]])
pictures, places = drawn(which)
words = sentences(said(which))
found = PairMaskRegression(model).explain(
    (pictures, words), cells=(3, 3), masks=256, filling="baseline"
)
figure = found.plot(0)

# %%
# The line from a word ends at the thing that it names. So it does for others that the
# model has not seen together.

figure = found.plot(1)

# %%
# **Is it right?** The strongest place of each word that names a thing, beside where the
# thing was drawn, for fifty new pictures. Chance is one in nine.

which = torch.stack([torch.randperm(len(SHAPES))[:2] for _ in range(50)])
pictures, places = drawn(which)
many = PairMaskRegression(model).explain(
    (pictures, sentences(said(which))), cells=(3, 3), masks=256, filling="baseline"
)
hits = [
    int(matrix.dense()[:, word].argmax()) == int(cells[k])
    for matrix, cells in zip(many.matrices, places, strict=True)
    for k, word in enumerate((1, 4))
]
print(f"{sum(hits)} of {len(hits)} words point to their thing")

# %%
# **One side alone.** What does each word add to the score? Taking it away and asking
# again says so; "a" and "and" hardly count.

explanation = PairFeatureAblation(model).explain(
    (pictures[:2], sentences(said(which[:2]))), wrt="second"
)
for row, values in explanation.inputs[1].by_word(explanation.maps[1]):
    print(", ".join(f"{w} {v:+.2f}" for w, v in zip(row, values.tolist(), strict=True)))
