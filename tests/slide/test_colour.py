"""ICC profiles, applied on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageCms

from histoscribe.errors import SlideError
from histoscribe.slide import open_slide
from histoscribe.slide.colour import in_srgb


@pytest.fixture
def slide(picture, write_tiff):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return open_slide(write_tiff(picture(300, 200), levels=2, iccprofile=profile))


def test_the_profile_comes_from_the_file(slide):
    assert slide.profile()[36:40] == b"acsp"


def test_srgb_stays_srgb_and_is_read_lazily(slide):
    managed = in_srgb(slide)
    assert [level.downsample for level in managed.levels] == [level.downsample for level in slide.levels]
    before, after = (one.levels[0].pixels[20:90, 30:80].astype(int) for one in (slide, managed))
    assert np.abs(before - after).max() <= 1
    np.testing.assert_array_equal(managed.levels[0].pixels[:][20:90, 30:80], after)
    assert managed.profile is None


def test_profiles_that_cannot_be_used(slide):
    for profile in (b"", b"not a profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()):
        with pytest.raises(SlideError, match="cannot be used") as caught:
            in_srgb(replace(slide, profile=lambda profile=profile: profile))
        assert "\n" not in str(caught.value)
    with pytest.raises(SlideError, match="no ICC profile"):
        in_srgb(replace(slide, profile=None))


@pytest.mark.realdata
def test_a_scanner_profile_changes_colours_a_little(real_data):
    slide = open_slide(real_data / "slides" / "CMU-1-Small-Region-dicom")
    before, after = (one.levels[0].pixels[1000:1300, 900:1200].astype(int) for one in (slide, in_srgb(slide)))
    assert np.abs(before - after).mean() < 20
