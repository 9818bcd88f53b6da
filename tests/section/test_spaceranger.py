from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from histoscribe.errors import SectionError
from histoscribe.section import Section, open_section

SAMPLES = Path(__file__).parents[2] / "sample_data"
Make = Callable[..., Any]


def same_as(section: Section, truth: Any) -> None:
    place = {barcode: row for row, barcode in enumerate(truth.barcodes)}
    rows = [place[name] for name in section.table.obs_names]
    assert sorted(rows) == list(range(len(truth.barcodes)))
    np.testing.assert_array_equal(section.table.X.toarray(), truth.counts[rows])
    np.testing.assert_allclose(section.centres, truth.centres[rows], atol=1e-3)
    np.testing.assert_array_equal(section.table.obs[["array_row", "array_col"]], truth.array[rows])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("form", ["h5", "mtx"])
@pytest.mark.parametrize("outs", [False, True])
def test_every_layout_gives_the_same_section(space_ranger: Make, version: int, form: str, outs: bool) -> None:
    truth = space_ranger(version=version, form=form, outs=outs)
    section = open_section(truth.folder, patient="P7")
    same_as(section, truth)
    assert (section.name, section.patient) == ("run", "P7")
    assert (section.spot_um, section.pitch_um) == (55.0, 100.0)
    assert section.mpp == pytest.approx(0.8, rel=2e-3)
    assert section.table.X.format == "csr"
    assert section.table.X.dtype == np.float32
    assert section.table.obs["in_tissue"].all()


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "u4", "i8", "u8"])
def test_indices_of_any_whole_number_type_are_read(space_ranger: Make, kind: str) -> None:
    truth = space_ranger(form="h5")
    with h5py.File(next(truth.folder.rglob("filtered_feature_bc_matrix.h5")), "r+") as file:
        indices = file["matrix/indices"][:].astype(kind)
        del file["matrix/indices"]
        file["matrix/indices"] = indices
    same_as(open_section(truth.folder), truth)


def test_outs_itself_is_named_after_its_run(space_ranger: Make) -> None:
    truth = space_ranger(name="sample 3", outs=True)
    assert open_section(truth.folder / "outs").name == "sample 3"
    assert open_section(truth.folder / "outs" / "spatial").name == "sample 3"


def test_antibodies_are_left_out_and_twin_symbols_told_apart(space_ranger: Make) -> None:
    section = open_section(space_ranger().folder)
    assert section.genes[-2:] == ["TWIN", "TWIN-1"]
    assert "CD3" not in section.genes
    assert any("1 features are no genes" in warning for warning in section.warnings)
    assert any("occur more than once (TWIN)" in warning for warning in section.warnings)


def test_same_numbers_as_scanpy(space_ranger: Make) -> None:
    import scanpy

    truth = space_ranger(version=1)
    theirs = scanpy.read_visium(truth.folder)
    theirs.var_names_make_unique()
    ours = open_section(truth.folder)
    theirs = theirs[ours.table.obs_names]
    assert theirs.var_names.tolist() == ours.genes
    np.testing.assert_array_equal(theirs.X.toarray(), ours.table.X.toarray())
    np.testing.assert_array_equal(theirs.obsm["spatial"].astype(float), ours.table.obsm["spatial"])


def test_same_numbers_as_squidpy(space_ranger: Make) -> None:
    squidpy = pytest.importorskip("squidpy")
    truth = space_ranger(version=2)
    theirs = squidpy.read.visium(truth.folder, library_id="run")
    theirs.var_names_make_unique()
    ours = open_section(truth.folder)
    theirs = theirs[ours.table.obs_names]
    np.testing.assert_array_equal(theirs.X.toarray(), ours.table.X.toarray())
    np.testing.assert_allclose(theirs.obsm["spatial"].astype(float), ours.table.obsm["spatial"], atol=1e-3)


def test_hires_image_lies_beneath_in_full_resolution_pixels(space_ranger: Make) -> None:
    section = open_section(space_ranger().folder)
    assert section.slide is not None
    assert section.slide.shape == (1200, 1600)
    assert section.slide.levels[0].downsample == pytest.approx(4.0)
    assert section.slide.mpp == section.mpp


def test_full_resolution_slide_takes_its_place(
    space_ranger: Make, tmp_path: Path, png: Callable[[Path, int, int], None]
) -> None:
    truth = space_ranger()
    png(tmp_path / "full.png", 1200, 1600)
    section = open_section(truth.folder, slide=tmp_path / "full.png")
    assert section.slide is not None
    assert section.slide.levels[0].downsample == 1.0
    same_as(section, truth)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(SAMPLES / "P3A", tmp_path / "P3A")


def test_the_slide_in_the_folder_goes_before_its_reduced_image(run: Path) -> None:
    for place in (run, run / "spatial"):
        section = open_section(place)
        assert section.scaled_slide.path == run / "P3A.tif"
        assert section.alignment == "fits"
        assert any("P3A.tif" in warning for warning in section.warnings)
    elsewhere = shutil.copy(run / "P3A.tif", run.parent / "named.tif")
    assert open_section(run, slide=elsewhere).scaled_slide.path == elsewhere


