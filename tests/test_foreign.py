"""What another package adds by entry points is found and used without a change of ours."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path


def test_the_foreign_package_is_installed_as_its_project_file_says(foreign_package: Path) -> None:
    (found,) = (one for one in entry_points(group="histoscribe.formats") if one.name == "flat")
    assert found.dist is not None
    assert found.dist.name == "histoscribe-foreign"
    assert found.value == "histoscribe_foreign.flat_slide:FORMAT"
