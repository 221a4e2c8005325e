"""The command line: ``xsiamese explain A B --model MODEL --method gradcam -o why.png``."""

from __future__ import annotations

from xsiamese.cli.app import app as app
from xsiamese.cli.app import main as main
