"""What a package index is told: no link leads nowhere, whether or not the repository's address is known."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_and_pages_are_found_from_elsewhere(build: ModuleType) -> None:
    text = build.published("![a](docs/a.png) [b](docs/b.md) [c](https://c.org)", "https://forge.org/x", "v1")
    assert text == (
        "![a](https://forge.org/x/raw/v1/docs/a.png) [b](https://forge.org/x/blob/v1/docs/b.md) [c](https://c.org)"
    )


def test_without_an_address_nothing_points_at_nothing(build: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = build.published(readme, None, "HEAD")
    assert not re.search(r"\]\((?!https?:)", text)
    assert text.startswith("# Histoscribe")


def test_the_address_is_the_runners_or_the_stated_one(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HISTOSCRIBE_HOME", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    assert build.address() is None
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://forge.org")
    monkeypatch.setenv("GITHUB_REPOSITORY", "us/tool")
    assert build.address() == "https://forge.org/us/tool"
    monkeypatch.setenv("HISTOSCRIBE_HOME", "https://elsewhere.org/")
    assert build.address() == "https://elsewhere.org"
