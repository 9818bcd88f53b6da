"""Files as people bring them: what they state is read, what they lack is said, a bad part costs itself."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from histoscribe.errors import SectionError
from histoscribe.record import record_of
from histoscribe.section import Section, open_section

Make = Callable[..., Any]


@pytest.fixture
def brought(tmp_path: Path) -> Callable[[anndata.AnnData], Section]:
    def bring(table: anndata.AnnData) -> Section:
        table.write_h5ad(tmp_path / "brought.h5ad")
        return open_section(tmp_path / "brought.h5ad")

    return bring


def lattice(
    step: float = 29.2, side: int = 12, *, square: bool = True, array: bool = True
) -> anndata.AnnData:
    """Counts on a square (or a Visium) lattice of `step` pixels."""
    rows, columns = (part.ravel() for part in np.mgrid[:side, :side])
    places = np.column_stack([rows, columns * 1.0]) * step
    if not square:
        places = np.column_stack([rows * np.sqrt(3) / 2, columns + rows % 2 / 2]) * step
        columns = 2 * columns + rows % 2
    counts = np.random.default_rng(0).poisson(2.0, (len(rows), 5)).astype(np.float32)
    table = anndata.AnnData(csr_matrix(counts), obsm={"spatial": places[:, ::-1] + 50})
    table.obs_names = [f"spot{number}" for number in range(len(rows))]
    if array:
        table.obs["array_row"], table.obs["array_col"] = rows, columns
    return table


# what is stated beats what is guessed


def test_stated_bins_and_scale_beat_every_guess(brought: Make) -> None:
    table = lattice(8 / 0.2738)
    factors = {"bin_size_um": 8.0, "microns_per_pixel": 0.2738, "spot_diameter_fullres": 8 / 0.2738}
    table.uns["spatial"] = {"s": {"scalefactors": factors}}
    found = brought(table)
    assert found.mpp == pytest.approx(0.2738, rel=1e-3)
    assert (found.pitch_um, found.spot_um) == (8.0, 8.0)
    assert not any("guess" in warning or "assumed" in warning for warning in found.warnings)


def test_barcodes_of_bins_state_their_size(brought: Make) -> None:
    table = lattice(16 / 0.5)
    table.obs_names = [f"s_016um_{row:05d}_{column:05d}-1" for row in range(12) for column in range(12)]
    found = brought(table)
    assert (found.mpp, found.pitch_um) == (pytest.approx(0.5), 16.0)


@pytest.mark.parametrize("key", ["pixel_size_um_estimated", "pixel_size_um_embedded"])
def test_hest_s_pixel_size_is_read(key: str, brought: Make) -> None:
    table = lattice(100 / 0.46, square=False)
    table.uns["spatial"] = {"ST": {"scalefactors": {}, "metadata": {key: 0.46}}}
    found = brought(table)
    assert (found.mpp, found.pitch_um) == (0.46, pytest.approx(100.0, rel=1e-6))


def test_a_square_lattice_is_never_visium(brought: Make) -> None:
    found = brought(lattice(400.0))
    assert found.pitch_um == 200.0
    assert found.spot_um == 100.0
    assert found.mpp == pytest.approx(0.5)
    assert any("guessed, as on legacy arrays" in warning for warning in found.warnings)


def test_gapless_squares_are_bins(brought: Make) -> None:
    table = lattice(32.0)
    table.uns["spatial"] = {"s": {"scalefactors": {"spot_diameter_fullres": 32.0}}}
    found = brought(table)
    assert (found.pitch_um, found.mpp) == (8.0, pytest.approx(0.25))
    assert any("guessed, as bins of Visium HD" in warning for warning in found.warnings)


def test_a_scale_that_contradicts_the_lattice_is_refused(brought: Make) -> None:
    table = lattice(8 / 0.2738)
    table.uns["spatial"] = {"s": {"scalefactors": {"bin_size_um": 8.0, "microns_per_pixel": 2.738}}}
    with pytest.raises(SectionError, match="contradict each other"):
        brought(table)


def test_cells_are_points_without_a_lattice(brought: Make) -> None:
    random = np.random.default_rng(2)
    table = anndata.AnnData(
        csr_matrix(random.poisson(2.0, (200, 5)).astype(np.float32)),
        obs=pd.DataFrame(
            {
                "x_centroid": random.uniform(0, 2000, 200),
                "y_centroid": random.uniform(0, 1500, 200),
                "cell_area": np.full(200, 78.54),
            },
            index=[f"cell{number}" for number in range(200)],
        ),
    )
    found = brought(table)
    assert found.mpp == 1.0
    assert found.spot_um == pytest.approx(10.0, rel=1e-3)
    assert found.pitch_um is None
    assert record_of(found.table).cells is True
    np.testing.assert_allclose(found.centres[:, 0], table.obs["y_centroid"])


def test_beads_without_lattice_or_scale_are_said_to_be_guessed(brought: Make) -> None:
    random = np.random.default_rng(3)
    table = lattice(array=False)
    table.obsm["spatial"] = random.uniform(0, 3000, (table.n_obs, 2))
    table.uns["spatial"] = {"is_single": True}
    found = brought(table)
    assert found.slide is None
    assert found.mpp == 1.0
    assert any("taken for µm, a guess" in warning for warning in found.warnings)


# how many sections


def test_single_and_flat_layouts_are_one_section(brought: Make) -> None:
    table = lattice(square=False)
    image = np.full((60, 60, 3), 200, dtype=np.uint8)
    flat = {"images": {"hires": image}, "scalefactors": {"tissue_hires_scalef": 0.1}}
    table.uns["spatial"] = {"is_single": np.True_, "one": flat}
    assert brought(table).name == "one"
    table.uns["spatial"] = flat
    found = brought(table)
    assert found.slide is not None
    assert found.slide.shape == (600, 600)


def test_a_subset_that_kept_both_keys_is_the_one_that_its_spots_name(brought: Make) -> None:
    table = lattice(square=False)
    table.uns["spatial"] = {name: {"scalefactors": {}} for name in ("one", "two")}
    table.obs["library_id"] = pd.Categorical(["two"] * table.n_obs)
    assert brought(table).name == "two"


@pytest.mark.parametrize("array", [True, False])
def test_sections_joined_without_their_keys_are_refused(array: bool, brought: Make) -> None:
    tables = {name: lattice(square=False, array=array) for name in ("one", "two")}
    joined = anndata.concat(tables, label="sample", index_unique="-")
    with pytest.raises(SectionError, match="several sections"):
        brought(joined)


def test_neighbouring_pieces_are_one_section(brought: Make) -> None:
    table = lattice(array=False)
    table.obs["batch"] = np.where(table.obsm["spatial"][:, 0] > table.obsm["spatial"][:, 0].mean(), "a", "b")
    assert brought(table).table.n_obs == table.n_obs


# wherever it stands


@pytest.mark.parametrize("place", ["raw", "counts", "spliced_total"])
def test_counts_are_found(place: str, brought: Make) -> None:
    table = lattice(square=False)
    counts = table.X.copy()
    if place == "raw":
        table.raw = table.copy()
    else:
        table.layers[place] = counts
    table.X = csr_matrix(np.log1p(counts.toarray() * 3.3))
    found = brought(table)
    np.testing.assert_array_equal(found.table.X.toarray(), counts.toarray())
    assert any("X holds no raw counts" in warning for warning in found.warnings)


@pytest.mark.parametrize("lost", ["X", "zeros"])
def test_counts_are_found_where_x_holds_none(lost: str, brought: Make) -> None:
    table = lattice(square=False)
    counts = table.layers["counts"] = table.X.copy()
    table.X = None if lost == "X" else csr_matrix(counts.shape, dtype=np.float32)
    found = brought(table)
    np.testing.assert_array_equal(found.table.X.toarray(), counts.toarray())
    del table.layers["counts"]
    if lost == "X":
        with pytest.raises(SectionError, match="no values in X"):
            brought(table)


def test_what_has_no_value_in_a_joined_table_costs_itself(brought: Make) -> None:
    table = lattice(square=False)
    values = table.X.toarray()
    values[:, 2], values[7] = np.nan, np.nan
    table.X = values
    found = brought(table)
    assert found.table.shape == (table.n_obs - 1, 4)
    np.testing.assert_array_equal(found.table.X.toarray(), np.delete(np.delete(values, 7, 0), 2, 1))
    for words in (
        "genes without a value were left out (1): 2",
        "spots without a value were left out (1): spot7",
    ):
        assert words in found.warnings


@pytest.mark.parametrize("column", ["feature_name", "gene_symbols", "gene_name", "Gene.Symbol"])
def test_symbols_are_found_beside_identifiers(column: str, brought: Make) -> None:
    table = lattice(square=False)
    table.var_names = [f"ENSG{number:011d}" for number in range(5)]
    table.var[column] = pd.Categorical(["EPCAM", "KRT8", "ACTB", "GAPDH", "CD3E"])
    found = brought(table)
    assert found.genes == ["EPCAM", "KRT8", "ACTB", "GAPDH", "CD3E"]
    assert found.table.var["gene_ids"].iloc[0] == "ENSG00000000000"
    table.var["symbol"] = table.var.pop(column)
    table.var["feature_name"] = table.var_names
    assert brought(table).genes == found.genes


@pytest.mark.parametrize("pattern", ["{1}_{0}", "{0}_{1}", "{0} ({1})"])
def test_identifiers_beside_symbols_are_taken_off(pattern: str, brought: Make) -> None:
    table = lattice(square=False)
    symbols = ["EPCAM", "KRT8", "ACTB", "GAPDH", "CD3E"]
    table.var_names = [pattern.format(gene, f"ENSG{at:011d}") for at, gene in enumerate(symbols)]
    found = brought(table)
    assert found.genes == symbols
    assert any("identifiers beside 5 symbols were taken off" in warning for warning in found.warnings)


def test_one_genome_before_the_genes_is_taken_away_and_two_are_not(brought: Make) -> None:
    table = lattice(square=False)
    table.var_names = [f"GRCh38_{name}" for name in ("A1BG", "KRT8", "ACTB", "GAPDH", "CD3E")]
    assert brought(table).genes[:2] == ["A1BG", "KRT8"]
    table.var_names = ["GRCh38_A", "GRCh38_B", "mm10_A", "mm10_B", "mm10_C"]
    assert brought(table).genes[2] == "mm10_A"


def test_positions_in_obs_are_found(brought: Make) -> None:
    table = lattice(square=False)
    table.obs[["pxl_col_in_fullres", "pxl_row_in_fullres"]] = table.obsm.pop("spatial")
    found = brought(table)
    np.testing.assert_allclose(found.centres[:, 0], table.obs["pxl_row_in_fullres"])
    assert any("positions are obs" in warning for warning in found.warnings)


@pytest.mark.parametrize("how", ["capital", "words", "frame", "columns"])
def test_positions_are_read_however_they_are_written(how: str, brought: Make) -> None:
    table = lattice(square=False)
    places = table.obsm.pop("spatial")
    words = places.astype(str).astype(object)
    if how == "columns":
        table.obs[["X", "Y"]] = places
    elif how == "frame":
        table.obsm["spatial"] = pd.DataFrame(words, index=table.obs_names, columns=["x", "y"])
    else:
        table.obsm["Spatial" if how == "capital" else "spatial"] = places if how == "capital" else words
    np.testing.assert_allclose(brought(table).centres, places[:, ::-1])


def test_what_stands_beside_a_library_is_no_section(brought: Make) -> None:
    table = lattice(square=False)
    table.uns["spatial"] = {"one": {"scalefactors": {}}, "metadata": {"chemistry": "v2"}}
    assert brought(table).name == "one"


@pytest.mark.parametrize("column", ["cell_area", "Area.um2"])
def test_areas_of_cells_that_are_no_numbers_say_nothing(column: str, brought: Make) -> None:
    table = lattice(array=False)
    table.obs[column], table.obs["Area"], table.obs["nucleus_area"] = "", "", 9.0
    found = brought(table)
    assert (found.mpp, found.pitch_um) == (1.0, None)


@pytest.mark.parametrize("ending", ["-7,", ",", "_sample,"])
def test_barcodes_with_other_endings_are_joined(ending: str, space_ranger: Make) -> None:
    run = space_ranger(version=1)
    path = run.folder / "spatial" / "tissue_positions_list.csv"
    path.write_text(path.read_text().replace("-1,", ending))
    found = open_section(run.folder)
    assert found.table.n_obs == len(run.barcodes)
    np.testing.assert_allclose(found.centres, run.centres, atol=1e-5)
    assert any("matched by their bases" in warning for warning in found.warnings)


# one bad part


def test_a_spot_without_a_place_is_left_out(brought: Make) -> None:
    table = lattice(square=False)
    table.obsm["spatial"][3] = np.nan
    found = brought(table)
    assert found.table.n_obs == table.n_obs - 1
    assert any("spot3" in warning for warning in found.warnings)
    table.obsm["spatial"][:100] = np.nan
    with pytest.raises(SectionError, match="missing values"):
        brought(table)


def test_r_s_words_for_yes_and_no_are_read(brought: Make, space_ranger: Make) -> None:
    table = lattice(square=False)
    for words in (["TRUE", "FALSE"], ["T", "F"], ["yes", "no"]):
        table.obs["in_tissue"] = words * (table.n_obs // 2)
        assert brought(table).table.n_obs == table.n_obs // 2
    run = space_ranger(version=1)
    path = run.folder / "spatial" / "tissue_positions_list.csv"
    path.write_text(path.read_text().replace("-1,1,", "-1,TRUE,").replace("-1,0,", "-1,FALSE,"))
    assert open_section(run.folder).table.n_obs == len(run.barcodes)


def in_r(folder: Path) -> None:
    """Scale factors and positions as R's jsonlite and write.csv write them."""
    path = folder / "scalefactors_json.json"
    path.write_text(json.dumps({key: [value] for key, value in json.loads(path.read_text()).items()}))
    path = folder / "tissue_positions_list.csv"
    lines = [f'"{number}","{line}' for number, line in enumerate(path.read_text().splitlines(), 1)]
    named = [line.replace("-1,", '-1",', 1) for line in lines]
    path.write_text("\n".join(['"","V1","V2","V3","V4","V5","V6"', *named]))


