from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscribe.errors import SectionError
from histoscribe.section import check_alignment, open_section
from histoscribe.section.alignment import laid_on, rebased
from histoscribe.slide import Level, Slide

Make = Callable[..., Any]


def slide(
    rows: int = 2000, columns: int = 3000, *, levels: tuple[float, ...] = (1, 4), mpp: float | None = None
) -> Slide:
    def level(factor: float) -> Level:
        pixels: Any = np.zeros((round(rows / factor), round(columns / factor), 3), dtype=np.uint8)
        return Level(pixels, factor)

    return Slide(Path("slide.tif"), tuple(level(factor) for factor in levels), mpp=mpp)


def spots(rows: float = 2000, columns: float = 3000) -> np.ndarray:
    down, across = np.mgrid[0.1:0.9:8j, 0.1:0.9:8j]
    return np.column_stack([down.ravel() * rows, across.ravel() * columns])


def test_the_right_image_fits() -> None:
    found = check_alignment(spots(), slide(), mpp=0.5, expected=(2004, 2998))
    assert (found.factor, found.warnings, found.verdict) == (1.0, (), "fits")


def test_positions_of_a_coarser_level_are_scaled() -> None:
    found = check_alignment(spots(500, 750), slide(), mpp=2.0, expected=(500, 750))
    assert found.factor == 4.0
    assert found.verdict == "fits level 1 (1/4)"
    assert "placed on level 1 of this slide (4 times smaller)" in found.warnings[0]


def test_what_lies_on_a_slide_keeps_its_micrometres() -> None:
    placed = spots(500, 750)
    beneath, centres, mpp, found = laid_on(slide(), placed, 2.0, expected=(500, 750))
    assert found.factor == 4.0
    assert beneath.mpp == mpp == 0.5
    np.testing.assert_allclose(centres * mpp, placed * 2.0)


def test_another_image_is_refused() -> None:
    with pytest.raises(
        SectionError, match="placed on an image of 2500 × 2500 pixels, this one has 2000 × 3000"
    ):
        check_alignment(spots(), slide(), mpp=0.5, expected=(2500, 2500))


def test_a_resized_image_is_refused_unless_its_mpp_proves_it() -> None:
    with pytest.raises(SectionError, match="which is none of its levels"):
        check_alignment(spots(1000, 1500), slide(), mpp=1.0, expected=(1000, 1500))
    found = check_alignment(spots(1000, 1500), slide(mpp=0.5), mpp=1.0, expected=(1000, 1500))
    assert found.factor == pytest.approx(2.0)
    assert found.verdict == "fits a copy 2 times smaller"
    assert "placed on a reduced copy of this slide" in found.warnings[0]


def test_without_a_known_size_the_mpp_decides() -> None:
    assert check_alignment(spots(), slide(mpp=0.52), mpp=0.5).factor == 1.0
    assert check_alignment(spots(500, 750), slide(mpp=0.5), mpp=2.0).factor == 4.0
    (warning,) = check_alignment(spots(), slide(mpp=0.3), mpp=0.5).warnings
    assert "the slide states 0.3 µm per pixel" in warning


def test_spots_outside_are_refused() -> None:
    with pytest.raises(SectionError, match="of 64 spots lie outside the image"):
        check_alignment(spots() * 1.5, slide(), mpp=0.5)
    one_off = spots()
    one_off[0, 0] = -5
    assert check_alignment(one_off, slide(), mpp=0.5).warnings == ("1 of 64 spots lie outside the image",)


def test_swapped_pixel_columns_are_recognised() -> None:
    with pytest.raises(SectionError, match="none with pixel row and column swapped"):
        check_alignment(spots()[:, ::-1], slide(), mpp=0.5)


def test_coordinates_of_a_reduced_copy_are_doubted() -> None:
    (warning,) = check_alignment(spots(500, 750), slide(), mpp=2.0).warnings
    assert "only the upper left corner" in warning


def test_rebased_slide_has_its_full_size() -> None:
    small = rebased(slide(200, 300, levels=(1, 2), mpp=3.0), 1 / 0.15)
    assert small.shape == (1333, 2000)
    assert [level.downsample for level in small.levels] == pytest.approx([1 / 0.15, 2 / 0.15])
    assert small.mpp is None


def test_section_on_a_larger_slide_is_scaled_to_it(space_ranger: Make, tmp_path: Path, png: Make) -> None:
    truth = space_ranger()
    png(tmp_path / "wide.png", 2400, 3200)
    section = open_section(truth.folder, slide=tmp_path / "wide.png")
    assert section.mpp == pytest.approx(0.4, rel=2e-3)
    assert section.centres.max() == pytest.approx(2 * truth.centres.max(), rel=1e-3)
    assert section.slide is not None
    assert section.slide.mpp == section.mpp
    png(tmp_path / "other.png", 1000, 1000)
    with pytest.raises(SectionError, match="the slide does not fit"):
        open_section(truth.folder, slide=tmp_path / "other.png")
