from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from histoscribe.errors import SlideError, StorageError
from histoscribe.features import describe_tiles, storing
from histoscribe.features.store import CHUNK
from histoscribe.progress import Progress
from histoscribe.slide import Slide, open_slide
from histoscribe.tiles import Tiles

COUNT = 5 * CHUNK + 3


@dataclass
class Counting:
    """Mean colour, and how many crops it was asked for."""

    name: str = "counting"
    dimension: int = 3
    crop_um: float = 8.0
    mpp: float = 1.0
    asked: int = 0

    def encode(self, crops: np.ndarray) -> np.ndarray:
        self.asked += len(crops)
        return crops.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture
def slide(tmp_path: Path) -> Slide:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "slide.tif", pixels, tile=(64, 64), photometric="rgb")
    return open_slide(tmp_path / "slide.tif", mpp=1.0)


@pytest.fixture
def tiles() -> Tiles:
    centres = np.random.default_rng(1).uniform(0, 256, (COUNT, 2))
    return Tiles(centres, 4.0, tuple(map(str, range(COUNT))), 4.0)


@pytest.fixture
def stored(slide: Slide, tiles: Tiles, tmp_path: Path) -> Path:
    """The only folder of the store, whole."""
    with storing(tmp_path / "store"):
        describe_tiles(slide, tiles, Counting())
    (shelf,) = (tmp_path / "store").iterdir()
    return shelf


def again(slide: Slide, tiles: Tiles, shelf: Path, encoder: Counting | None = None):
    encoder = encoder or Counting()
    with storing(shelf.parent):
        return describe_tiles(slide, tiles, encoder), encoder.asked


def test_what_is_stored_is_what_is_described(slide: Slide, tiles: Tiles, stored: Path) -> None:
    plain = describe_tiles(slide, tiles, Counting()).features
    found, asked = again(slide, tiles, stored)
    np.testing.assert_array_equal(found.features, plain)
    assert (asked, found.chunks, found.reused, found.damaged, found.repeated) == (0, 6, 6, 0, 0)


def test_a_copy_of_the_slide_is_known_again(slide: Slide, tiles: Tiles, stored: Path, tmp_path: Path) -> None:
    shutil.copy(slide.path, tmp_path / "other name.tif")
    assert again(open_slide(tmp_path / "other name.tif", mpp=1.0), tiles, stored)[1] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda slide, tiles: (slide.with_mpp(0.9), tiles, Counting()),
        lambda slide, tiles: (slide, Tiles(tiles.centres + 1, 4.0, tiles.names, 4.0), Counting()),
        lambda slide, tiles: (slide, tiles, Counting(name="counting@other weights")),
        lambda slide, tiles: (slide, tiles, Counting(crop_um=12.0)),
    ],
    ids=["µm per pixel", "places", "encoder", "crop"],
)
def test_what_would_give_other_numbers_is_kept_apart(
    slide: Slide, tiles: Tiles, stored: Path, change: Callable
) -> None:
    slide, tiles, encoder = change(slide, tiles)
    assert again(slide, tiles, stored, encoder)[1] == COUNT
    assert len(list(stored.parent.iterdir())) == 2


@pytest.mark.parametrize("harm", ["a bit", "cut", "longer", "empty"])
def test_a_damaged_chunk_is_described_again(slide: Slide, tiles: Tiles, stored: Path, harm: str) -> None:
    plain = again(slide, tiles, stored)[0].features
    file = stored / "c" / "2" / "0"
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    harmed = {"a bit": content, "cut": content[:50], "longer": content + b"x" * 10**6, "empty": b""}
    file.write_bytes(harmed[harm])
    messages = set()
    encoder = Counting()
    with storing(stored.parent):
        found = describe_tiles(
            slide, tiles, encoder, progress=Progress(lambda step: messages.add(step.message))
        )
    np.testing.assert_array_equal(found.features, plain)
    assert (encoder.asked, found.damaged, found.repeated) == (CHUNK, 1, 0)
    assert any("1 damaged" in message for message in messages)
    assert again(slide, tiles, stored)[0].reused == 6


@pytest.mark.parametrize("harm", ["cut", "foreign", "gone"])
def test_damaged_metadata_are_made_anew(slide: Slide, tiles: Tiles, stored: Path, harm: str) -> None:
    metadata = stored / "zarr.json"
    if harm == "gone":
        metadata.unlink()
    else:
        metadata.write_text("{" if harm == "cut" else "[]")
    found, asked = again(slide, tiles, stored)
    assert asked == COUNT
    assert np.isfinite(found.features).all()


def test_a_missing_chunk_alone_is_described(slide: Slide, tiles: Tiles, stored: Path) -> None:
    shutil.rmtree(stored / "c" / "5")
    found, asked = again(slide, tiles, stored)
    assert (asked, found.reused, found.repeated) == (3, 5, 1)


def test_leftovers_of_a_killed_write_do_not_matter(slide: Slide, tiles: Tiles, stored: Path) -> None:
    (stored / "c" / "1" / "0.abc.partial").write_bytes(b"half")
    assert again(slide, tiles, stored)[1] == 0


def test_a_slide_without_a_file_is_refused(slide: Slide, tiles: Tiles, tmp_path: Path) -> None:
    nowhere = Slide(tmp_path / "gone.tif", slide.levels, mpp=1.0)
    with storing(tmp_path / "store"), pytest.raises(SlideError, match="the slide's own file"):
        describe_tiles(nowhere, tiles, Counting())


def test_a_store_that_is_a_file_is_refused(slide: Slide, tiles: Tiles, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    with storing(tmp_path / "store"), pytest.raises(StorageError, match="another folder"):
        describe_tiles(slide, tiles, Counting())


def test_no_tiles_leave_no_trace(slide: Slide, tiles: Tiles, tmp_path: Path) -> None:
    with storing(tmp_path / "store"):
        found = describe_tiles(slide, Tiles(np.empty((0, 2)), 4.0, (), 4.0), Counting())
    assert found.features.shape == (0, 3)
    assert not (tmp_path / "store").exists()