@pytest.mark.parametrize("beside", ["of other tissue", "turned", "cut", "damaged", "twice"])
def test_a_slide_in_the_folder_that_is_another_or_not_the_only_one_is_left_alone(
    run: Path, beside: str
) -> None:
    slide = run / "P3A.tif"
    pixels = tifffile.imread(slide)
    if beside == "of other tissue":
        slide.write_bytes((SAMPLES / "P1A" / "P1A.tif").read_bytes())
    elif beside == "damaged":
        slide.write_bytes(slide.read_bytes()[:5000])
    elif beside == "twice":
        (run / "copy.tif").write_bytes(slide.read_bytes())
    else:
        other = pixels[::-1, ::-1] if beside == "turned" else pixels[:-40]
        tifffile.imwrite(slide, other, tile=(256, 256), photometric="rgb", compression="jpeg")
    section = open_section(run)
    assert section.scaled_slide.path.name == "tissue_hires_image.png"
    assert not any("tif" in warning for warning in section.warnings)


def test_raw_matrix_will_do(space_ranger: Make) -> None:
    truth = space_ranger()
    (truth.folder / "filtered_feature_bc_matrix.h5").rename(truth.folder / "raw_feature_bc_matrix.h5")
    same_as(open_section(truth.folder), truth)


def test_header_is_told_by_its_first_cell_not_by_the_name(space_ranger: Make) -> None:
    truth = space_ranger(version=2)
    spatial = truth.folder / "spatial"
    (spatial / "tissue_positions.csv").rename(spatial / "tissue_positions_list.csv")
    same_as(open_section(truth.folder), truth)


def test_damaged_image_is_reported_and_the_rest_read(space_ranger: Make) -> None:
    truth = space_ranger()
    (truth.folder / "spatial" / "tissue_hires_image.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    section = open_section(truth.folder)
    assert any("tissue_hires_image.png cannot be read" in warning for warning in section.warnings)
    assert section.slide is not None
    assert section.slide.shape == (1200, 1600)


def test_no_image_at_all_is_a_warning(space_ranger: Make) -> None:
    truth = space_ranger()
    for image in (truth.folder / "spatial").glob("*.png"):
        image.unlink()
    section = open_section(truth.folder)
    assert section.slide is None
    assert "there is no image" in section.warnings


def test_spot_diameter_of_another_run_is_doubted(space_ranger: Make) -> None:
    truth = space_ranger()
    path = truth.folder / "spatial" / "scalefactors_json.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "spot_diameter_fullres": 20.0}))
    assert any("different runs" in warning for warning in open_section(truth.folder).warnings)


def test_a_lost_first_line_of_positions_is_noticed(space_ranger: Make) -> None:
    truth = space_ranger(version=1)
    path = truth.folder / "spatial" / "tissue_positions_list.csv"
    lines = path.read_text().splitlines()
    known = [line for line in lines if not line.startswith(truth.barcodes[0])]
    filler = [f"FILLER{index},0,{100 + index},1,5000,5000" for index in range(4991 - len(known))]
    path.write_text("\n".join(known + filler))
    warnings = open_section(truth.folder).warnings
    assert any("1 spots have counts but no position" in warning for warning in warnings)
    assert any("was the first line lost?" in warning for warning in warnings)


def test_swapped_array_columns_are_noticed_and_mended(space_ranger: Make) -> None:
    truth = space_ranger(version=2)
    path = truth.folder / "spatial" / "tissue_positions.csv"
    path.write_text(path.read_text().replace("array_row,array_col", "array_col,array_row"))
    section = open_section(truth.folder)
    assert section.mpp == pytest.approx(0.8, rel=2e-3)
    assert any("array_row and array_col are swapped" in warning for warning in section.warnings)


def test_swapped_pixel_columns_are_noticed(space_ranger: Make) -> None:
    truth = space_ranger(version=2)
    path = truth.folder / "spatial" / "tissue_positions.csv"
    swapped = (
        path.read_text().replace("pxl_row", "pxl_x").replace("pxl_col", "pxl_row").replace("pxl_x", "pxl_col")
    )
    path.write_text(swapped)
    with pytest.raises(SectionError, match="none with pixel row and column swapped"):
        open_section(truth.folder)


def test_one_bin_size_of_visium_hd(space_ranger: Make, tmp_path: Path) -> None:
    import pandas as pd

    truth = space_ranger(version=2)
    bins = tmp_path / "hd" / "binned_outputs" / "square_016um"
    bins.parent.mkdir(parents=True)
    truth.folder.rename(bins)
    frame = pd.read_csv(bins / "spatial" / "tissue_positions.csv")
    frame["array_col"] //= 2
    frame[["pxl_row_in_fullres", "pxl_col_in_fullres"]] = frame[["array_row", "array_col"]] * 21.0 + 200
    frame.to_parquet(bins / "spatial" / "tissue_positions.parquet")
    (bins / "spatial" / "tissue_positions.csv").unlink()
    scales = json.loads((bins / "spatial" / "scalefactors_json.json").read_text())
    scales |= {"bin_size_um": 16.0, "microns_per_pixel": 0.8}
    (bins / "spatial" / "scalefactors_json.json").write_text(json.dumps(scales))
    section = open_section(bins)
    assert (section.spot_um, section.pitch_um, section.mpp) == (16.0, 16.0, 0.8)
    assert any("the lattice says" in warning for warning in section.warnings)
    assert open_section(tmp_path / "hd").spot_um == 16.0
