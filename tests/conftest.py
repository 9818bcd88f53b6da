"""What all tests share: the real data folder, and the blocked screen of the core's run."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

_SCREEN = {"napari", "qtpy", "PySide6", "PyQt6", "magicgui", "superqt", "vispy"}


class _NoScreen(MetaPathFinder):
    """Refuses every import that needs a screen, so that the core proves it needs none."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in _SCREEN:
            raise ImportError(f"{fullname} is blocked: the core runs without a screen")
        return None


if os.environ.get("HISTOSCRIBE_NO_SCREEN"):
    sys.meta_path.insert(0, _NoScreen())


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HISTOSCRIBE_DATA", default))
    if not (folder / "her2st" / "cohort.csv").exists():
        pytest.skip(f"no real data at {folder}: name its folder in HISTOSCRIBE_DATA")
    return folder


@pytest.fixture
def foreign_package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install `tests/foreign` for one test, here and in the processes that it starts; its folder."""
    folder = Path(__file__).parent / "foreign"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path_factory.mktemp("site")
    about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups))
    for place in (folder, site):
        monkeypatch.syspath_prepend(place)
    beside = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(folder), *([beside] if beside else [])]))
    return folder
