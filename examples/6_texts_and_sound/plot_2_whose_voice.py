"""
Which part of a recording is the same voice
===========================================

In one of two recordings the speaker changes in the middle; the maps show where a model
hears the voice of the other recording.

`Resemblyzer <https://github.com/resemble-ai/Resemblyzer>`_ (Apache-2.0) brings a
trained encoder of speakers: an LSTM that reads a mel spectrogram and says whose voice
it is, whatever is said. In one of two recordings the speaker changes in the middle.
Where does the model hear the voice of the other recording?
"""

import sys
from importlib.util import find_spec
from types import ModuleType

if find_spec("resemblyzer") is None or find_spec("scipy") is None:
    print("no resemblyzer: pip install resemblyzer")
    sys.exit()

# Its trimmer of silences needs a package that new setuptools cannot import; nothing
# here is trimmed.
sys.modules.setdefault("webrtcvad", ModuleType("webrtcvad"))

import numpy as np
import torch
from resemblyzer import VoiceEncoder
from resemblyzer.audio import normalize_volume, wav_to_mel_spectrogram
from scipy.signal import lfilter
from torch import nn

from xsiamese import PairFeatureAblation, SiameseModel

RATE, SECONDS = 16_000, 0.2  # of a vowel
FORMANTS = {  # resonances of the mouth in Hz
    "a": (730, 1090, 2440, 3500),
    "e": (530, 1840, 2480, 3500),
    "i": (270, 2290, 3010, 3500),
    "o": (570, 840, 2410, 3500),
    "u": (300, 870, 2240, 3500),
}

# %%
# **Voices** are made here: pulses of the vocal cords, whose pitch sways a little, pass
# through the resonances of each vowel. A speaker is a pitch and a length of the mouth.


def spoken(vowels: str, pitch: float, mouth: float, seed: int) -> np.ndarray:
    length = int(RATE * SECONDS)
    time = np.arange(length * len(vowels)) / RATE
    sway = 1 + 0.03 * np.sin(8 * np.pi * time + seed) + 0.05 * np.sin(7 * time)
    pulses = np.diff(np.floor(np.cumsum(pitch * sway) / RATE), prepend=0)
    breath = 0.01 * np.random.default_rng(seed).standard_normal(len(time))
    source = lfilter([1], [1, -0.95], pulses + breath)
    ramp = np.arange(length) / (0.03 * RATE)
    parts = []
    for vowel, part in zip(vowels, np.split(source, len(vowels)), strict=True):
        for formant, width in zip(FORMANTS[vowel], (80, 90, 120, 175), strict=True):
            radius = np.exp(-np.pi * width / RATE)
            turn = 2 * radius * np.cos(2 * np.pi * formant / mouth / RATE)
            gain = 1 - turn + radius**2
            part = lfilter([gain], [1, -turn, radius**2], part)
        parts.append(part * np.minimum(1, np.minimum(ramp, ramp[::-1])))
    wave = np.concatenate(parts)
    return 0.3 * wave / np.abs(wave).max()


def mel(wave: np.ndarray) -> torch.Tensor:
    """(1, 40 bands, times of 10 ms), as the model was trained with."""
    loud = normalize_volume(wave, -30, increase_only=True)
    return torch.from_numpy(wav_to_mel_spectrogram(loud)).T[None, :, :160]


def deep(vowels: str, seed: int) -> np.ndarray:
    return spoken(vowels, pitch=110, mouth=1.0, seed=seed)


def high(vowels: str, seed: int) -> np.ndarray:
    return spoken(vowels, pitch=210, mouth=0.85, seed=seed)


# %%
# The encoder reads (items, times, bands); series have their times last.


class Voices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = VoiceEncoder("cpu", verbose=False)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        return self.encoder(sound.mT)


model = SiameseModel(Voices().eval(), "cosine")
one = mel(deep("ouaieoua", 5))
with torch.no_grad():
    for name, other in (("same", deep("aieuoaie", 1)), ("other", high("aieuoaie", 2))):
        score = float(model(mel(other), one))
        print(f"the {name} voice, with other vowels: {score:.2f}")

# %%
# **Where the voice is.** The first recording has four vowels of the high voice, then
# four of the deep one, which alone speaks in the second recording. Each vowel is
# replaced by silence, and the model is asked again; the value is what the score loses.

both = mel(np.concatenate([high("aieu", 2), deep("oaie", 1)]))
vowel = (torch.arange(160) // 20).expand(1, 40, 160)
found = PairFeatureAblation(model).explain(
    (both, one), feature_mask=(vowel, vowel), ids=[("high, then deep", "deep")]
)
print(found.summary())
lost = found.maps[0][0, 0, ::20]
for voice, share in (("high", lost[:4]), ("deep", lost[4:])):
    print(f"the four vowels of the {voice} voice: {float(share.sum()):+.3f}")
figure = found.plot()

# %%
# Nine tenths of what the score loses, it loses in the deep half: the two darkest vowels
# of the first recording are of the voice that speaks in both. The value of one vowel by
# hand, as the score with it less the score without it:

silent = both.clone()
silent[:, :, 100:120] = 0
with torch.no_grad():
    print(f"{float(model(both, one) - model(silent, one)):+.4f}, {float(lost[5]):+.4f}")
