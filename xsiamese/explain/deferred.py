"""captum without its pictures, until somebody asks for one: they load pyplot, a sixth of a whole start.

``captum.attr`` loads its module of pictures for two functions of language models. Here that module is run when one of
its names is first used, by us or by anybody; all else of captum is as it is.
"""

from __future__ import annotations

from xsiamese.door.deferred import deferred

PICTURES = "captum.attr._utils.visualization"

with deferred({PICTURES: ("draw_mask_border", "draw_mask_legend")}):
    from captum.attr import Attribution as Attribution
