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


@pytest.mark.slow
def test_a_section_teaches_itself(shell, cohort, tmp_path):
    out = tmp_path / "p.h5ad"
    result = shell("predict", cohort, "--section", "S3", "--guide", "own", "--grid-um", "40", "--out", out)
    assert result.exit_code == 0, result.stderr
    table = read_h5ad(out)
    record = record_of(table)
    assert (record.kind, record.guide_spots, record.model_sha256) == ("predicted", 81, "")
    assert table.n_obs > 81
    assert (table.layers["low"] <= table.layers["high"]).all()


def test_a_target_is_wanted_without_own_spots(shell, cohort, tmp_path):
    result = shell("predict", cohort, "--out", tmp_path / "p.h5ad")
    assert result.exit_code == 2
    assert "nothing to predict on" in result.stderr
