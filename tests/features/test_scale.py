"""A slide's µm per pixel have other witnesses: objective, size, nuclei."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from histoscribe.errors import SlideError
from histoscribe.features.scale import nuclear_scale, scale_doubt
from histoscribe.simulate import sample_folder
from histoscribe.slide import Slide, open_slide


@pytest.fixture(scope="module")
def slide() -> Slide:
    """Simulated tissue of 2.1 mm at 1 µm per pixel."""
    return open_slide(sample_folder() / "P1A" / "P1A.tif")


def test_a_true_scale_is_believed(slide):
    assert nuclear_scale(slide) == pytest.approx(1, abs=1.01)
    assert scale_doubt(slide).sentence == ""


def test_pixels_that_were_repeated_show_no_nuclei(slide, tmp_path):
    few = np.asarray(slide.levels[0].pixels[600:1200:4, 600:1200:4])
    tifffile.imwrite(tmp_path / "large.tif", few.repeat(16, axis=0).repeat(16, axis=1), photometric="rgb")
    assert nuclear_scale(open_slide(tmp_path / "large.tif", mpp=0.25)) is None


@pytest.mark.parametrize("times", [0.1, 10.0])
def test_ten_times_wrong_is_doubted_by_its_nuclei(slide, times):
    wrong = slide.with_mpp(times)
    assert nuclear_scale(wrong) == pytest.approx(times, rel=0.7)
    sentence = scale_doubt(wrong).sentence
    assert "nuclei would be about" in sentence
    assert f"{times:g} µm per pixel" in sentence


def test_two_witnesses_contradict_one_only_doubts(slide):
    assert not scale_doubt(slide.with_mpp(10.0)).contradicted
    assert scale_doubt(slide.with_mpp(0.1)).contradicted  # too small a tissue as well
    assert scale_doubt(replace(slide.with_mpp(10.0), objective=10.0)).contradicted


def test_a_slide_without_scale_is_not_doubted(slide):
    assert scale_doubt(replace(slide, mpp=None)).sentence == ""


def test_an_unknown_size_of_tissue_is_said(slide):
    wide = slide.with_mpp(60.0)
    assert "126 mm wide" in scale_doubt(wide).sentence


def test_a_contradicted_slide_is_not_predicted(slide):
    from histoscribe.models import bundled
    from histoscribe.predictor import Predictor

    with pytest.raises(SlideError, match="doubtful"):
        Predictor.load(bundled("her2st-breast"), device="cpu").predict(slide.with_mpp(0.1), pitch_um=20)
