"""One small simulated section, made once."""

from __future__ import annotations

import pytest

from histoscribe.section import Section
from histoscribe.simulate import simulate_section


@pytest.fixture(scope="session")
def simulated() -> Section:
    return simulate_section(5, name="S5", patient="P", genes=80, size_um=1400.0)
