"""Encoders of other packages are found by name, and what is not one is refused."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest

from histoscribe.errors import DependencyError, HistoscribeError, ModelError, SettingError
from histoscribe.features import encoder_named, registry


class Plain:
    """An encoder under whatever name."""

    dimension, crop_um, mpp = 3, 20.0, 1.0

    def __init__(self, name: str) -> None:
        self.name = name

    def encode(self, crops: np.ndarray) -> np.ndarray:
        return crops.mean(axis=(1, 2)).astype(np.float32)


def colour(device: str) -> Plain:
    return Plain("plain@2")


def misnamed(device: str) -> Plain:
    return Plain("other")


def broken(device: str) -> Plain:
    raise RuntimeError("no such file")


@pytest.fixture
def offering(monkeypatch: pytest.MonkeyPatch):
    def offer(what: str) -> None:
        found = EntryPoints([EntryPoint("plain", f"{__name__}:{what}", registry.GROUP)])
        monkeypatch.setattr(registry, "entry_points", lambda **wanted: found.select(**wanted))
        monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.attr])

    return offer


def test_a_foreign_encoder_is_found_by_its_short_and_its_full_name(foreign_package: Path):
    for name in ("colour", "colour@1"):
        encoder = encoder_named(name, device="cpu")
        assert (encoder.name, encoder.device) == ("colour@1", "cpu")
        np.testing.assert_array_equal(encoder.encode(np.full((2, 4, 4, 3), 7, np.uint8))[:, :3], 7)


def test_an_unknown_name_lists_foreign_encoders_too(foreign_package: Path):
    with pytest.raises(SettingError, match="colour"):
        encoder_named("colours")


@pytest.mark.parametrize(
    ("what", "name", "error", "message"),
    [
        ("broken", "plain", DependencyError, "cannot be made"),
        ("misnamed", "plain", ModelError, "no tile encoder of this name"),
        ("colour", "plain@1", ModelError, "the plain that is here is plain@2"),
    ],
)
def test_what_cannot_be_used_is_named(
    offering, what: str, name: str, error: type[HistoscribeError], message: str
):
    offering(what)
    with pytest.raises(error, match=message):
        encoder_named(name)


def test_an_absent_encoder_with_a_version_is_a_model_error():
    with pytest.raises(ModelError, match="not known here"):
        encoder_named("colour@1")
