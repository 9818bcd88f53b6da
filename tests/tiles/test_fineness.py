"""The fineness of an image is that of its detail: enlarging it changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from histoscribe.slide import open_slide
from histoscribe.tiles import Tiles, image_fineness


def picture(side: int, seed: int = 0) -> Image.Image:
    """Tissue by its spectrum: amplitudes fall as 1 / frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    phases = np.exp(2j * np.pi * rng.random(frequency.shape))
    grey = np.fft.irfft2(phases / np.maximum(frequency, 1 / side), s=(side, side))
    grey = 160 + 40 * (grey - grey.mean()) / grey.std()
    return Image.fromarray(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2))


def fineness(path, *, mpp: float, read_at: float = 1.0) -> float:
    slide = open_slide(path, mpp=mpp)
    rows, columns = slide.shape
    grid = np.stack(np.meshgrid([0.35, 0.5, 0.65], [0.35, 0.5, 0.65]), -1).reshape(-1, 2) * (rows, columns)
    return image_fineness(slide, Tiles(grid, 100.0, tuple(map(str, range(9))), 100.0), read_at)


def test_a_sharp_image_is_as_fine_as_it_is_read(tmp_path):
    picture(1024).save(tmp_path / "sharp.png")
    assert fineness(tmp_path / "sharp.png", mpp=1.0) == pytest.approx(1.0, abs=0.25)
    assert fineness(tmp_path / "sharp.png", mpp=0.5) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("times", [2, 3, 5])
def test_an_enlarged_image_is_as_coarse_as_before(tmp_path, times):
    picture(1024).resize((1024 // times,) * 2, Image.Resampling.BOX).resize((1024, 1024)).save(
        tmp_path / "a.png"
    )
    assert fineness(tmp_path / "a.png", mpp=1.0) == pytest.approx(times, rel=0.3)


@pytest.mark.parametrize("times", [2, 3, 5])
@pytest.mark.parametrize("read_at", [0.25, 0.5, 1.0])
def test_pixels_that_were_only_repeated_are_as_coarse_as_before(tmp_path, times, read_at):
    """Enlarged without smoothing: its squares have sharp edges, and no detail."""
    small = picture(1024).resize((1024 // times,) * 2, Image.Resampling.BOX)
    small.resize((1024, 1024), Image.Resampling.NEAREST).save(tmp_path / "a.png")
    found = fineness(tmp_path / "a.png", mpp=0.25, read_at=read_at)
    assert found == pytest.approx(max(0.25 * times, read_at), rel=0.3)


@pytest.mark.parametrize("change", ["packed", "noisy", "sharpened"])
def test_what_is_done_after_enlarging_does_not_hide_it(tmp_path, change):
    image = picture(1024).resize((205, 205), Image.Resampling.BOX).resize((1024, 1024))
    if change == "packed":
        image.save(tmp_path / "a.jpg", quality=50)
        image = Image.open(tmp_path / "a.jpg")
    elif change == "noisy":
        noise = np.random.default_rng(0).normal(0, 8, (1024, 1024, 3))
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    else:
        image = image.filter(ImageFilter.UnsharpMask(3, 200, 0))
    image.save(tmp_path / "a.png")
    assert fineness(tmp_path / "a.png", mpp=1.0) > 3


def test_a_packed_sharp_image_stays_sharp(tmp_path):
    picture(1024).save(tmp_path / "a.jpg", quality=30)
    assert fineness(tmp_path / "a.jpg", mpp=1.0) < 1.3


@pytest.mark.parametrize("times", [2, 5])
def test_coarse_pixels_are_believed(tmp_path, times):
    picture(1024).resize((1024 // times,) * 2, Image.Resampling.BOX).save(tmp_path / "a.png")
    assert fineness(tmp_path / "a.png", mpp=float(times)) == pytest.approx(times, rel=0.3)


def test_bare_glass_says_nothing_against_an_image(tmp_path):
    Image.new("RGB", (600, 600), (250, 250, 250)).save(tmp_path / "glass.png")
    assert fineness(tmp_path / "glass.png", mpp=1.0) == 1.0
