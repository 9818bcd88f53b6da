"""Damaged h5ad files: each mutator's docstring is part of the expected sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest

from histoscribe.errors import SectionError
from histoscribe.section import open_section

Make = Callable[..., Any]


def several(table: anndata.AnnData) -> None:
    """holds 2 sections (V1, V2)"""
    table.uns["spatial"]["V2"] = {}


def nowhere(table: anndata.AnnData) -> None:
    """there is no obsm["spatial"]"""
    del table.obsm["spatial"]


def flat(table: anndata.AnnData) -> None:
    """not spots × (x, y) in pixels"""
    table.obsm["spatial"] = table.obsm["spatial"][:, :1]


def gaps(table: anndata.AnnData) -> None:
    """obsm["spatial"] holds missing values"""
    table.obsm["spatial"][:30, 0] = np.nan


def negative(table: anndata.AnnData) -> None:
    """1 counts are negative"""
    table.X.data[2] = -1


def missing(table: anndata.AnnData) -> None:
    """1 counts are missing or infinite"""
    table.X.data[2] = np.nan


def off_tissue(table: anndata.AnnData) -> None:
    """the section is empty"""
    table.obs["in_tissue"] = 0


def one_place(table: anndata.AnnData) -> None:
    """the µm per pixel cannot be told"""
    table.obsm["spatial"][:] = 5.0


def no_mpp(table: anndata.AnnData) -> None:
    """mpp is -1, not a positive number"""
    table.uns["histoscribe"] = {"mpp": -1.0, "pitch_um": 100.0}


def wordy_mpp(table: anndata.AnnData) -> None:
    """mpp is 'fine', not a number"""
    table.uns["histoscribe"] = {"mpp": "fine", "pitch_um": 100.0}


def outside(table: anndata.AnnData) -> None:
    """spots lie outside the image"""
    table.obsm["spatial"] *= 10


def twins(table: anndata.AnnData) -> None:
    """spots named twice: a"""
    table.obs_names = ["a", "a", *table.obs_names[2:]]


DAMAGES = [
    several,
    nowhere,
    flat,
    gaps,
    negative,
    missing,
    off_tissue,
    one_place,
    no_mpp,
    wordy_mpp,
    outside,
    twins,
]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_named(damage: Callable[[anndata.AnnData], None], tmp_path: Path, foreign: Make) -> None:
    table = foreign()
    damage(table)
    table.write_h5ad(tmp_path / "foreign.h5ad")
    with pytest.raises(SectionError) as caught:
        open_section(tmp_path / "foreign.h5ad")
    assert str(damage.__doc__) in str(caught.value)


def test_links_into_other_files_are_refused(tmp_path: Path, foreign: Make) -> None:
    foreign().write_h5ad(tmp_path / "foreign.h5ad")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["X"] = np.ones((40, 6))
    with h5py.File(tmp_path / "foreign.h5ad", "r+") as file:
        del file["X"]
        file["X"] = h5py.ExternalLink("other.h5", "/X")
    with pytest.raises(SectionError, match="is a link into another file"):
        open_section(tmp_path / "foreign.h5ad")


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"text", None])
def test_what_is_no_h5ad_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "foreign.h5ad"
    if content is None:
        with h5py.File(path, "w") as file:
            file["obs"] = 1
    else:
        path.write_bytes(content)
    with pytest.raises(SectionError):
        open_section(path)


def test_cut_h5ad_is_named(tmp_path: Path, foreign: Make) -> None:
    path = tmp_path / "foreign.h5ad"
    foreign().write_h5ad(path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(SectionError, match=r"damaged|not a whole h5ad"):
        open_section(path)


def indices_beyond(file: h5py.File) -> None:
    """the indices of X reach beyond its shape"""
    file["X/indices"][0] = 900


def indices_below(file: h5py.File) -> None:
    """the indices of X reach beyond its shape"""
    file["X/indices"][3] = -7


def words_for_indices(file: h5py.File) -> None:
    """the indices of X reach beyond its shape or do not rise"""
    size = file["X/indices"].size
    del file["X/indices"]
    file["X/indices"] = np.full(size, b"1")


def words_for_predictions(file: h5py.File) -> None:
    """the counts are not numbers"""
    del file["X"]
    file.create_dataset("X", data=np.full((40, 6), "x", dtype=h5py.string_dtype()))
    file["X"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    own = file.create_group("uns/histoscribe")
    own.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    own.create_dataset("kind", data="predicted")
    own["kind"].attrs.update({"encoding-type": "string", "encoding-version": "0.2.0"})


def falling(file: h5py.File) -> None:
    """the indices of X reach beyond its shape or do not rise"""
    file["X/indptr"][4] = 0


def layer_beyond(file: h5py.File) -> None:
    """the indices of counts reach beyond its shape"""
    file.copy("X", "layers/counts")
    file["layers/counts/indices"][1] = 4000


def wide_claim(file: h5py.File) -> None:
    """not a whole h5ad file"""
    file["X"].attrs["shape"] = [40, 10**12]


def unknown_kind(file: h5py.File) -> None:
    """not a whole h5ad file"""
    file["obs"].attrs["encoding-type"] = "pickle"


def names_lost(file: h5py.File) -> None:
    """h5ad file"""
    del file["obs"][file["obs"].attrs["_index"]]


def fewer_places(file: h5py.File) -> None:
    """not a whole h5ad file"""
    places = file["obsm/spatial"][:-3]
    del file["obsm/spatial"]
    file["obsm/spatial"] = places


def places_in_words(file: h5py.File) -> None:
    """not spots × (x, y) in pixels"""
    del file["obsm/spatial"]
    file["obsm"].create_dataset("spatial", data=np.full((40, 2), "x", dtype=h5py.string_dtype()))
    file["obsm/spatial"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def giant_layer(file: h5py.File) -> None:
    """claims far more values than it has room for"""
    file["layers"].create_dataset("big", (10**6, 10**6), "f4", chunks=(64, 64))


def many_objects(file: h5py.File) -> None:
    """holds more than 10000 objects"""
    space = h5py.h5s.create(h5py.h5s.NULL)
    group = file.create_group("uns/many")
    for number in range(10_001):
        h5py.h5d.create(group.id, str(number).encode(), h5py.h5t.NATIVE_INT8, space)


FILES = [
    words_for_indices,
    words_for_predictions,
    indices_beyond,
    indices_below,
    falling,
    layer_beyond,
    wide_claim,
    unknown_kind,
    names_lost,
]
FILES += [fewer_places, places_in_words, giant_layer, many_objects]


@pytest.mark.parametrize("damage", FILES, ids=lambda damage: damage.__name__)
def test_damage_within_the_file_is_named(
    damage: Callable[[h5py.File], None], tmp_path: Path, foreign: Make
) -> None:
    path = tmp_path / "foreign.h5ad"
    foreign().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(SectionError) as caught:
        open_section(path)
    assert str(damage.__doc__) in str(caught.value)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [("in_tissue", "something other than 0 and 1"), ("array_row", "array_row and array_col are no numbers")],
)
def test_columns_in_words_are_named(column: str, sentence: str, tmp_path: Path, foreign: Make) -> None:
    table = foreign()
    table.obs["array_row"] = table.obs["array_col"] = np.arange(40)
    table.obs[column] = "maybe"
    table.write_h5ad(tmp_path / "foreign.h5ad")
    with pytest.raises(SectionError, match=sentence):
        open_section(tmp_path / "foreign.h5ad")
