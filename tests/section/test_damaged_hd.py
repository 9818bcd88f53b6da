"""Damaged Visium HD runs: each mutator's docstring is part of the expected sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histoscribe.errors import SectionError, TableError
from histoscribe.section import open_section
from histoscribe.section.readers.feature_slice import read_feature_slice
from runs.hd import simulate_hd
from runs.spaceranger_hd import write_spaceranger_hd

BIN = "binned_outputs/square_016um"
POSITIONS = f"{BIN}/spatial/tissue_positions.parquet"
SCALES = f"{BIN}/spatial/scalefactors_json.json"
SLICE = "feature_slice.h5"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hd") / "outs"
    write_spaceranger_hd(simulate_hd(2, genes=30, mpp=2.0), folder, hires_px=200)
    shutil.rmtree(folder / "binned_outputs/square_002um")
    shutil.rmtree(folder / "binned_outputs/square_008um")
    return folder


def positions(folder: Path, change: Callable[[Any], Any]) -> None:
    import pandas as pd

    change(pd.read_parquet(folder / POSITIONS)).to_parquet(folder / POSITIONS)


def scales(folder: Path, name: str = SCALES, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def parquet_cut(folder: Path) -> None:
    """not a whole parquet file"""
    path = folder / POSITIONS
    path.write_bytes(path.read_bytes()[:-200])


def parquet_middle_lost(folder: Path) -> None:
    """tissue_positions.parquet:"""
    path = folder / POSITIONS
    content = bytearray(path.read_bytes())
    content[200:900] = bytes(700)
    path.write_bytes(bytes(content))


def parquet_is_text(folder: Path) -> None:
    """not a whole parquet file"""
    (folder / POSITIONS).write_text("barcode,in_tissue")


def parquet_without_a_column(folder: Path) -> None:
    """no column pxl_row_in_fullres"""
    positions(folder, lambda frame: frame.drop(columns="pxl_row_in_fullres"))


def parquet_listed_twice(folder: Path) -> None:
    """barcodes listed twice"""
    import pandas as pd

    positions(folder, lambda frame: pd.concat([frame, frame.iloc[:2]]))


def parquet_of_another_bin(folder: Path) -> None:
    """counts and positions do not join"""
    positions(folder, lambda frame: frame.assign(barcode=frame.barcode.str.replace("016um", "008um")))


def parquet_with_gaps(folder: Path) -> None:
    """spots without a number in every column"""
    positions(folder, lambda frame: frame.assign(pxl_row_in_fullres=np.nan))


def parquet_all_off_tissue(folder: Path) -> None:
    """no spot with counts lies on tissue"""
    positions(folder, lambda frame: frame.assign(in_tissue=0))


def parquet_columns_shifted(folder: Path) -> None:
    """in_tissue holds something other than 0 and 1"""
    positions(folder, lambda frame: frame.assign(in_tissue=frame.array_row))


def parquet_claims_too_much(folder: Path) -> None:
    """claims 60,000,000 rows"""
    import pyarrow
    from pyarrow.parquet import write_table

    write_table(pyarrow.table({"barcode": pyarrow.nulls(60_000_000)}), folder / POSITIONS)


def pixel_columns_swapped(folder: Path) -> None:
    """lie outside the image"""
    names = {"pxl_row_in_fullres": "pxl_col_in_fullres", "pxl_col_in_fullres": "pxl_row_in_fullres"}

    def change(frame: Any) -> Any:
        shifted = frame.assign(pxl_col_in_fullres=frame.pxl_col_in_fullres + 200)
        return shifted.rename(columns=names)

    positions(folder, change)


def bin_size_of_zero(folder: Path) -> None:
    """bin_size_um is 0, not a positive number"""
    scales(folder, bin_size_um=0)


def mpp_in_words(folder: Path) -> None:
    """microns_per_pixel is 'half', not a positive number"""
    scales(folder, microns_per_pixel="half")


def counts_cut(folder: Path) -> None:
    """the HDF5 data are damaged or cut off"""
    path = folder / BIN / "filtered_feature_bc_matrix.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def counts_gone(folder: Path) -> None:
    """there are no counts"""
    (folder / BIN / "filtered_feature_bc_matrix.h5").unlink()


OF_BINS = [value for value in list(globals().values()) if getattr(value, "__module__", "") == __name__]
OF_BINS = [damage for damage in OF_BINS if callable(damage) and damage.__doc__]


@pytest.mark.parametrize("damage", OF_BINS, ids=lambda damage: damage.__name__)
def test_damaged_bins_are_named(damage: Callable[[Path], None], whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outs"
    shutil.copytree(whole, folder)
    damage(folder)
    with pytest.raises(SectionError) as caught:
        open_section(folder)
    assert damage.__doc__ in str(caught.value)


def test_a_wrong_mpp_is_doubted_or_refused(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outs"
    shutil.copytree(whole, folder)
    scales(folder, microns_per_pixel=1.9)
    assert any("the lattice says 2:" in warning for warning in open_section(folder).warnings)
    scales(folder, microns_per_pixel=1.5)
    with pytest.raises(SectionError, match="the lattice says 2; copy spatial/ of this bin size"):
        open_section(folder)


def test_bins_of_two_sizes_are_refused(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outs"
    shutil.copytree(whole, folder)
    assert open_section(folder / "binned_outputs").pitch_um == 16
    (folder / BIN).rename(folder / "binned_outputs/square_008um")
    with pytest.raises(SectionError, match="bins of 8 and 16 µm at once; use counts and spatial/ of one"):
        open_section(folder, bin_um=8)
    scales(folder, SCALES.replace("016", "008"), bin_size_um=8.0)
    with pytest.raises(SectionError, match="bins of 8 and 16 µm at once"):
        open_section(folder)


def feature(number: str, name: str, values: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[f"feature_slices/{number}/{name}"]
        file[f"feature_slices/{number}/{name}"] = values

    return change


def drop(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def link_out(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = h5py.ExternalLink("elsewhere.h5", "/x")

    return change


def claim(file: h5py.File) -> None:
    del file["feature_slices/0/data"]
    file["feature_slices/0"].create_dataset("data", (10**12,), "u4", chunks=(1024,))


def metadata(text: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs["metadata_json"] = text

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop("feature_slices"), "this is no feature_slice.h5"),
        (drop("features"), "this is no feature_slice.h5"),
        (drop("features/name"), "this is no feature_slice.h5"),
        (metadata("{"), "does not say how many bins it has"),
        (metadata("[]"), "does not say how many bins it has"),
        (metadata('{"nrows": 3}'), "does not say how many bins it has"),
        (metadata('{"nrows": 1000000, "ncols": 1000000}'), "claims 1000000 × 1000000 bins"),
        (metadata('{"nrows": -4, "ncols": 4}'), "claims -4 × 4 bins"),
        (link_out("features"), "/features is a link"),
        (link_out("feature_slices/0"), "/feature_slices/0 is a link"),
        (link_out("feature_slices/0/data"), "is a link into another file"),
        (claim, "claims far more values than it has room for"),
        (drop("feature_slices/0/row"), "has no row, col and data"),
        (feature("0", "row", np.zeros((2, 2), "u4")), "has no row, col and data"),
        (feature("0", "row", np.zeros(3, "u4")), "row, col and data of /feature_slices/0 differ"),
        (feature("0", "data", np.array([b"a"])), "differ"),
    ],
)
def test_damaged_feature_slices_are_named(change: Any, sentence: str, whole: Path, tmp_path: Path) -> None:
    path = tmp_path / SLICE
    shutil.copyfile(whole / SLICE, path)
    with h5py.File(path, "r+") as file:
        gene = file["features/name"][0].decode()
        change(file)
    with pytest.raises(SectionError) as caught:
        read_feature_slice(path, gene)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("row", 10**6, "reaches beyond its"),
        ("col", 10**6, "reaches beyond its"),
        ("data", -1.0, "negative or missing counts"),
        ("data", np.nan, "negative or missing counts"),
        ("row", b"x", "something that is no number"),
    ],
)
def test_bad_values_in_a_slice_are_named(
    name: str, value: Any, sentence: str, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / SLICE
    shutil.copyfile(whole / SLICE, path)
    with h5py.File(path, "r+") as file:
        gene, size = file["features/name"][0].decode(), file["feature_slices/0/row"].size
        feature("0", name, np.full(size, value))(file)
    with pytest.raises(SectionError, match=sentence):
        read_feature_slice(path, gene)


def test_slices_say_what_is_possible(whole: Path) -> None:
    with pytest.raises(TableError, match="did you mean EPCAM"):
        read_feature_slice(whole / SLICE, "EPCAN")
    with pytest.raises(SectionError, match="a multiple of 2 µm"):
        read_feature_slice(whole / SLICE, "EPCAM", bin_um=5)


def test_cells_without_an_outline_are_reported(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "segmented_outputs"
    shutil.copytree(whole / "segmented_outputs", folder)
    path = folder / "cell_segmentations.geojson"
    content = json.loads(path.read_text())
    kept = content["features"]
    path.write_text(json.dumps({**content, "features": kept[3:]}))
    section = open_section(folder)
    assert section.table.n_obs == len(kept) - 3
    assert any("3 cells have counts but no outline" in warning for warning in section.warnings)
    path.write_text(json.dumps({**content, "features": kept[:9]}))
    with pytest.raises(SectionError, match="cells with counts have no outline"):
        open_section(folder)
    path.unlink()
    with pytest.raises(SectionError, match="there is no such file"):
        open_section(folder)
    scales(folder, "spatial/scalefactors_json.json", microns_per_pixel=None)
    path.write_text(json.dumps(content))
    with pytest.raises(SectionError, match="µm per pixel are not stated"):
        open_section(folder)
