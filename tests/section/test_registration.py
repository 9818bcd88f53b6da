"""Alignment of pairs whose truth is known, landmarks, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.errors import Cancelled, SectionError, SettingError
from histoscribe.progress import Progress
from histoscribe.record import amend_record, record_of
from histoscribe.section import align, align_by_landmarks, keep_alignment, lay_on, open_section, write_section
from histoscribe.section.registration.transform import fitted, through
from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide import Slide

pytestmark = pytest.mark.slow

SIDE, MPP = 736, 2.0


@pytest.fixture(scope="module")
def section():
    return simulate_section(1, genes=14, size_um=SIDE * MPP, mpp=MPP)


@pytest.fixture(scope="module")
def pixels(section) -> np.ndarray:
    return np.asarray(section.slide.levels[0].pixels[:])


def turned(angle: float, *, mirror: bool = False, stretch: float = 1.0) -> np.ndarray:
    """About the middle of the slide, in µm."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag(
        (stretch, -1.0 if mirror else 1.0)
    )
    affine, middle = np.eye(3), np.full(2, SIDE * MPP / 2)
    affine[:2, :2], affine[:2, 2] = turn, middle - turn @ middle + (30.0, -50.0)
    return affine


def imaged(pixels: np.ndarray, affine: np.ndarray, name: str = "fixed") -> Slide:
    from scipy.ndimage import affine_transform

    back = np.linalg.inv(affine)
    glass = np.percentile(pixels, 99, axis=(0, 1))
    channels = [
        affine_transform(pixels[..., one], back[:2, :2], back[:2, 2] / MPP, order=1, cval=glass[one])
        for one in range(3)
    ]
    return slide_in_memory(np.stack(channels, axis=-1), MPP, name)


@pytest.mark.parametrize(
    "affine", [turned(2.0), turned(0.7, mirror=True, stretch=1.06)], ids=["rigid", "mirrored and stretched"]
)
def test_a_pair_is_found_to_a_fraction_of_a_spot(section, pixels, affine) -> None:
    found = align(section.slide, imaged(pixels, affine))
    places = section.centres_um
    assert np.median(np.hypot(*(through(found.affine, places) - through(affine, places)).T)) < 3
    assert found.residual_um < 3
    assert min(found.overlap, found.agreeing) > 0.9


def test_a_missing_part_and_another_stain_do_not_mislead(section, pixels) -> None:
    cut = pixels.copy()
    cut[:, 440:] = np.percentile(pixels, 99, axis=(0, 1))
    brown = np.stack([cut[..., 0], cut[..., 0] * 0.85 + 30, cut[..., 0] * 0.6 + 70], axis=-1).astype(np.uint8)
    affine = turned(-1.1)
    found = align(slide_in_memory(brown, MPP, "brown"), imaged(pixels, affine))
    places = section.centres_um[section.centres[:, 1] < 440]
    assert np.median(np.hypot(*(through(found.affine, places) - through(affine, places)).T)) < 5


def test_what_does_not_belong_together_is_refused_in_words(section) -> None:
    other = simulate_section(2, genes=14, size_um=SIDE * MPP, mpp=MPP)
    with pytest.raises(SectionError, match="cannot be aligned with confidence"):
        align(section.slide, other.slide)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    disc = np.where(np.hypot(rows, columns)[..., None] < 200, (180, 120, 170), 245).astype(np.uint8)
    with pytest.raises(SectionError, match="structure"):
        align(slide_in_memory(disc, MPP, "one"), slide_in_memory(disc, MPP, "two"))
    empty = slide_in_memory(np.full((SIDE, SIDE, 3), 245, np.uint8), MPP, "empty")
    with pytest.raises(SectionError, match="empty: no tissue"):
        align(section.slide, empty)
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        align(section.slide, other.slide, progress=progress)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.booleans(), st.sampled_from(["rigid", "similarity", "affine"]))
def test_landmarks_give_back_the_map_that_made_them(seed: int, mirror: bool, freedom: str) -> None:
    rng = np.random.default_rng(seed)
    stretch = 1.0 if freedom != "affine" else 1.1
    affine = turned(rng.uniform(0, 6), mirror=mirror, stretch=stretch)
    if freedom == "similarity":
        affine[:2, :2] *= 1.2
    places = rng.uniform(0, 5000, (7, 2))
    np.testing.assert_allclose(fitted(places, through(affine, places), freedom), affine, atol=1e-6)
    moved = through(affine, places)
    moved[3] += (80.0, 0.0)
    found = align_by_landmarks(places, moved, freedom=freedom)
    assert np.hypot(*found.residuals[3]) == pytest.approx(80)


def test_too_few_landmarks_are_refused() -> None:
    line = np.column_stack([np.arange(4.0), np.arange(4.0)])
    with pytest.raises(SettingError, match="one line"):
        align_by_landmarks(line, line, freedom="affine")
    with pytest.raises(SettingError, match="at least 2 pairs"):
        align_by_landmarks(line[:1], line[:1])
    two = align_by_landmarks(line[:2], line[:2] + 5)
    np.testing.assert_allclose(two.affine, [(1, 0, 5), (0, 1, 5), (0, 0, 1)], atol=1e-9)


def test_spots_and_regions_go_onto_another_slide_and_into_files(section, pixels, tmp_path) -> None:
    moving = replace(section, table=section.table.copy())
    drawn = {"type": "Polygon", "coordinates": [[[100, 200], [300, 200], [300, 400], [100, 200]]]}
    amend_record(moving.table, regions=f'{{"type": "Feature", "geometry": {drawn}}}'.replace("'", '"'))
    affine = turned(1.0)
    places = moving.centres_um
    found = align_by_landmarks(places, through(affine, places))
    laid = lay_on(moving, imaged(pixels, affine), found)
    np.testing.assert_allclose(laid.centres_um, through(affine, places), atol=1e-6)
    assert laid.mpp == pytest.approx(MPP)
    write_section(laid, tmp_path / "laid.h5ad")
    kept = record_of(open_section(tmp_path / "laid.h5ad").table)
    np.testing.assert_allclose(kept.aligned.affine, affine, atol=1e-9)
    assert (kept.aligned.name, kept.aligned.method) == ("fixed", "landmarks")
    corner = through(affine, [(200 * MPP, 100 * MPP)])[0] / MPP
    assert f"[{corner[1]}, {corner[0]}]"[:8] in kept.regions
    np.testing.assert_array_equal(moving.centres_um, places)
    with pytest.raises(SectionError, match="outside the image"):
        lay_on(moving, imaged(pixels, affine), align_by_landmarks(places, places + 2000))


def test_a_neighbour_is_kept_in_spatialdata(section, tmp_path) -> None:
    spatialdata = pytest.importorskip("spatialdata")
    moving = replace(section, table=section.table.copy(), slide=None)
    affine = turned(0.4, mirror=True)
    keep_alignment(
        moving, "neighbour", align_by_landmarks(moving.centres_um, through(affine, moving.centres_um))
    )
    write_section(moving, tmp_path / "one.zarr")
    data = spatialdata.read_zarr(tmp_path / "one.zarr")
    circles = spatialdata.transform(data[section.name], to_coordinate_system="aligned to neighbour")
    there = np.column_stack([circles.geometry.y, circles.geometry.x])
    np.testing.assert_allclose(there, through(affine, moving.centres_um), atol=1e-6)
    np.testing.assert_allclose(record_of(open_section(tmp_path / "one.zarr").table).aligned.affine, affine)
