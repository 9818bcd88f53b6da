from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.errors import SettingError
from histoscribe.features import BuiltinEncoder, TileEncoder, encoder_named

ENCODER = BuiltinEncoder()
NAMES = ENCODER.feature_names


@pytest.fixture(scope="module")
def features(crops: np.ndarray) -> np.ndarray:
    return ENCODER.encode(crops)


def named(row: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, row.tolist(), strict=True))


def test_it_is_a_tile_encoder() -> None:
    assert isinstance(ENCODER, TileEncoder)


def test_names_are_unique_and_as_many_as_columns(features: np.ndarray) -> None:
    assert len(set(NAMES)) == len(NAMES) == ENCODER.dimension == features.shape[1]
    assert features.dtype == np.float32
    assert 200 <= ENCODER.dimension <= 400


def test_every_name_states_its_window() -> None:
    assert all("µm window" in name for name in NAMES)


def test_features_tell_crops_apart(features: np.ndarray) -> None:
    same = [name for name, sd in zip(NAMES, features.std(axis=0), strict=True) if sd == 0]
    assert same == []


def test_numbers_stay_what_this_version_of_the_encoder_has_always_given(features: np.ndarray) -> None:
    stored = np.load(Path(__file__).with_name(f"{ENCODER.name}.npy"))
    change = np.abs(features - stored)
    allowed = 1e-4 * np.maximum(np.abs(stored), stored.std(axis=0))
    assert [name for name, excess in zip(NAMES, (change > allowed).any(axis=0), strict=True) if excess] == []


def test_the_same_crops_give_the_same_bits(crops: np.ndarray, features: np.ndarray) -> None:
    np.testing.assert_array_equal(BuiltinEncoder().encode(crops.copy()), features)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_other_crops_of_the_batch_do_not_matter(crops: np.ndarray, features: np.ndarray, size: int) -> None:
    parts = [ENCODER.encode(crops[start : start + size]) for start in range(0, len(crops), size)]
    np.testing.assert_array_equal(np.concatenate(parts), features)
    np.testing.assert_array_equal(ENCODER.encode(crops[::-1])[::-1], features)


@pytest.mark.parametrize(
    "turn",
    [lambda crops: np.rot90(crops, 1, (1, 2)), lambda crops: crops[:, ::-1], lambda crops: crops[:, :, ::-1]],
    ids=["turned", "upside down", "mirrored"],
)
def test_turning_a_crop_changes_little(
    crops: np.ndarray, features: np.ndarray, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    change = np.abs(ENCODER.encode(turn(crops)) - features) / (features.std(axis=0) + 1e-3)
    assert change.max() < 0.05


def test_input_is_not_changed(crops: np.ndarray) -> None:
    before = crops.copy()
    ENCODER.encode(crops)
    np.testing.assert_array_equal(crops, before)


def test_no_crops_give_no_rows(crops: np.ndarray) -> None:
    assert ENCODER.encode(crops[:0]).shape == (0, ENCODER.dimension)


@pytest.mark.parametrize("shade", [0, 1, 128, 254, 255])
def test_blank_crops_are_finite_and_have_no_nuclei(shade: int) -> None:
    values = ENCODER.encode(np.full((1, 512, 512, 3), shade, dtype=np.uint8))[0]
    assert np.isfinite(values).all()
    assert named(values)["nuclei, 128 µm window (log per mm²)"] == 0


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    low=st.integers(0, 255),
    span=st.integers(0, 255),
    block=st.sampled_from([1, 2, 16, 128, 512]),
)
def test_any_crop_gives_finite_numbers(seed: int, low: int, span: int, block: int) -> None:
    random = np.random.default_rng(seed)
    small = random.integers(low, min(255, low + span) + 1, (1, 512 // block, 512 // block, 3))
    crop = small.repeat(block, axis=1).repeat(block, axis=2).astype(np.uint8)
    assert np.isfinite(ENCODER.encode(crop)).all()


def test_more_hematoxylin_raises_its_descriptors_only(paint: Callable[..., np.ndarray]) -> None:
    pale, dark = (named(ENCODER.encode(paint(hematoxylin=amount)[None])[0]) for amount in (0.05, 0.25))
    for window in (64, 128, 256, 512):
        rise = {
            stain: dark[f"{stain} mean, {window} µm window (OD)"]
            - pale[f"{stain} mean, {window} µm window (OD)"]
            for stain in ("hematoxylin", "eosin")
        }
        assert rise["hematoxylin"] == pytest.approx(0.2, abs=0.03)
        assert abs(rise["eosin"]) < 0.03


def test_holes_raise_the_bare_fraction(paint: Callable[..., np.ndarray]) -> None:
    whole = paint()
    holed = whole.copy()
    holed[220:300, 220:300] = 255
    before, after = named(ENCODER.encode(whole[None])[0]), named(ENCODER.encode(holed[None])[0])
    share = (80 / 256) ** 2
    for name in ("bare fraction, 256 µm window", "bare fraction in gaps over 8 µm, 256 µm window"):
        assert after[name] - before[name] == pytest.approx(share, abs=0.02)


def test_a_wide_change_is_seen_at_a_wide_scale_only(paint: Callable[..., np.ndarray]) -> None:
    crop = paint()
    other = crop.copy()
    other[:8] = 255
    change = np.abs(ENCODER.encode(crop[None]) - ENCODER.encode(other[None]))[0] > 1e-4
    touched = {name for name, moved in zip(NAMES, change, strict=True) if moved}
    assert touched
    assert all("512 µm window" in name for name in touched)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((2, 256, 256, 3), np.uint8),
        np.zeros((2, 512, 512, 3), np.float32),
        np.zeros((2, 512, 512, 4), np.uint8),
        np.zeros((512, 512, 3), np.uint8),
    ],
    ids=["small", "float", "four channels", "no batch"],
)
def test_unfit_crops_are_refused(crops: np.ndarray) -> None:
    with pytest.raises(SettingError, match="do not fit the encoder builtin"):
        ENCODER.encode(crops)


@pytest.mark.parametrize("name", ["builtin", BuiltinEncoder.name])
def test_encoders_are_found_by_name(name: str) -> None:
    assert encoder_named(name).name == BuiltinEncoder.name


def test_an_unknown_encoder_lists_the_known() -> None:
    with pytest.raises(SettingError, match="choose one of: builtin"):
        encoder_named("no-such")
