"""The tissue mask."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from histoscribe.errors import SlideError
from histoscribe.slide import Level, Slide, open_slide
from histoscribe.slide.tissue import tissue_mask

_EOSIN, _HAEMATOXYLIN = (225, 170, 205), (110, 70, 150)


def _slide(pixels, *, downsample: float = 1.0, mpp: float | None = 4.0) -> Slide:
    return Slide(Path("made.tif"), (Level(pixels, downsample),), mpp=mpp)


def _glass(rows: int = 600, columns: int = 800):
    noise = np.random.default_rng(1).integers(-4, 5, (rows, columns, 3))
    return (np.array([236, 233, 238]) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("downsample", [1.0, 4.0])
def test_pale_and_dark_tissue_are_found_and_glass_is_not(downsample):
    pixels = _glass()
    truth = np.zeros(pixels.shape[:2], dtype=bool)
    truth[100:400, 200:600] = True
    pixels[100:400, 200:400] = _EOSIN
    pixels[100:400, 400:600] = _HAEMATOXYLIN
    slide = _slide(pixels, downsample=downsample, mpp=4 / downsample)
    mask, factor = tissue_mask(slide)
    assert factor == pytest.approx(16 / (4 / downsample))
    assert mask.shape == (150, 200)
    wanted = truth[2::4, 2::4]
    assert (mask & wanted).sum() / (mask | wanted).sum() > 0.95


def test_ink_dust_and_holes():
    pixels = _glass()
    pixels[100:400, 200:600] = _EOSIN
    pixels[230:250, 300:330] = _glass(20, 30)  # 80 × 120 µm: belongs to the tissue
    pixels[500:510, 100:110] = _HAEMATOXYLIN  # 40 µm: dust
    pixels[:, 780:] = 5  # black border
    mask, _ = tissue_mask(_slide(pixels))
    assert mask[60, 78]
    assert not mask[126, 26]
    assert not mask[:, 190:].any()


def test_empty_slides_have_no_tissue():
    assert not tissue_mask(_slide(_glass()))[0].any()
    assert not tissue_mask(_slide(np.full((500, 500, 3), 255, dtype=np.uint8)))[0].any()
    assert not tissue_mask(_slide(np.zeros((1, 1, 3), dtype=np.uint8), mpp=0.5))[0].any()


def test_scale_must_be_known():
    with pytest.raises(SlideError, match="unknown"):
        tissue_mask(_slide(_glass(), mpp=None))


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["B4", "C3"])
def test_mask_covers_the_spots_of_real_sections_and_little_else(real_data, name):
    slide = open_slide(real_data / "her2st" / f"{name}.jpg", mpp=200 / 272)
    mask, factor = tissue_mask(slide)
    with (real_data / "her2st" / f"{name}_selection.tsv").open() as stream:
        spots = [row for row in csv.DictReader(stream, delimiter="\t") if row["selected"] == "1"]
    rows = np.array([float(row["pixel_y"]) for row in spots]) / factor
    columns = np.array([float(row["pixel_x"]) for row in spots]) / factor
    assert mask[rows.astype(int), columns.astype(int)].mean() > 0.98
    assert mask.sum() < 1.3 * len(spots) * (200 / 16) ** 2
