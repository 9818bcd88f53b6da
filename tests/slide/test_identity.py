from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histoscribe.slide import Level, Slide
from histoscribe.slide.identity import content_hash, pixels_hash, slide_hash


def test_content_decides_and_size_does_not_cost(tmp_path: Path) -> None:
    huge, other = tmp_path / "huge", tmp_path / "other"
    for path in (huge, other):
        with path.open("wb") as stream:
            stream.truncate(2**34)
    assert content_hash(huge) == content_hash(other)
    with other.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"x")
    assert content_hash(huge) != content_hash(other)


def test_folders_are_known_by_what_they_hold(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "c").mkdir(parents=True)
        (tmp_path / name / "c" / "0").write_bytes(b"pixels")
    assert content_hash(tmp_path / "one") == content_hash(tmp_path / "two")
    (tmp_path / "two" / "c" / "0").write_bytes(b"pixelz")
    assert content_hash(tmp_path / "one") != content_hash(tmp_path / "two")


@pytest.mark.parametrize("kind", ["url", "index"])
def test_where_the_file_says_too_little_the_coarsest_level_decides(tmp_path: Path, kind: str) -> None:
    (tmp_path / "index.mrxs").write_bytes(b"the same for many slides")

    def known_by(pixels: np.ndarray) -> str:
        url = "https://a.b/c.zarr" if kind == "url" else ""
        return slide_hash(Slide(tmp_path / "index.mrxs", (Level(pixels, 1.0),), mpp=1.0, url=url))

    pixels = np.zeros((600, 300, 3), dtype=np.uint8)
    before = known_by(pixels)
    assert known_by(pixels.copy()) == before
    pixels[599, 0] = 1
    assert known_by(pixels) != before


def test_an_image_among_other_things_is_known_by_its_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((60, 30, 3), dtype=np.uint8)
    one = Slide(tmp_path / "holder.h5ad", (Level(pixels, 2.0),))
    other = Slide(tmp_path / "elsewhere.h5ad", (Level(pixels.copy(), 2.0),))
    assert pixels_hash(one) == pixels_hash(other)
    pixels[7, 7] = 1
    assert pixels_hash(one) != pixels_hash(other)
