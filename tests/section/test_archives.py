"""Runs as archives, R and spreadsheets hand them out: the same section, or a word of what to do."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from histoscribe.errors import SectionError
from histoscribe.section import Section, alignment, open_section, read_legacy
from histoscribe.section.alignment import tissue_doubts
from histoscribe.section.assembly import aligned
from histoscribe.slide import Level, Slide

Make = Callable[..., Any]
POSITIONS = Path("spatial") / "tissue_positions.csv"
SEURAT = {
    "barcode": "barcodes", "in_tissue": "tissue", "array_row": "row", "array_col": "col",
    "pxl_row_in_fullres": "imagerow", "pxl_col_in_fullres": "imagecol",
}  # fmt: skip


def as_r(frame: pd.DataFrame) -> str:
    frame.index += 1
    return frame.assign(in_tissue=frame["in_tissue"].map({1: "TRUE", 0: "FALSE"})).to_csv(quoting=1)


@pytest.mark.parametrize(
    "write",
    [
        as_r,
        lambda frame: frame.set_index("barcode").rename_axis(None).to_csv(),
        lambda frame: frame.to_csv(sep=";", decimal=",", index=False),
        lambda frame: frame.to_csv(sep="\t", index=False),
        lambda frame: "\ufeff" + frame.rename(columns=SEURAT).to_csv(index=False),
        lambda frame: frame.rename(columns=str.upper).to_csv(index=False),
        lambda frame: frame.assign(barcode=frame["barcode"].str[:-2]).to_csv(index=False),
    ],
    ids=["R", "unnamed", "semicolons", "tabs", "Seurat", "upper case", "no suffix"],
)
def test_positions_in_any_spelling_are_the_same(write: Callable, space_ranger: Make) -> None:
    run = space_ranger()
    expected = open_section(run.folder)
    (run.folder / POSITIONS).write_text(write(pd.read_csv(run.folder / POSITIONS)), encoding="utf-8")
    found = open_section(run.folder)
    np.testing.assert_allclose(found.centres, expected.centres)
    assert (found.mpp, found.pitch_um, found.genes) == (expected.mpp, expected.pitch_um, expected.genes)
    assert list(found.table.obs_names) == list(expected.table.obs_names)


def test_a_spot_of_which_it_is_not_told_whether_it_lies_on_tissue_is_left_out(space_ranger: Make) -> None:
    run = space_ranger()
    frame = pd.read_csv(run.folder / POSITIONS).astype({"in_tissue": object})
    frame.loc[frame["barcode"] == run.barcodes[0], "in_tissue"] = None
    frame.to_csv(run.folder / POSITIONS, index=False)
    found = open_section(run.folder)
    assert found.table.n_obs == len(run.barcodes) - 1
    assert any(run.barcodes[0] in warning for warning in found.warnings)


@pytest.mark.parametrize("matrix", ["GSM1_filtered_feature_bc_matrix.h5", "GSM1_matrix.h5"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_flat_folder_of_an_archive_is_a_run(matrix: str, packed: bool, space_ranger: Make) -> None:
    run = space_ranger()
    expected = open_section(run.folder)
    for part in list((run.folder / "spatial").iterdir()):
        content = part.read_bytes()
        ending = ".gz" if packed else ""
        (run.folder / f"GSM1_{part.name}{ending}").write_bytes(gzip.compress(content) if packed else content)
    shutil.rmtree(run.folder / "spatial")
    (run.folder / "filtered_feature_bc_matrix.h5").rename(run.folder / matrix)
    found = open_section(run.folder)
    np.testing.assert_allclose(found.centres, expected.centres)
    assert found.slide is not None
    assert found.slide.shape == expected.slide.shape


def test_a_packed_matrix_is_read(space_ranger: Make) -> None:
    run = space_ranger()
    plain = run.folder / "filtered_feature_bc_matrix.h5"
    expected = open_section(run.folder)
    plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert (open_section(run.folder).table.X != expected.table.X).nnz == 0


@pytest.mark.parametrize(("gone", "left"), [("spatial", "spatial.tar.gz"), ("*.h5", "GSM1_RAW.tar")])
def test_an_archive_that_was_not_unpacked_is_named(gone: str, left: str, space_ranger: Make) -> None:
    run = space_ranger()
    for part in run.folder.glob(gone):
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    (run.folder / left).write_bytes(b"\x1f\x8b")
    with pytest.raises(SectionError, match=f"unpack {left} first"):
        open_section(run.folder)


def test_of_two_images_the_one_that_is_shown_is_said(space_ranger: Make, png: Make) -> None:
    run = space_ranger()
    png(run.folder / "spatial" / "tissue_hires_image.jpg", 300, 400)
    assert any("tissue_hires_image.jpg the first" in warning for warning in open_section(run.folder).warnings)


@pytest.mark.parametrize("turned", ["mirrored", "swapped"])
def test_a_mirrored_legacy_array_is_said(turned: str, legacy: Make) -> None:
    files = legacy()
    plain = read_legacy(files.counts, files.positions, files.slide)
    assert not any("mirrored" in warning for warning in plain.warnings)
    frame = pd.read_csv(files.positions, sep="\t")
    columns = frame["pixel_x"].copy()
    if turned == "mirrored":
        frame["pixel_x"] = 380 - columns
    else:
        frame["pixel_x"], frame["pixel_y"] = frame["pixel_y"], columns
    frame.to_csv(files.positions, sep="\t", index=False)
    found = read_legacy(files.counts, files.positions, files.slide)
    assert any("the lattice is mirrored" in warning for warning in found.warnings)


def test_spots_beside_the_tissue_are_doubted_and_the_mirrored_image_named() -> None:
    pixels = np.full((1500, 2000, 3), 238, np.uint8)
    pixels[300:1200, 1100:1900] = np.random.default_rng(0).integers(90, 180, (900, 800, 3))
    slide = Slide(Path("made.tif"), (Level(pixels, 1.0),), mpp=2.0)
    rows, columns = np.mgrid[350:1150:80, 1150:1850:80]
    places = np.column_stack([rows.ravel(), columns.ravel()]).astype(float)
    assert tissue_doubts(places, slide) == []
    (doubt,) = tissue_doubts(np.column_stack([places[:, 0], 2000 - places[:, 1]]), slide)
    assert "only 0% of the spots lie on the image's tissue" in doubt
    assert "100% would if they were mirrored left to right" in doubt


def test_a_prediction_s_tiles_need_not_be_looked_for_on_the_tissue(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.full((1500, 2000, 3), 238, np.uint8)
    pixels[300:1200, 1100:1900] = np.random.default_rng(0).integers(90, 180, (900, 800, 3))
    slide = Slide(Path("made.tif"), (Level(pixels, 1.0),), mpp=2.0)
    places = np.argwhere(np.ones((8, 8))) * 90.0 + 20
    table = AnnData(np.ones((64, 2), np.float32), obsm={"spatial": places})
    section = Section("beside", table, slide, 2.0, 100.0, 180.0, "beside")
    (doubt,) = aligned(section, None).warnings
    assert "of the spots lie on the image's tissue" in doubt
    monkeypatch.setattr(alignment, "tissue_mask", None)
    assert aligned(section, None, "predicted").warnings == ()


def test_what_a_file_system_puts_beside_files_is_not_read(space_ranger: Make) -> None:
    folder = space_ranger().folder
    before = open_section(folder)
    for path in (folder / "filtered_feature_bc_matrix.h5", *(folder / "spatial").iterdir()):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" * 20)
    again = open_section(folder)
    assert again.warnings == before.warnings
    assert again.slide is not None
    assert before.slide is not None
    assert again.slide.path == before.slide.path
