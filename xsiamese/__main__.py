"""``python -m xsiamese`` is the command line."""

from xsiamese.cli import main

main()
