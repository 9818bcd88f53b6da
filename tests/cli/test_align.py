"""`histoscribe align`: onto a slide by landmarks, onto a section by looking, and refusals."""

from __future__ import annotations

import json

import numpy as np
import tifffile

from histoscribe.record import record_of
from histoscribe.section import open_section


def test_a_section_is_laid_on_a_turned_slide_by_landmarks(shell, cohort, tmp_path) -> None:
    own = tifffile.imread(cohort.parent / "S1.tif")
    tifffile.imwrite(tmp_path / "turned.tif", np.ascontiguousarray(own[::-1, ::-1]), photometric="rgb")
    before = shell("convert", cohort, tmp_path / "S1.h5ad", "--section", "S1")
    assert before.exit_code == 0, before.stderr
    section = open_section(tmp_path / "S1.h5ad")
    last = (len(own) - 1) * section.mpp
    pairs = [(10, 10), (10, 300), (300, 20), (200, 200)]
    lines = [f"{row},{column},{last - row},{last - column}" for row, column in pairs]
    header = "moving_row,moving_column,fixed_row,fixed_column"
    (tmp_path / "pairs.csv").write_text("\n".join([header, *lines]))
    words = ("--landmarks", tmp_path / "pairs.csv", "--mpp", section.mpp, "--out", tmp_path / "laid.h5ad")
    done = shell("align", tmp_path / "S1.h5ad", tmp_path / "turned.tif", *words, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["method"], told["places"]) == ("landmarks", 4)
    assert told["residual_um"] < 1e-6
    laid = open_section(tmp_path / "laid.h5ad")
    np.testing.assert_allclose(laid.centres, len(own) - 1 - section.centres, atol=1e-6)
    assert record_of(laid.table).aligned.name == "turned"


def test_what_is_too_plain_to_be_aligned_is_refused(shell, cohort, tmp_path) -> None:
    for name in ("S1", "S2"):
        assert shell("convert", cohort, tmp_path / f"{name}.h5ad", "--section", name).exit_code == 0
    done = shell("align", tmp_path / "S1.h5ad", tmp_path / "S2.h5ad", "--out", tmp_path / "out.h5ad")
    assert done.exit_code == 2
    assert "set three pairs of landmarks" in done.stderr
    assert not (tmp_path / "out.h5ad").exists()
    done = shell(
        "align", tmp_path / "S1.h5ad", tmp_path / "S2.h5ad", "--out", tmp_path / "o.h5ad", "--freedom", "x"
    )
    assert "no freedom is called 'x'" in done.stderr
