"""`histoscribe predict --guide`: measured spots of the slide, or the target's own."""

from __future__ import annotations

import pytest
from anndata import read_h5ad

from histoscribe.record import record_of


@pytest.mark.parametrize("guide", ["own", "cohort"])
def test_a_prediction_is_guided(shell, model, cohort, tmp_path, guide):
    out = tmp_path / "p.h5ad"
    words = ("--section", "S3", "--guide", cohort if guide == "cohort" else guide, "--out", out)
    result = shell("predict", model, cohort, *words)
    assert result.exit_code == 0, result.stderr
    record = record_of(read_h5ad(out))
    assert (record.guide_section, record.guide_spots) == ("S3", 81)


def test_a_slide_has_no_spots_of_its_own(shell, model, cohort, tmp_path):
    slide = cohort.parent / "S3.tif"
    words = ("--mpp", "1", "--guide", "own", "--out", tmp_path / "p.h5ad")
    result = shell("predict", model, slide, *words)
    assert result.exit_code == 2
    assert "no measured spots of its own" in result.stderr
