"""
Which words make two sentences alike
====================================

The score of two sentences is a sum over pairs of their words, and lines join the words
that go together.

`WordLlama <https://github.com/dleemiller/WordLlama>`_ (MIT) is a sentence encoder that
comes inside a package of 16 MB: one vector for each token, taken from a large
language model, and their mean. Nothing is downloaded. Since its embedding is a plain
mean, the score is exactly a sum over pairs of tokens.
"""

# sphinx_gallery_thumbnail_number = 3
import sys
from importlib.util import find_spec

if find_spec("wordllama") is None:
    print("no wordllama: pip install wordllama")
    sys.exit()

from xsiamese import PairFeatureAblation, PairTokenMatrix, from_wordllama

model = from_wordllama()
a = ["A cat sat on the mat.", "The bank raised its interest rates."]
b = ["The kitten slept on a rug.", "We had a picnic on the bank of the river."]

# %%
# **Which word goes with which.** The matrix between tokens, summed to words, is the
# score: no approximation. Lines join what matches, as thick as its share.

found = PairTokenMatrix(model).explain((a, b))
print(found.summary())
for matrix, score in zip(found.by_word(), found.scores, strict=True):
    print(
        f"sum over all pairs of words {float(matrix.value):.6f}, "
        f"score {float(score):.6f}"
    )
figure = found.plot(0)

# %%
# The second pair shares a word and no meaning: this encoder gives *bank* one vector,
# whatever stands around it, and so the match is all that the two have in common.

figure = found.plot(1)

# %%
# **What each word pulls.** What the score loses when a word is taken away: blue pulls
# together, red pushes apart, and sub-words are summed to words. A text of one word
# loses the whole score. Integrated gradients are no way here: without any word the
# embedding is zero, where a cosine has no value, and maps along that path sum to 0
# whatever the texts.

explanation = PairFeatureAblation(model).explain((a, b))
for item, values in zip(explanation.inputs, explanation.maps, strict=True):
    for words, sums in item.by_word(values):
        print(
            ", ".join(
                f"{word} {value:+.3f}"
                for word, value in zip(words, sums.tolist(), strict=True)
            )
        )
figure = explanation.plot()
