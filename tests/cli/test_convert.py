"""`histoscribe convert`: slides and sections in another format, nothing lost, nothing half-written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from histoscribe.section import open_section
from histoscribe.slide import open_slide


def test_a_slide_there_and_back(shell, cohort, tmp_path):
    source = cohort.parent / "S1.tif"
    pixels = open_slide(source).levels[0].pixels[:]
    done = shell("convert", source, tmp_path / "S1.ome.zarr", "--mpp", 0.5, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["without_loss"] is True
    done = shell("convert", tmp_path / "S1.ome.zarr", tmp_path / "S1.ome.tif")
    assert done.exit_code == 0, done.stderr
    for name in ("S1.ome.zarr", "S1.ome.tif"):
        slide = open_slide(tmp_path / name)
        assert slide.mpp == 0.5
        np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)


def test_a_section_becomes_an_h5ad(shell, cohort, tmp_path):
    done = shell("convert", cohort, tmp_path / "S1.h5ad", "--section", "S1", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["spots"] == open_section(tmp_path / "S1.h5ad").table.n_obs


@pytest.mark.parametrize(
    ("target", "words", "says"),
    [
        ("S1.png", (), "must end in"),
        ("S1.h5ad", (), "slide cannot be written as .h5ad"),
        ("S1.ome.zarr", ("--quality", 80), "without loss"),
        ("photos.zarr", (), "no zarr store"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(shell, cohort, tmp_path, target, words, says):
    (tmp_path / "photos.zarr").mkdir()
    (tmp_path / "photos.zarr" / "holiday.jpg").touch()
    done = shell("convert", cohort.parent / "S1.tif", tmp_path / target, *words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["photos.zarr"]


def test_a_slide_is_never_written_over_itself(shell, cohort, tmp_path):
    source = tmp_path / "S1.tif"
    source.write_bytes((cohort.parent / "S1.tif").read_bytes())
    assert shell("convert", source, source).exit_code == 2
    assert source.read_bytes() == (cohort.parent / "S1.tif").read_bytes()
    store = tmp_path / "S1.zarr"
    assert shell("convert", source, store).exit_code == 0
    assert shell("convert", store, store).exit_code == 2
    assert open_slide(store).levels


def test_a_url_is_a_slide_and_info_names_it(shell, cohort, tmp_path):
    done = shell("convert", cohort.parent / "S1.tif", tmp_path / "S1.zarr")
    assert done.exit_code == 0, done.stderr
    done = shell("info", (tmp_path / "S1.zarr").as_uri(), "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "slide"
    done = shell("info", "http://127.0.0.1:1/S1.zarr")
    assert done.exit_code == 2
    assert "http://127.0.0.1:1/S1.zarr" in done.stderr
