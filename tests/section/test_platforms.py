"""Tables of many platforms and habits: their scale, their sections, their counts and their genes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.sparse import csr_matrix

from histoscribe.errors import SectionError
from histoscribe.formats import kind_of
from histoscribe.section import Section, open_section
from histoscribe.section.lattice import neighbour_distance
from histoscribe.slide import open_slide

GENES = ["EPCAM", "KRT8", "ESR1", "ERBB2", "CD3E"]
Bring = Callable[[anndata.AnnData], Section]


@pytest.fixture
def brought(tmp_path: Path) -> Bring:
    def bring(table: anndata.AnnData) -> Section:
        table.write_h5ad(tmp_path / "brought.h5ad")
        assert kind_of(tmp_path / "brought.h5ad") == "section"
        return open_section(tmp_path / "brought.h5ad")

    return bring


def counted(spots: int, **columns: Any) -> anndata.AnnData:
    counts = np.random.default_rng(0).poisson(3.0, (spots, 5)).astype(np.float32)
    names = [f"s{number}" for number in range(spots)]
    return anndata.AnnData(csr_matrix(counts), pd.DataFrame(columns, names), pd.DataFrame(index=GENES))


def visium(step: float = 125.0, side: int = 12) -> anndata.AnnData:
    rows, columns = (part.ravel() for part in np.mgrid[:side, :side])
    table = counted(side * side, array_row=rows, array_col=2 * columns + rows % 2)
    table.obsm["spatial"] = np.column_stack([columns + rows % 2 / 2, rows * np.sqrt(3) / 2]) * step + 50
    return table


def squares(step: float, side: int = 12) -> anndata.AnnData:
    table = counted(side * side)
    table.obsm["spatial"] = np.column_stack([part.ravel() for part in np.mgrid[:side, :side]]) * step
    return table


def cells(number: int = 300, **columns: Any) -> anndata.AnnData:
    table = counted(number, **columns)
    table.obsm["spatial"] = np.random.default_rng(1).uniform(0, 4000, (number, 2))
    return table


def log_of(table: anndata.AnnData) -> anndata.AnnData:
    dense = table.X.toarray()
    table.X = np.log1p(dense / dense.sum(1, keepdims=True) * 1e4).astype(np.float32)
    return table


# scale


def test_stereo_seq_states_its_unit_and_bins(brought: Bring) -> None:
    table = squares(50)
    table.uns |= {"bin_type": "bins", "bin_size": 50, "resolution": 500}
    found = brought(table)
    assert (found.mpp, found.pitch_um, found.spot_um) == (0.5, 25.0, 25.0)
    assert found.warnings == ()


def test_squares_without_array_coordinates_are_not_visium(brought: Bring) -> None:
    found = brought(squares(30))
    assert found.pitch_um == 200.0
    assert any("200 µm were guessed" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("columns", "mpp"),
    [({}, 0.12028), ({"Area": 3000.0, "Area.um2": 3000 * 0.18**2}, 0.18)],
    ids=["usual", "by areas"],
)
def test_cosmx_counts_in_pixels(columns: dict[str, float], mpp: float, brought: Bring) -> None:
    table = cells(**columns)
    table.obs["CenterX_global_px"], table.obs["CenterY_global_px"] = table.obsm["spatial"].T
    del table.obsm["spatial"]
    found = brought(table)
    assert (found.mpp, found.pitch_um) == (pytest.approx(mpp), None)
    assert any("a guess" in warning for warning in found.warnings) == (not columns)


def test_places_that_cosmx_holds_in_other_units_are_held_against_its_pixels(brought: Bring) -> None:
    table = cells(**{"Area": 3000.0, "Area.um2": 3000 * 0.12**2})
    table.obs["CenterX_global_px"], table.obs["CenterY_global_px"] = table.obsm["spatial"].T / 0.12
    assert brought(table).mpp == pytest.approx(1.0)


def test_fields_of_view_that_squidpy_names_as_libraries_are_one_section(brought: Bring) -> None:
    table = cells()
    whole = table.obsm["spatial"] * [3, 1]
    table.obs["fov"] = pd.Categorical((whole[:, 0] // 4000).astype(int).astype(str))
    table.obs["CenterX_global_px"], table.obs["CenterY_global_px"] = whole.T
    table.obsm["spatial"] = whole % 4000
    scales = {"tissue_hires_scalef": 1, "spot_diameter_fullres": 1}
    table.uns["spatial"] = {fov: {"images": {}, "scalefactors": scales} for fov in table.obs["fov"].unique()}
    found = brought(table)
    np.testing.assert_allclose(found.centres, whole[:, ::-1])
    assert any("within fields of view" in warning for warning in found.warnings)


@pytest.mark.parametrize("names", [("x_slide_mm", "y_slide_mm"), ("CenterX_global_mm", "CenterY_global_mm")])
def test_columns_whose_names_state_a_unit_tell_the_scale(names: tuple[str, str], brought: Bring) -> None:
    table = cells()
    table.obs[names[0]], table.obs[names[1]] = table.obsm["spatial"].T / 1000 * 0.25
    assert brought(table).mpp == pytest.approx(0.25)
    table.uns["pixel_size_um"] = 0.5
    with pytest.raises(SectionError, match=f"states 0.5 µm per pixel, its {names[0]} says 0.25; mend"):
        brought(table)
    del table.obsm["spatial"], table.uns["pixel_size_um"]
    assert brought(table).mpp == pytest.approx(1000)


def test_xenium_s_centroids_tell_that_its_places_are_pixels(brought: Bring) -> None:
    table = cells(cell_area=60.0)
    table.obs["x_centroid"], table.obs["y_centroid"] = table.obsm["spatial"].T * 0.2125
    found = brought(table)
    assert found.mpp == pytest.approx(0.2125)
    assert any("x_centroid, in µm as Xenium's, says 0.2125, a guess" in warning for warning in found.warnings)


def test_merscope_counts_in_micrometres(brought: Bring) -> None:
    table = cells(volume=300.0)
    table.obs["center_x"], table.obs["center_y"] = table.obsm["spatial"].T
    del table.obsm["spatial"]
    found = brought(table)
    assert (found.mpp, found.pitch_um) == (1.0, None)


def test_cells_gathered_from_bins_are_no_bins(brought: Bring) -> None:
    table = cells()
    table.obs["array_row"], table.obs["array_col"] = table.obsm["spatial"].T / 8.2
    scales = {"bin_size_um": 2.0, "microns_per_pixel": 0.2738, "spot_diameter_fullres": 30.0}
    table.uns["spatial"] = {"lib": {"images": {}, "scalefactors": scales}}
    found = brought(table)
    assert (found.mpp, found.pitch_um, found.spot_um) == (0.2738, None, pytest.approx(30 * 0.2738))


def test_a_stated_scale_that_visium_cannot_have_is_doubted(brought: Bring) -> None:
    table = visium()
    table.uns["pixel_size_um"] = 0.4
    found = brought(table)
    assert found.mpp == 0.4
    assert any("spots lie 50 µm apart, not 100" in warning for warning in found.warnings)


@pytest.mark.parametrize("square", [False, True])
def test_mirrored_positions_are_said(square: bool, brought: Bring) -> None:
    table = visium()
    if square:
        table.obs["array_row"], table.obs["array_col"] = (part.ravel() for part in np.mgrid[:12, :12])
        table.obsm["spatial"] = table.obs[["array_col", "array_row"]].to_numpy(float) * 30
    assert not any("mirrored" in warning for warning in brought(table).warnings)
    table.obsm["spatial"] = table.obsm["spatial"] * [-1, 1] + [5000, 0]
    assert any("the lattice is mirrored" in warning for warning in brought(table).warnings)


# sections


def joined(*tables: anndata.AnnData, **settings: Any) -> anndata.AnnData:
    return anndata.concat(tables, index_unique="-", **settings)


def barcoded() -> anndata.AnnData:
    random = np.random.default_rng(5)
    both = []
    names = ["".join(random.choice(list("ACGT"), 16)) for _ in range(144)]
    for number in (1, 2):
        table = visium()
        table.obs = pd.DataFrame(index=[f"{name}-{number}" for name in names])
        table.obsm["spatial"] = table.obsm["spatial"] * (1 + number / 50)
        both.append(table)
    return anndata.concat(both)


def third_over_second() -> anndata.AnnData:
    tables = [squares(30) for _ in range(3)]
    for table, place in zip(tables, (0, 5000, 5003), strict=True):
        table.obsm["spatial"] = table.obsm["spatial"] + [place, 0.0]
    return joined(*tables, label="library_id", keys=list("abc"))


def layered() -> anndata.AnnData:
    table = cells()
    table.obsm["spatial"] = np.column_stack([table.obsm["spatial"], np.repeat([0.0, 10.0], 150)])
    return table


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: joined(visium(), visium()), "144 spots share their place in the array"),
        (barcoded, "144 spots share their barcode"),
        (lambda: joined(squares(30), squares(30)), "144 spots share their place"),
        (third_over_second, r'on top of one another, by obs\["library_id"\]'),
        (layered, "2 layers, one over the other"),
    ],
)
def test_several_sections_are_refused(
    make: Callable[[], anndata.AnnData], words: str, brought: Bring
) -> None:
    with pytest.raises(SectionError, match=words):
        brought(make())


# counts, genes, spots


@pytest.mark.parametrize("layers", [("ambiguous", "spliced", "unspliced"), ("binary", "raw_counts")])
def test_of_several_layers_the_counts_are_taken(layers: tuple[str, ...], brought: Bring) -> None:
    table = visium()
    counts = table.X.copy()
    log_of(table)
    for layer in layers:
        table.layers[layer] = csr_matrix((counts > 3).astype(np.float32)) * (1 + (layer != "binary"))
    true = next(layer for layer in layers if layer in ("spliced", "raw_counts"))
    table.layers[true] = counts
    found = brought(table)
    assert (counts != found.table.X).nnz == 0
    assert any(f'layers["{true}"] was taken' in warning for warning in found.warnings)


def test_yes_and_no_are_no_counts(brought: Bring) -> None:
    table = visium()
    table.layers["binary"] = csr_matrix((table.X.toarray() > 0).astype(np.float32))
    found = brought(log_of(table))
    assert any("are not whole numbers" in warning for warning in found.warnings)


@pytest.mark.parametrize("column", ["gene_short_name", "Gene", "hgnc_symbol", "external_gene_name", "SYMBOL"])
@pytest.mark.parametrize(
    "names", [[f"ENSG0000000000{n}.3_PAR_Y" for n in range(5)], ["1956", "2064", "3845", "7157", "672"]]
)
def test_symbols_under_many_names(column: str, names: list[str], brought: Bring) -> None:
    table = visium()
    table.var_names = names
    table.var[column] = pd.Categorical(GENES)
    assert brought(table).genes == GENES


def test_a_spot_of_which_it_is_not_told_whether_it_lies_on_tissue_is_left_out(brought: Bring) -> None:
    table = visium()
    table.obs["in_tissue"] = [1.0] * 143 + [np.nan]
    found = brought(table)
    assert found.table.n_obs == 143
    assert any("s143" in warning for warning in found.warnings)


@pytest.mark.parametrize("kind", ["grey", "one channel", "int64"])
def test_images_in_any_numbers_are_shown(kind: str, brought: Bring) -> None:
    table = visium()
    image = np.random.default_rng(0).integers(0, 255, (200, 180))
    given = {"grey": image.astype(np.uint8), "one channel": image[..., None].astype(np.uint8)}
    held = given.get(kind, np.stack([image] * 3, -1))
    table.uns["spatial"] = {"l": {"images": {"hires": held}, "scalefactors": {"tissue_hires_scalef": 0.1}}}
    found = brought(table)
    assert found.slide is not None
    np.testing.assert_array_equal(found.slide.levels[0].pixels[:][..., 1], image)
    assert any("grey" in warning for warning in found.slide.warnings) == (kind != "int64")


# a second witness


@pytest.mark.parametrize(("unit", "known"), [(1.0, True), (1000.0, False), (0.001, False)])
def test_cells_of_an_unknown_unit_must_lie_as_cells_may(unit: float, known: bool, brought: Bring) -> None:
    table = cells(300, cell_area=80.0)
    table.obsm["spatial"] *= unit / 8
    if known:
        found = brought(table)
        assert (found.mpp, found.pitch_um) == (1.0, None)
        assert any("a guess" in warning for warning in found.warnings)
        return
    with pytest.raises(SectionError, match=r"would lie .* µm apart; write .* uns\[\"pixel_size_um\"\]"):
        brought(table)
    table.uns["pixel_size_um"] = 1 / unit
    assert brought(table).mpp == 1 / unit


def test_areas_of_cells_tell_their_unit(brought: Bring) -> None:
    table = cells(300, cell_area=78.5)
    table.uns["spatial"] = {"A": {"scalefactors": {"spot_diameter_fullres": 40.0}}}
    found = brought(table)
    assert found.mpp == pytest.approx(0.25, rel=0.01)
    assert any("areas of its cells say 0.25" in warning for warning in found.warnings)


def test_cells_on_a_slide_that_is_named_have_its_scale(brought: Bring, tmp_path: Path) -> None:
    table = cells(300)
    table.write_h5ad(tmp_path / "cells.h5ad")
    pixels = np.full((4000, 4000, 3), 200, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(256, 256), photometric="rgb", compression="deflate")
    found = open_section(tmp_path / "cells.h5ad", slide=open_slide(tmp_path / "a.tif", mpp=0.25))
    assert found.mpp == 0.25
    assert any("its slide's 0.25 was taken, a guess" in warning for warning in found.warnings)


def test_a_hexagonal_lattice_that_is_not_visiums_is_doubted(brought: Bring) -> None:
    table = visium()
    table.obs = table.obs[[]]
    table.uns["spatial"] = {"A": {"scalefactors": {"microns_per_pixel": 0.08}}}
    assert any("spots lie 10 µm apart, not 100" in warning for warning in brought(table).warnings)


def test_samples_beside_one_another_are_doubted(brought: Bring) -> None:
    table = squares(30, side=10)
    table.obs["sample"] = np.where(table.obsm["spatial"][:, 0] < 150, "A", "B")
    assert any("lie apart: is this one section?" in warning for warning in brought(table).warnings)


def test_numbers_of_the_array_are_places_where_there_are_no_others(brought: Bring) -> None:
    table = visium()
    del table.obsm["spatial"]
    found = brought(table)
    assert found.pitch_um == pytest.approx(100)
    assert neighbour_distance(found.centres_um) == pytest.approx(100)
    assert any("no place on a slide" in warning for warning in found.warnings)
    table.obsm["spatial"] = table.obs[["array_row", "array_col"]].to_numpy()
    np.testing.assert_allclose(brought(table).centres_um, found.centres_um)
    square = squares(200, side=10)
    square.obs["array_row"], square.obs["array_col"] = (
        np.repeat(np.arange(10), 10),
        np.tile(np.arange(10), 10),
    )
    del square.obsm["spatial"]
    assert brought(square).pitch_um == pytest.approx(200)


def test_places_as_seurat_calls_them_and_genomes_that_are_mixed(brought: Bring) -> None:
    table = visium()
    table.obs[["imagecol", "imagerow"]] = table.obsm.pop("spatial")
    table.var_names = ["GRCh38_EPCAM", "GRCh38_KRT8", "mm10___Esr1", "mm10___Cd3e", "mm10___Krt8"]
    found = brought(table)
    assert found.mpp == pytest.approx(0.8)
    assert any("several genomes (GRCh38, mm10)" in warning for warning in found.warnings)


# what is no gene


FEATURES = ["EPCAM", "KRT8", "ESR1", "CD3E", "CD3E"]


@pytest.mark.parametrize(
    ("names", "types", "kept"),
    [
        (FEATURES, ["Gene Expression"] * 4 + ["Antibody Capture"], FEATURES[:4]),
        (
            FEATURES,
            ["Gene Expression"] * 2 + ["Protein Expression", "Peaks", "Genomic Control"],
            FEATURES[:2],
        ),
        ([*GENES[:3], "NegControlProbe_00042", "BLANK_0006"], None, GENES[:3]),
        ([*GENES[:3], "antisense_PROKR2", "UnassignedCodeword_0001"], None, GENES[:3]),
        ([*GENES[:3], "Blank-1", "DeprecatedCodeword_0321"], ["Gene Expression"] * 5, GENES[:3]),
        ([*GENES[:3], "NegPrb1", "SystemControl12"], None, GENES[:3]),
        (
            ["BLNK", "NEG1", "ERCC6", "TOTALIN", "ASB1"],
            ["gene"] * 5,
            ["BLNK", "NEG1", "ERCC6", "TOTALIN", "ASB1"],
        ),
    ],
)
def test_proteins_and_controls_are_no_genes(
    names: list[str], types: list[str] | None, kept: list[str], brought: Bring
) -> None:
    table = visium()
    table.var = pd.DataFrame(index=names)
    if types:
        table.var["feature_types"] = types
    total = table.X[:, : len(kept)].sum()
    found = brought(table)
    assert found.genes == kept
    assert found.table.X.sum() == total
    said = [warning for warning in found.warnings if "are no genes and were left out" in warning]
    assert len(said) == (len(kept) < 5)


def test_a_table_of_proteins_alone_is_refused(brought: Bring) -> None:
    table = visium()
    table.var["feature_types"] = "Antibody Capture"
    with pytest.raises(SectionError, match="holds no gene expression, only Antibody Capture"):
        brought(table)


def test_guides_alone_are_refused_and_other_words_for_types_say_nothing(brought: Bring) -> None:
    table = visium()
    table.var["feature_types"] = "protein_coding"
    assert brought(table).genes == GENES
    table.var["feature_types"] = "CRISPR Guide Capture"
    with pytest.raises(SectionError, match="only CRISPR Guide Capture"):
        brought(table)