def in_a_spreadsheet(folder: Path) -> None:
    """Scale factors as words, positions as "Unicode text"."""
    path = folder / "scalefactors_json.json"
    path.write_text(json.dumps({key: str(value) for key, value in json.loads(path.read_text()).items()}))
    path = folder / "tissue_positions_list.csv"
    path.write_text(path.read_text().replace(",", "\t"), encoding="utf-16")


@pytest.mark.parametrize("rewrite", [in_r, in_a_spreadsheet])
def test_a_run_that_went_through_another_program_is_the_same(rewrite: Make, space_ranger: Make) -> None:
    plain, other_folder = (space_ranger(name, version=1).folder for name in ("a", "b"))
    rewrite(other_folder / "spatial")
    one, other = open_section(plain), open_section(other_folder)
    np.testing.assert_array_equal(one.centres, other.centres)
    assert one.slide is not None
    assert other.slide is not None
    assert (one.mpp, one.slide.shape, one.warnings) == (other.mpp, other.slide.shape, other.warnings)


def test_a_folder_of_counts_with_a_sample_before_its_name_is_read(space_ranger: Make) -> None:
    run = space_ranger(form="mtx")
    counts = run.folder / "filtered_feature_bc_matrix"
    counts.rename(counts.with_name(f"GSM1_A_{counts.name}"))
    assert open_section(run.folder).table.n_obs == len(run.barcodes)
    shutil.copytree(counts.with_name(f"GSM1_A_{counts.name}"), counts.with_name(f"GSM1_B_{counts.name}"))
    with pytest.raises(SectionError, match="several matrices"):
        open_section(run.folder)


