from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def test_doctor_lists_encoders_and_what_they_need(
    shell: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSCRIBE_ENCODERS", str(tmp_path))
    (tmp_path / "phikon").mkdir()
    checks = json.loads(shell("doctor", "--json").stdout)["checks"]
    found = {entry["found"].partition(":")[0]: entry for entry in checks if entry["name"] == "encoder"}
    assert all(found[name]["good"] for name in ("builtin-1", "texture-1", "builtin-1+texture-1"))
    assert not found["phikon"]["good"]
    assert "config.json" in found["phikon"]["remedy"]
    needs = next(entry for entry in checks if entry["name"].startswith("for 30 published"))
    assert needs["good"] or "'napari-histoscribe[timm]'" in shell("doctor").stdout


def test_doctor_says_how_to_get_openslide(shell: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from histoscribe.slide.openslide import handles as openslide_handles

    monkeypatch.setitem(sys.modules, "openslide", None)
    openslide_handles.library.cache_clear()
    checks = json.loads(shell("doctor", "--json").stdout)["checks"]
    openslide_handles.library.cache_clear()
    slides = next(entry for entry in checks if "DICOM" in entry["name"])
    assert not slides["good"]
    assert "napari-histoscribe[slides]" in slides["remedy"]


def test_info_knows_bundled_models_by_name(shell: Callable) -> None:
    facts = json.loads(shell("info", "olfactory-bulb", "--json").stdout)
    assert facts["kind"] == "model"
    assert set(facts["training_sections"]) == {"MOB1", "MOB3"}


def test_doctor_says_which_panels_miss_what_is_absent(
    shell: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from histoscribe.cli import doctor

    monkeypatch.setattr(doctor, "is_installed", lambda name: False)
    checks = {entry["name"]: entry for entry in json.loads(shell("doctor", "--json").stdout)["checks"]}
    absent = checks["for SpatialData"]
    assert not absent["good"]
    assert "Export" in absent["found"]
    assert "napari-histoscribe[spatialdata]" in absent["remedy"]


def test_what_loads_longest_is_told_last(shell: Callable) -> None:
    names = [entry["name"] for entry in json.loads(shell("doctor", "--json").stdout)["checks"]]
    assert names.index("viewer") < names.index("device") < names.index("encoder")
