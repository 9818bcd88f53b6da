from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import pytest

from histoscribe.errors import Cancelled, SlideError
from histoscribe.features import BuiltinEncoder, encode_tiles
from histoscribe.progress import Progress, Step
from histoscribe.slide import Level, Slide
from histoscribe.tiles import Tiles

FINE = "at 1 µm"  # what single pixels of the finest view show differs with the slide's own pixels


@dataclass
class MeanColour:
    """An encoder of three numbers, which makes the order of tiles visible."""

    name: str = "mean"
    dimension: int = 3
    crop_um: float = 8.0
    mpp: float = 1.0

    def encode(self, crops: np.ndarray) -> np.ndarray:
        return crops.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture(scope="module")
def slide() -> Slide:
    pixels = np.zeros((100, 3000, 3), dtype=np.uint8)
    pixels[:, :, 0] = np.arange(3000) // 12
    return Slide(Path("ramp.png"), (Level(pixels, 1.0),), mpp=1.0)


def row_of_tiles(count: int) -> Tiles:
    centres = np.column_stack([np.full(count, 50.0), 10.0 + 2 * np.arange(count)])
    return Tiles(centres, 2.0, tuple(f"r0c{number}" for number in range(count)), 2.0)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 1000])
@pytest.mark.parametrize("workers", [1, 4])
def test_rows_are_in_the_order_of_the_tiles(slide: Slide, count: int, workers: int) -> None:
    tiles = row_of_tiles(count)
    with dask.config.set(num_workers=workers):
        features = encode_tiles(slide, tiles, MeanColour())
    assert features.shape == (count, 3)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[:, 0], tiles.centres[:, 1] / 12 - 0.5, atol=0.5)


def test_threads_do_not_change_a_bit(paint: Callable[..., np.ndarray]) -> None:
    slide = Slide(Path("painted.png"), (Level(paint(side_um=900, nuclei=1200), 1.0),), mpp=0.8)
    centres = np.random.default_rng(0).uniform(0, 900, (21, 2))
    tiles = Tiles(centres, 100.0, tuple(map(str, range(21))), 55.0)
    results = []
    for workers in (1, 3):
        with dask.config.set(num_workers=workers):
            results.append(encode_tiles(slide, tiles, BuiltinEncoder()))
    np.testing.assert_array_equal(*results)
    alone = Tiles(centres[13:14], 100.0, ("13",), 55.0)
    np.testing.assert_array_equal(encode_tiles(slide, alone, BuiltinEncoder())[0], results[0][13])


def test_descriptors_hardly_depend_on_the_pixels_of_the_slide(paint: Callable[..., np.ndarray]) -> None:
    encoder = BuiltinEncoder()
    rows = {}
    for mpp in (0.5, 0.8, 1.0):
        painted = [paint(seed, mpp=mpp, nuclei=60 + 90 * seed, radius_um=5, holes=seed) for seed in range(4)]
        rows[mpp] = np.concatenate(
            [
                encode_tiles(
                    Slide(Path("painted.png"), (Level(crop, 1.0),), mpp=mpp),
                    Tiles(np.array([[256.0, 256.0]]) / mpp, 100.0, ("one",), 55.0),
                    encoder,
                )
                for crop in painted
            ]
        )
    scale = rows[1.0].std(axis=0)
    for mpp in (0.5, 0.8):
        change = np.abs(rows[mpp] - rows[1.0]).max(axis=0) / (scale + 1e-3)
        coarse = [
            value for value, name in zip(change, encoder.feature_names, strict=True) if FINE not in name
        ]
        assert np.median(coarse) < 0.1
        assert np.quantile(coarse, 0.9) < 0.5


def test_reports_come_on_the_calling_thread_and_end_at_the_total(slide: Slide) -> None:
    steps: list[tuple[Step, int]] = []
    progress = Progress(lambda step: steps.append((step, threading.get_ident())))
    encode_tiles(slide, row_of_tiles(1000), MeanColour(), progress=progress)
    assert {thread for _, thread in steps} == {threading.get_ident()}
    done = [step.done for step, _ in steps]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == steps[-1][0].total == 1000


def test_cancelling_stops_it(slide: Slide) -> None:
    described = 0

    class Counting(MeanColour):
        def encode(self, crops: np.ndarray) -> np.ndarray:
            nonlocal described
            described += len(crops)
            return super().encode(crops)

    progress = Progress(lambda step: progress.cancel() if step.done else None)
    with dask.config.set(num_workers=2), pytest.raises(Cancelled):
        encode_tiles(slide, row_of_tiles(1000), Counting(), progress=progress)
    assert 0 < described < 1000


def test_a_slide_of_unknown_scale_is_refused(slide: Slide) -> None:
    unknown = Slide(slide.path, slide.levels)
    with pytest.raises(SlideError, match="state them with --mpp"):
        encode_tiles(unknown, row_of_tiles(3), MeanColour())


def test_an_encoder_that_fails_says_so(slide: Slide) -> None:
    class Failing(MeanColour):
        def encode(self, crops: np.ndarray) -> np.ndarray:
            raise ValueError("no such luck")

    with pytest.raises(ValueError, match="no such luck"):
        encode_tiles(slide, row_of_tiles(30), Failing())


@pytest.mark.realdata
def test_a_coarse_real_section_is_described(real_data: Path) -> None:
    from histoscribe.slide import open_slide

    slide = open_slide(real_data / "mob" / "MOB1.jpg", mpp=8.77)
    centres = np.mgrid[700:1200:100, 600:1200:120].reshape(2, -1).T.astype(np.float64)
    tiles = Tiles(centres, 200.0, tuple(map(str, range(len(centres)))), 100.0)
    features = encode_tiles(slide, tiles, BuiltinEncoder())
    assert np.isfinite(features).all()
    assert (features.std(axis=0) > 0).all()
