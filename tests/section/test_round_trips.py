"""Predictions of every kind of input, written elsewhere and opened again with the right pixels beneath."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import imagecodecs
import numpy as np
import pytest
import tifffile

from histoscribe.record import Record, keep_record, record_of
from histoscribe.section import Section, flip, open_section, read_cohort, read_legacy, write_section
from histoscribe.slide import Window, open_slide
from histoscribe.slide.identity import refer_to

Make = Callable[..., Any]


def predicted(section: Section) -> Section:
    """A prediction of a section's spots, as a model gives it."""
    assert section.slide is not None
    table = anndata.AnnData(
        np.random.default_rng(0).random((section.table.n_obs, 3)).astype(np.float32),
        obs=section.table.obs[[]].copy(),
        obsm={"spatial": section.table.obsm["spatial"].copy()},
    )
    record = Record(
        "predicted",
        section.name,
        section.patient,
        section.mpp,
        section.spot_um,
        section.pitch_um,
        slide=refer_to(section.slide),
    )
    keep_record(table, record)
    return section.with_table(table)


@pytest.fixture(params=["run", "legacy", "h5ad", "cohort", "zarr", "slide"])
def source(
    request: pytest.FixtureRequest, tmp_path: Path, make_run: Make, legacy: Make, foreign: Make
) -> Section:
    folder = tmp_path / "input"
    folder.mkdir()
    if request.param == "run":
        run = make_run(folder / "run").folder
        (run / "spatial" / "tissue_lowres_image.png").unlink()
        return open_section(run)
    if request.param == "h5ad":
        foreign().write_h5ad(folder / "foreign.h5ad")
        return open_section(folder / "foreign.h5ad")
    if request.param == "zarr":
        pytest.importorskip("spatialdata")
        return open_section(write_section(open_section(make_run(folder / "run").folder), folder / "run.zarr"))
    if request.param == "slide":
        rows, columns = np.mgrid[:900, :700]
        pixels = np.stack([rows // 4, columns // 3, np.full_like(rows, 200)], -1).astype(np.uint8)
        tifffile.imwrite(folder / "bare.tif", pixels, tile=(256, 256), photometric="rgb")
        slide = open_slide(folder / "bare.tif").with_mpp(0.5)
        places = np.stack(np.meshgrid(np.arange(100, 800, 50), np.arange(100, 600, 50), indexing="ij"), -1)
        table = anndata.AnnData(np.zeros((140, 1)), obsm={"spatial": flip(places.reshape(-1, 2))})
        return Section("bare", table, slide, 0.5, 25.0, 25.0, "bare")
    files = legacy()
    if request.param == "legacy":
        return read_legacy(files.counts, files.positions, files.slide)
    lines = f"section,patient,path,positions,slide\nA1,P,{files.counts},{files.positions},{files.slide}\n"
    (folder / "cohort.csv").write_text(lines)
    return read_cohort(folder / "cohort.csv")[0]


def same_pixels(one: Section, other: Section) -> None:
    """The tissue about the first spots is the same, to the precision of a reduced copy."""
    assert one.slide is not None
    assert other.slide is not None
    assert other.mpp == pytest.approx(one.mpp)
    np.testing.assert_allclose(other.centres, one.centres)
    for row, column in one.centres[:: len(one.centres) // 4]:
        area = Window(row - 50, column - 50, 100, 100)
        mpp = max(one.mpp, other.mpp) * 8
        left, right = one.slide.read(area, mpp), other.slide.read(area, mpp)
        assert np.abs(left.astype(int) - right.astype(int)).mean() < 6


@pytest.mark.parametrize("form", ["section", "table"])
def test_a_prediction_written_elsewhere_finds_its_pixels(
    source: Section, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = predicted(source)
    (tmp_path / "results").mkdir()
    write_section(made if form == "section" else made.table, tmp_path / "results" / "made.h5ad")
    (tmp_path / "somewhere").mkdir()
    monkeypatch.chdir(tmp_path / "somewhere")
    again = open_section(Path("..") / "results" / "made.h5ad")
    assert record_of(again.table).kind == "predicted"
    assert not any("slide" in warning for warning in again.warnings)
    same_pixels(made, again)


def test_a_section_moved_with_its_input_finds_its_pixels(source: Section, tmp_path: Path) -> None:
    made = predicted(source)
    write_section(made, tmp_path / "results" / "made.h5ad")
    for name in ("input", "results", "A1.png"):
        if (tmp_path / name).exists():
            (tmp_path / "moved").mkdir(exist_ok=True)
            shutil.move(tmp_path / name, tmp_path / "moved" / name)
    again = open_section(tmp_path / "moved" / "results" / "made.h5ad")
    assert again.slide is not None
    assert tmp_path / "moved" in again.slide.path.parents
    mean = [one.read(Window(0, 0, *one.shape), 16 * again.mpp).mean() for one in (again.slide,)]
    assert 0 < mean[0] < 255
    np.testing.assert_allclose(again.centres, made.centres)


def test_another_slide_of_the_same_name_is_refused(legacy: Make, png: Make, tmp_path: Path) -> None:
    files = legacy()
    made = predicted(read_legacy(files.counts, files.positions, files.slide))
    write_section(made, tmp_path / "section.h5ad")
    write_section(made.table, tmp_path / "table.h5ad")
    noise = np.random.default_rng(1).integers(0, 255, (420, 380, 3), dtype=np.uint8)
    files.slide.write_bytes(imagecodecs.png_encode(noise))
    section, table = open_section(tmp_path / "section.h5ad"), open_section(tmp_path / "table.h5ad")
    for again in (section, table):
        assert any("is not the slide that the spots were placed on" in warning for warning in again.warnings)
    assert table.slide is None
    assert section.slide is not None
    assert section.slide.path == tmp_path / "section.h5ad"


def test_a_slide_of_the_same_name_in_the_results_folder_is_not_taken(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    made = predicted(read_legacy(files.counts, files.positions, files.slide))
    (tmp_path / "results").mkdir()
    write_section(made.table, tmp_path / "results" / "made.h5ad")
    noise = np.random.default_rng(1).integers(0, 255, (420, 380, 3), dtype=np.uint8)
    (tmp_path / "results" / files.slide.name).write_bytes(imagecodecs.png_encode(noise))
    again = open_section(tmp_path / "results" / "made.h5ad")
    assert again.slide is not None
    assert again.slide.path == files.slide


@pytest.mark.parametrize("place", ["https://a.b/c.tif", "//server/share/c.tif"])
def test_a_slide_on_another_machine_is_not_asked_for(place: str, tmp_path: Path, foreign: Make) -> None:
    table = foreign()
    table.uns["histoscribe"] = {"record_version": 1, "slide": place, "slide_sha256": "ab" * 32}
    table.write_h5ad(tmp_path / "made.h5ad")
    again = open_section(tmp_path / "made.h5ad")
    assert any("lies on another machine" in warning for warning in again.warnings)
