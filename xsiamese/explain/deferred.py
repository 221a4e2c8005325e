"""captum without its pictures, until somebody asks for one: they load matplotlib, a fifth of a whole start.

``captum.attr`` loads a module of pictures for two functions of language models, and matplotlib's colours for the
annotation of one. Here these modules run when one of their names is first used, by us or by anybody; all else of captum
is as it is, and so is matplotlib where it was there before.
"""

from __future__ import annotations

from xsiamese.door.deferred import deferred

PICTURES = "captum.attr._utils.visualization"
EARLY = {
    PICTURES: ("draw_mask_border", "draw_mask_legend"),
    "matplotlib": (),
    "matplotlib.colors": ("LinearSegmentedColormap",),
}

with deferred(EARLY):
    from captum.attr import Attribution as Attribution
