"""Reports: what many explanations come to, as pages and tables."""

from __future__ import annotations