def test_a_position_without_a_number_costs_its_spot(space_ranger: Make) -> None:
    run = space_ranger(version=1)
    path = run.folder / "spatial" / "tissue_positions_list.csv"
    lines = path.read_text().splitlines()
    number = next(at for at, line in enumerate(lines) if line.split(",")[1] == "1")
    lines[number] = ",".join([*lines[number].split(",")[:4], "", ""])
    path.write_text("\n".join(lines))
    found = open_section(run.folder)
    assert found.table.n_obs == len(run.barcodes) - 1
    assert any(lines[number].split(",")[0] in warning for warning in found.warnings)


def pack(folder: Path) -> None:
    for path in list(folder.iterdir()):
        if path.is_file():
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


def test_a_run_packed_file_by_file_is_read_like_the_unpacked_one(space_ranger: Make) -> None:
    plain, packed = space_ranger("plain").folder, space_ranger("packed").folder
    pack(packed / "spatial")
    one, other = open_section(plain), open_section(packed)
    np.testing.assert_array_equal(one.centres, other.centres)
    assert one.slide is not None
    assert other.slide is not None
    np.testing.assert_array_equal(one.slide.levels[0].pixels[:], other.slide.levels[0].pixels[:])
    assert one.warnings == other.warnings


def test_a_flat_folder_with_the_sample_before_the_names_is_read(space_ranger: Make, tmp_path: Path) -> None:
    run = space_ranger(form="mtx")
    flat = tmp_path / "GSM1"
    flat.mkdir()
    for folder in (run.folder / "spatial", run.folder / "filtered_feature_bc_matrix"):
        for path in folder.iterdir():
            shutil.copy(path, flat / f"GSM1_A_{path.name}")
    found, whole = open_section(flat), open_section(run.folder)
    np.testing.assert_array_equal(found.centres, whole.centres)
    np.testing.assert_array_equal(found.table.X.toarray(), whole.table.X.toarray())
    assert found.slide is not None


