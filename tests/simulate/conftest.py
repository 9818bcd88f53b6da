"""One small simulated section, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from histoscribe.section import Section
from histoscribe.simulate import simulate_section
from runs.hd import HdRun, simulate_hd
from runs.spaceranger_hd import write_spaceranger_hd


@pytest.fixture(scope="session")
def simulated() -> Section:
    return simulate_section(5, name="S5", patient="P", genes=80, size_um=1400.0)


@pytest.fixture(scope="session")
def hd_run() -> HdRun:
    return simulate_hd(3, name="hd", genes=40)


@pytest.fixture(scope="session")
def hd_folder(hd_run: HdRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as Space Ranger 4 writes it; read-only by agreement."""
    folder = tmp_path_factory.mktemp("hd") / "hd"
    write_spaceranger_hd(hd_run, folder / "outs")
    return folder
