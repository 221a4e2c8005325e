"""The groups that a command's help shows its options in, in this order."""

from __future__ import annotations

from cyclopts import Group, Parameter

EXPLAIN = Group("Explain", sort_key=1)
TRAIN = Group("Train and judge", sort_key=2)
LISTS = Group("What there is", sort_key=3)
BROUGHT = Group("Brought by plugins", sort_key=4)
HELP = Group("Help", sort_key=5)

MODEL = Parameter(group=Group("The model and its inputs", sort_key=1))
METHOD = Parameter(group=Group("The explanation", sort_key=2))
OWN = Parameter(group=METHOD.group, help="The method's own: xsiamese explain --method M --help lists them.")
OUTPUT = Parameter(group=Group("What is written", sort_key=3))
MACHINE = Parameter(group=Group("The machine", sort_key=4))
