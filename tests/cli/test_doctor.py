from __future__ import annotations

import json
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
    assert found["builtin-1"]["good"]
    assert not found["phikon"]["good"]
    assert "config.json" in found["phikon"]["remedy"]
    needs = next(entry for entry in checks if entry["name"].startswith("for uni,"))
    assert needs["good"] or "'napari-histoscribe[timm]'" in shell("doctor").stdout
