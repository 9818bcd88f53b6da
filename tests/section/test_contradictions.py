"""What a section states twice, or cannot mean: refused where it contradicts itself, said where doubtful."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from histoscribe.errors import SectionError
from histoscribe.section import Section, flip, open_section, write_section

SIDE = 12
Bring = Callable[[anndata.AnnData], Section]


@pytest.fixture
def brought(tmp_path: Path) -> Bring:
    def bring(table: anndata.AnnData) -> Section:
        table.write_h5ad(tmp_path / "brought.h5ad")
        return open_section(tmp_path / "brought.h5ad")

    return bring


def visium(*genes: str) -> anndata.AnnData:
    """144 spots at .8 µm per pixel."""
    names = list(genes) or ["EPCAM", "KRT8", "ESR1", "ERBB2", "CD3E"]
    rows, columns = (part.ravel() for part in np.mgrid[:SIDE, :SIDE])
    counts = np.random.default_rng(0).poisson(3.0, (SIDE * SIDE, len(names))).astype(np.float32)
    obs = pd.DataFrame(
        {"array_row": rows, "array_col": 2 * columns + rows % 2}, [f"s{n}" for n in range(SIDE**2)]
    )
    table = anndata.AnnData(csr_matrix(counts), obs, pd.DataFrame(index=names))
    table.obsm["spatial"] = np.column_stack([columns + rows % 2 / 2, rows * np.sqrt(3) / 2]) * 125 + 50
    return table


def test_columns_of_positions_are_taken_by_their_names(brought: Bring) -> None:
    table = visium()
    places = table.obsm["spatial"]
    for names in (["y", "x"], ["pxl_row_in_fullres", "pxl_col_in_fullres"]):
        table.obsm["spatial"] = pd.DataFrame(places[:, ::-1], index=table.obs_names, columns=names)
        found = brought(table)
        np.testing.assert_allclose(flip(found.centres), places)
        assert not any("mirrored" in warning for warning in found.warnings)


def test_positions_within_fields_of_view_are_not_laid_over_one_another(brought: Bring) -> None:
    table = visium()
    table.obs = table.obs[[]]
    within = np.random.default_rng(1).uniform(0, 4000, (SIDE * SIDE, 2))
    whole = within + np.repeat([[0.0, 0.0], [4256.0, 0.0]], SIDE * SIDE // 2, axis=0)
    table.obs[["CenterX_local_px", "CenterY_local_px"]] = table.obsm["spatial"] = within
    table.obs[["CenterX_global_px", "CenterY_global_px"]] = whole
    found = brought(table)
    np.testing.assert_allclose(flip(found.centres), whole)
    assert any("within fields of view" in warning for warning in found.warnings)


def test_spots_that_all_lie_at_one_place_have_no_scale(brought: Bring) -> None:
    table = visium()
    table.obsm["spatial"][:] = 5.0
    with pytest.raises(SectionError, match="fewer than two spots at different places"):
        brought(table)


def test_spots_at_one_place_are_said(brought: Bring) -> None:
    table = visium()
    table.obs = table.obs[[]]
    table.obsm["spatial"][:6] = 0.0
    assert any("6 spots lie at one place" in warning for warning in brought(table).warnings)


@pytest.mark.parametrize("kind", ["hires", "lowres"])
def test_positions_in_pixels_of_a_reduced_image_are_refused(
    kind: str, brought: Bring, space_ranger: Callable[..., Any]
) -> None:
    table, scale = visium(), {"hires": 0.1, "lowres": 0.02}
    scales = {f"tissue_{name}_scalef": value for name, value in scale.items()}
    table.uns["spatial"] = {"lib": {"images": {}, "scalefactors": scales | {"spot_diameter_fullres": 81.0}}}
    assert brought(table).mpp == pytest.approx(0.8)
    table.obsm["spatial"] *= scale[kind]
    refused = f"positions are pixels of the {kind} image; divide them by tissue_{kind}_scalef"
    with pytest.raises(SectionError, match=refused):
        brought(table)
    folder = space_ranger().folder / "spatial"
    scale = json.loads((folder / "scalefactors_json.json").read_text())
    positions = pd.read_csv(folder / "tissue_positions.csv")
    positions.iloc[:, 4:] *= scale[f"tissue_{kind}_scalef"]
    positions.to_csv(folder / "tissue_positions.csv", index=False)
    with pytest.raises(SectionError, match=refused):
        open_section(folder.parent)


@pytest.mark.parametrize("square", [False, True])
def test_a_spot_far_from_its_place_in_the_lattice_is_doubted(square: bool, brought: Bring) -> None:
    table = visium()
    if square:
        rows, columns = (part.ravel() for part in np.mgrid[:SIDE, :SIDE])
        table.obs["array_row"], table.obs["array_col"] = rows, columns
        table.obsm["spatial"] = np.column_stack([columns, rows]) * 125.0
    assert not any("elsewhere than the lattice" in warning for warning in brought(table).warnings)
    table.obsm["spatial"][3] = [1e6, 1e6]
    assert any("1 spots lie elsewhere than the lattice" in warning for warning in brought(table).warnings)


def test_our_own_file_whose_positions_were_scaled_is_refused(brought: Bring, tmp_path: Path) -> None:
    path = write_section(brought(visium()), tmp_path / "own.h5ad")
    table = anndata.read_h5ad(path)
    assert open_section(path).mpp == pytest.approx(0.8)
    table[::7].write_h5ad(path)
    assert open_section(path).mpp == pytest.approx(0.8)
    table.obsm["spatial"] = table.obsm["spatial"] * 3
    with pytest.raises(SectionError, match=r"states 0.8 µm per pixel, its lattice of 100 µm says 0.2667"):
        brought(table)


def test_counts_that_cannot_be_held_are_refused(brought: Bring) -> None:
    table = visium()
    table.X = table.X.toarray().astype(np.float64)
    table.X[3, 2] = 1e300
    with pytest.raises(SectionError, match="1 counts are missing or infinite"):
        brought(table)


def test_yes_and_no_are_doubted(brought: Bring) -> None:
    table = visium()
    table.X = table.X.toarray() > 0
    assert any("are they yes and no" in warning for warning in brought(table).warnings)


def test_genes_that_a_spreadsheet_made_dates_are_turned_back(brought: Bring) -> None:
    found = brought(visium("1-Mar", "KRT8", "ESR1", "EPCAM", "2.31E+13"))
    assert found.genes[:2] == ["MARCH1", "KRT8"]
    assert any("turned back (1-Mar → MARCH1)" in warning for warning in found.warnings)
    assert any("(2.31E+13) look like numbers" in warning for warning in found.warnings)


def test_names_of_genes_that_were_lost_or_are_of_two_species_are_doubted(brought: Bring) -> None:
    lost = brought(visium(*map(str, range(12))))
    assert any("were their names lost?" in warning for warning in lost.warnings)
    both = brought(visium("EPCAM", "KRT8", "ESR1", "Epcam", "Krt8", "Esr1"))
    assert any("as of man and mouse" in warning for warning in both.warnings)


def test_positions_of_two_versions_must_agree(space_ranger: Callable[..., Any]) -> None:
    folder = space_ranger().folder / "spatial"
    positions = pd.read_csv(folder / "tissue_positions.csv")
    positions.round().to_csv(folder / "tissue_positions_list.csv", index=False, header=False)
    assert open_section(folder.parent).table.n_obs
    positions["pxl_row_in_fullres"] += 50
    positions.to_csv(folder / "tissue_positions_list.csv", index=False, header=False)
    with pytest.raises(SectionError, match="contradict each other; keep the one"):
        open_section(folder.parent)


def test_a_stated_scale_of_visium_is_held_against_its_lattice(space_ranger: Callable[..., Any]) -> None:
    folder = space_ranger().folder
    path = folder / "spatial" / "scalefactors_json.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"microns_per_pixel": 0.2}))
    said = [warning for warning in open_section(folder).warnings if "different runs" in warning]
    assert said == [
        "the scale factors state 0.2 µm per pixel, the lattice says 0.8: positions and scale factors "
        "of different runs? The lattice was believed"
    ]
