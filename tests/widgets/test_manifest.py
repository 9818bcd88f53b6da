"""What `npe2 validate` misses: unknown keys, undeclared commands, menus that napari drops."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

import histoscribe

MANIFEST = Path(histoscribe.__file__).with_name("napari.yaml")


@pytest.fixture(scope="module")
def contributions() -> dict[str, Any]:
    return yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["contributions"]


def test_npe2_accepts_it() -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "napari-histoscribe"


def test_no_unknown_contribution_keys(contributions: dict[str, Any]) -> None:
    from npe2.manifest.contributions import ContributionPoints

    assert set(contributions) <= set(ContributionPoints.model_fields)


def test_entries_have_only_known_keys(contributions: dict[str, Any]) -> None:
    from npe2.manifest import contributions as kinds

    known = {
        "commands": kinds.CommandContribution,
        "readers": kinds.ReaderContribution,
        "widgets": kinds.WidgetContribution,
        "sample_data": kinds.SampleDataGenerator,
        "writers": kinds.WriterContribution,
    }
    for kind, model in known.items():
        for entry in contributions[kind]:
            assert set(entry) <= set(model.model_fields), (kind, entry)


def test_every_named_command_is_declared_and_used(contributions: dict[str, Any]) -> None:
    declared = {command["id"] for command in contributions["commands"]}
    named = {
        entry["command"]
        for kind in ("readers", "writers", "widgets", "sample_data")
        for entry in contributions[kind]
    }
    named_in_menus = {item["command"] for items in contributions["menus"].values() for item in items}
    assert named | named_in_menus == declared


def test_menus_are_open_to_plugins(contributions: dict[str, Any]) -> None:
    from napari._app_model.constants import MenuId

    assert set(contributions["menus"]) <= {str(menu) for menu in MenuId.contributables()}


def test_commands_lead_to_callables(contributions: dict[str, Any]) -> None:
    for command in contributions["commands"]:
        module, _, name = command["python_name"].partition(":")
        assert callable(getattr(import_module(module), name)), command


def test_names_are_unique(contributions: dict[str, Any]) -> None:
    for kind, key in (("commands", "id"), ("widgets", "display_name"), ("sample_data", "key")):
        names = [entry[key] for entry in contributions[kind]]
        assert len(set(names)) == len(names)


def test_the_manifest_at_the_top_is_the_same() -> None:
    top = MANIFEST.parents[2] / "napari.yaml"
    if not top.exists():
        pytest.skip("installed without the repository around it")
    assert top.resolve() == MANIFEST.resolve()


HEAVY = (
    "torch",
    "anndata",
    "scanpy",
    "squidpy",
    "zarr",
    "lightning",
    "sklearn",
    "spatialdata",
    "h5py",
    "tifffile",
)


def test_commands_import_nothing_heavy(contributions: dict[str, Any]) -> None:
    modules = sorted({command["python_name"].partition(":")[0] for command in contributions["commands"]})
    script = f"""
import sys
import napari, napari.layers, napari.components, napari.utils.notifications, qtpy.QtWidgets, superqt.utils
before = set(sys.modules)
for name in {modules!r}:
    __import__(name)
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print("heavy:" + ",".join(sorted(loaded & set({HEAVY!r}))))
"""
    assert _run(script) == ["heavy:"]


def test_readers_import_without_napari_or_qt() -> None:
    script = """
import sys
import histoscribe.widgets.contributions.readers, histoscribe.widgets.contributions.samples
print("napari" in sys.modules or "qtpy" in sys.modules)
"""
    assert _run(script)[0] == "False"


def _run(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()
