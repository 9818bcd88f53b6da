"""What is public: the list that a release may not change without saying so."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ERRORS = {
    "Cancelled", "DependencyError", "HistoscribeError", "ModelError", "RegionError", "SectionError",
    "SettingError", "SlideError", "StorageError", "TableError",
}  # fmt: skip
FACE = ERRORS | {
    "Classifier", "Generator", "Imputer", "Labeller", "Predictor", "Programmes", "Section", "Slide",
    "__version__", "compare", "open", "read_cohort", "write",
}  # fmt: skip
PACKAGES = (
    "bulk",
    "classifier",
    "evaluation",
    "features",
    "generator",
    "genes",
    "graphs",
    "imputer",
    "labeller",
    "models",
    "predictor",
    "programmes",
    "section",
    "simulate",
    "slide",
    "tiles",
)


def test_the_face_is_the_stated_one() -> None:
    face = import_module("histoscribe")
    assert set(face.__all__) == FACE
    assert all(getattr(face, name) is not None for name in FACE)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_no_other(name: str) -> None:
    package = import_module(f"histoscribe.{name}")
    assert package.__all__
    assert all(getattr(package, public) is not None for public in package.__all__)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = package.nothing_like_this


def test_the_page_on_python_names_what_one_imports() -> None:
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    described = re.findall(r"^::: (\S+)\.(\w+)$", page, flags=re.MULTILINE)
    modules = {("histoscribe", name) for name in ("progress", "errors", "formats")}
    assert ("histoscribe", "Predictor") in described
    for package, name in set(described) - modules:
        assert name in import_module(package).__all__, f"{package}.{name}"


@pytest.mark.parametrize("name", ["", *(f".{package}" for package in PACKAGES)])
def test_a_package_by_itself_imports_nothing_heavy(name: str) -> None:
    code = f"import sys, histoscribe{name}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "anndata", "numpy", "pandas", "scipy", "zarr"} & set(loaded.stdout.split())