# guards of one reader in its siblings


def test_a_hires_image_that_was_replaced_is_refused(space_ranger: Make, png: Make, brought: Make) -> None:
    run = space_ranger()
    png(run.folder / "spatial" / "tissue_hires_image.png", 600, 800)
    with pytest.raises(SectionError, match="hires and lowres images contradict each other"):
        open_section(run.folder)
    table = lattice(square=False)
    images = {"hires": np.zeros((200, 200, 3), np.uint8), "lowres": np.zeros((30, 30, 3), np.uint8)}
    factors = {"tissue_hires_scalef": 0.2, "tissue_lowres_scalef": 0.06}
    table.uns["spatial"] = {"s": {"images": images, "scalefactors": factors}}
    with pytest.raises(SectionError, match="contradict each other"):
        brought(table)


def test_transparent_glass_is_white(brought: Make) -> None:
    table = lattice(square=False)
    image = np.zeros((200, 200, 4), np.uint8)
    image[50:150, 50:150] = (150, 60, 120, 255)
    table.uns["spatial"] = {"s": {"images": {"hires": image}, "scalefactors": {"tissue_hires_scalef": 0.2}}}
    found = brought(table)
    assert found.slide is not None
    pixels = found.slide.levels[0].pixels
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert tuple(pixels[100, 100]) == (150, 60, 120)
    assert sum("transparent" in warning for warning in found.slide.warnings) == 1


def test_scale_factors_of_a_packed_run_are_checked_as_well(space_ranger: Make) -> None:
    folder = space_ranger().folder
    path = folder / "spatial" / "scalefactors_json.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tissue_hires_scalef": -1}))
    pack(folder / "spatial")
    with pytest.raises(SectionError, match="tissue_hires_scalef is -1"):
        open_section(folder)
