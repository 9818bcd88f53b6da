"""Damaged Space Ranger folders: each mutator's docstring is part of the expected sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histoscribe.errors import SectionError
from histoscribe.section import open_section

H5 = "filtered_feature_bc_matrix.h5"
MTX = "filtered_feature_bc_matrix"
POSITIONS = "spatial/tissue_positions.csv"
SCALES = "spatial/scalefactors_json.json"


def matrix(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    with h5py.File(folder / H5, "r+") as file:
        values = change(file[f"matrix/{name}"][:])
        del file[f"matrix/{name}"]
        file[f"matrix/{name}"] = values


def positions(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = folder / POSITIONS
    path.write_text("\n".join(change(path.read_text().splitlines())))


def cut_matrix(folder: Path) -> None:
    """the HDF5 data are damaged or cut off"""
    path = folder / H5
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text_for_matrix(folder: Path) -> None:
    """this is not an HDF5 file"""
    (folder / H5).write_text("<html>404</html>")


def foreign_hdf5(folder: Path) -> None:
    """this HDF5 file holds no 10x matrix"""
    with h5py.File(folder / H5, "w") as file:
        file["something"] = 1


def matrix_without_indptr(folder: Path) -> None:
    """the matrix has no indptr"""
    with h5py.File(folder / H5, "r+") as file:
        del file["matrix/indptr"]


def external_link(folder: Path) -> None:
    """is a link into another file"""
    with h5py.File(folder / "elsewhere.h5", "w") as other:
        other["data"] = np.ones(3)
    with h5py.File(folder / H5, "r+") as file:
        del file["matrix/data"]
        file["matrix/data"] = h5py.ExternalLink("elsewhere.h5", "/data")


def external_storage(folder: Path) -> None:
    """keeps its values in another file"""
    (folder / "values.bin").write_bytes(bytes(80))
    with h5py.File(folder / H5, "r+") as file:
        del file["matrix/data"]
        file["matrix"].create_dataset("data", (10,), "i8", external=[(str(folder / "values.bin"), 0, 80)])


def virtual_dataset(folder: Path) -> None:
    """keeps its values in another file"""
    layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "data", shape=(3,))
    with h5py.File(folder / H5, "r+") as file:
        del file["matrix/data"]
        file["matrix"].create_virtual_dataset("data", layout)


def more_values_than_room(folder: Path) -> None:
    """claims far more values than it has room for (/matrix/data: (1000000000,))"""
    with h5py.File(folder / H5, "r+") as file:
        del file["matrix/data"]
        file["matrix"].create_dataset("data", (10**9,), "i8", chunks=(1024,))


def giant_chunk(folder: Path) -> None:
    """/matrix/data has chunks of (500000000,) values"""
    with h5py.File(folder / H5, "r+") as file:
        del file["matrix/data"]
        file["matrix"].create_dataset("data", (10,), "i4", chunks=(500_000_000,), maxshape=(None,))


def compressed_twice(folder: Path) -> None:
    """/matrix/data is compressed twice"""
    with h5py.File(folder / H5, "r+") as file:
        values = file["matrix/data"][:]
        del file["matrix/data"]
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((64,))
        settings.set_deflate(9)
        settings.set_deflate(9)
        space = h5py.h5s.create_simple(values.shape)
        made = h5py.h5d.create(file["matrix"].id, b"data", h5py.h5t.NATIVE_INT32, space, settings)
        h5py.Dataset(made)[:] = values


def indices_out_of_range(folder: Path) -> None:
    """indices reach beyond the 13 features"""
    matrix(folder, "indices", lambda values: values + 100)


def negative_indices(folder: Path) -> None:
    """indices reach beyond the 13 features"""
    matrix(folder, "indices", lambda values: values - 100)


def falling_indptr(folder: Path) -> None:
    """indptr does not rise from 0 to the number of values"""
    matrix(folder, "indptr", lambda values: np.concatenate([values[:5], values[5:-1][::-1], values[-1:]]))


def short_indptr(folder: Path) -> None:
    """indptr has 80 entries where 81 are needed"""
    matrix(folder, "indptr", lambda values: values[:-1])


def short_data(folder: Path) -> None:
    """values but"""
    matrix(folder, "data", lambda values: values[:-4])


def wrong_shape(folder: Path) -> None:
    """barcodes has 80 names where the matrix has 90"""
    matrix(folder, "shape", lambda values: np.array([13, 90], dtype=np.int32))


def negative_shape(folder: Path) -> None:
    """the matrix states no valid shape"""
    matrix(folder, "shape", lambda values: -values)


def counts_below_zero(folder: Path) -> None:
    """counts are negative"""
    matrix(folder, "data", lambda values: -values)


def counts_missing(folder: Path) -> None:
    """counts are missing or infinite"""
    matrix(folder, "data", lambda values: np.full(values.shape, np.nan))


def barcode_twice(folder: Path) -> None:
    """spots named twice"""
    matrix(folder, "barcodes", lambda values: np.concatenate([values[:1], values[:-1]]))


def antibodies_only(folder: Path) -> None:
    """holds no gene expression, only Antibody Capture"""
    matrix(folder, "features/feature_type", lambda values: np.array([b"Antibody Capture"] * len(values)))


OTHER_BASES = str.maketrans("ACGT", "CGTA")


def no_counts(folder: Path) -> None:
    """there are no counts"""
    (folder / H5).unlink()


def two_samples(folder: Path) -> None:
    """several matrices (a_filtered_feature_bc_matrix.h5, filtered_feature_bc_matrix.h5)"""
    (folder / f"a_{H5}").write_bytes((folder / H5).read_bytes())


def no_positions(folder: Path) -> None:
    """there are no spot positions"""
    (folder / POSITIONS).unlink()


def positions_of_another_run(folder: Path) -> None:
    """counts and positions do not join: the counts have spots like"""
    positions(folder, lambda lines: lines[:1] + [line.translate(OTHER_BASES) for line in lines[1:]])


def positions_listed_twice(folder: Path) -> None:
    """barcodes listed twice"""
    positions(folder, lambda lines: [*lines, lines[3]])


def positions_with_a_gap(folder: Path) -> None:
    """spots without a number in every column"""
    positions(folder, lambda lines: [lines[0], *(line.rsplit(",", 1)[0] + "," for line in lines[1:])])


def positions_with_words(folder: Path) -> None:
    """holds something that is no number"""
    positions(folder, lambda lines: [*lines[:4], lines[4].rsplit(",", 1)[0] + ",right", *lines[5:]])


def positions_without_a_column(folder: Path) -> None:
    """no column pxl_col_in_fullres"""
    positions(folder, lambda lines: [line.rsplit(",", 1)[0] for line in lines])


def headerless_without_a_column(folder: Path) -> None:
    """5 columns where 6 are needed"""
    positions(folder, lambda lines: [line.rsplit(",", 1)[0] for line in lines[1:]])


def shifted_columns(folder: Path) -> None:
    """in_tissue holds something other than 0 and 1"""
    positions(
        folder, lambda lines: [lines[0].replace("in_tissue,array_row", "array_row,in_tissue"), *lines[1:]]
    )


def header_only(folder: Path) -> None:
    """holds no spot"""
    positions(folder, lambda lines: lines[:1])


def nothing_on_tissue(folder: Path) -> None:
    """the section is empty: no spot with counts lies on tissue"""
    positions(folder, lambda lines: [line.replace("-1,1,", "-1,0,") for line in lines])


def broken_scales(folder: Path) -> None:
    """not a whole JSON file"""
    (folder / SCALES).write_text('{"tissue_hires_scalef": 0.2')


def scales_of_zero(folder: Path) -> None:
    """tissue_hires_scalef is 0, not a positive number"""
    (folder / SCALES).write_text(json.dumps({"tissue_hires_scalef": 0}))


def scales_without_number(folder: Path) -> None:
    """tissue_hires_scalef is nan, not a positive number"""
    (folder / SCALES).write_text('{"tissue_hires_scalef": NaN}')


def hires_scale_of_another_run(folder: Path) -> None:
    """spots lie outside the image"""
    (folder / SCALES).write_text(json.dumps({"tissue_hires_scalef": 0.9}))


DAMAGES = [value for value in list(globals().values()) if getattr(value, "__doc__", None) and callable(value)]
DAMAGES = [damage for damage in DAMAGES if getattr(damage, "__module__", "") == __name__]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_named(damage: Callable[[Path], None], space_ranger: Callable[..., Any]) -> None:
    folder = space_ranger().folder
    damage(folder)
    with pytest.raises(SectionError) as caught:
        open_section(folder)
    assert damage.__doc__ in str(caught.value)
    assert caught.value.where


def test_a_soft_link_within_the_file_is_fine(space_ranger: Callable[..., Any]) -> None:
    folder = space_ranger().folder
    with h5py.File(folder / H5, "r+") as file:
        file["again"] = h5py.SoftLink("/matrix")
        file["round"] = file["/"]
        file["nowhere"] = h5py.SoftLink("/gone")
    assert open_section(folder).table.n_obs == 80


@pytest.mark.parametrize("size", [0, 3, 200, 2000])
def test_any_cut_is_a_section_error(space_ranger: Callable[..., Any], size: int) -> None:
    folder = space_ranger().folder
    for name in (H5, POSITIONS, SCALES):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: min(size, len(whole) - 2)])
        with pytest.raises(SectionError):
            open_section(folder)
        (folder / name).write_bytes(whole)
