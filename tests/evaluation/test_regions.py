"""Regions: which spots they hold, and that planted differences and patterns are found."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from histoscribe.errors import RegionError
from histoscribe.evaluation.regions import (
    REST,
    class_neighbourhood,
    class_statistics,
    classes_of,
    differential_genes,
    keep_regions,
    kept_regions,
    morans_i,
)
from histoscribe.section import Section, open_section, write_section
from histoscribe.tiles import Region

SIDE = 12
LEFT = Region("Tumour", (200, 0, 0), np.array([[-50, -50], [-50, 550], [1200, 550], [1200, -50]], float))
RIGHT = Region("Stroma", (0, 200, 0), np.array([[-50, 550], [-50, 1200], [1200, 1200], [1200, 550]], float))


@pytest.fixture
def section() -> Section:
    """Twelve by twelve spots; G0 is tenfold higher in the left half, G1 rises from top to bottom."""
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(SIDE**2), SIDE)
    means = np.full((SIDE**2, 20), 5.0)
    means[columns < 6, 0] = 50
    means[:, 1] = 2 + 4 * rows
    table = anndata.AnnData(
        sparse.csr_matrix(rng.poisson(means).astype(np.float32)),
        obs=pd.DataFrame(index=[f"s{number}" for number in range(SIDE**2)]),
        var=pd.DataFrame(index=[f"G{number}" for number in range(20)]),
        obsm={"spatial": np.column_stack([columns, rows]) * 100.0},
        uns={"histoscribe": {"kind": "measured"}},
    )
    return Section("A", table, None, 0.5, 30.0, 50.0, "P")


@pytest.fixture
def labels(section: Section) -> np.ndarray:
    return classes_of(section, [LEFT, RIGHT])


def test_spots_get_the_class_of_the_last_region_that_holds_them(section: Section) -> None:
    hole = Region("Gland", (0, 0, 200), np.array([[90, 90], [90, 210], [210, 210], [210, 90]], float))
    labels = classes_of(section, [LEFT, hole])
    assert (labels == "Gland").sum() == 4
    assert (labels == "Tumour").sum() == 6 * SIDE - 4
    assert (labels == "").sum() == 6 * SIDE


def test_statistics_by_class(section: Section, labels: np.ndarray) -> None:
    values = np.where(labels == "Tumour", 2.0, 0.0)
    table = class_statistics(values, labels, [LEFT, RIGHT], section.mpp)
    assert table.loc["Tumour", ["spots", "mean", "above zero"]].tolist() == [72, 2.0, 1.0]
    assert table.loc["outside", "spots"] == 0
    assert np.isnan(table.loc["outside", "mean"])
    assert table.loc["Tumour", "area_mm2"] == pytest.approx(600 * 1250 * 0.0005**2)


def test_the_planted_gene_differs_most(section: Section, labels: np.ndarray) -> None:
    for second in ("Stroma", REST):
        table = differential_genes(section, labels, "Tumour", second)
        assert table.index[0] == "G0"
        assert table.at["G0", "log2_fold_change"] > 1.5
        assert table.at["G0", "p_adjusted"] < 1e-6
    assert differential_genes(section, labels, "Stroma", "Tumour").at["G0", "score"] < 0


def test_predictions_get_sizes_of_effect_and_no_p_values(section: Section, labels: np.ndarray) -> None:
    table = section.table.copy()
    table.X = np.log1p(table.X.toarray())
    table.uns["histoscribe"] = {"kind": "predicted"}
    found = differential_genes(section.with_table(table), labels, "Tumour", "Stroma")
    assert list(found.columns) == ["effect", "log2_fold_change", "in_first", "in_second"]
    assert found.index[0] == "G0"
    a, b = (table[:, "G0"].X[labels == name].ravel() for name in ("Tumour", "Stroma"))
    spread = np.sqrt((a.var() * len(a) + b.var() * len(b)) / (len(a) + len(b) - 2))
    assert found.at["G0", "effect"] == pytest.approx((a.mean() - b.mean()) / spread, rel=1e-4)


def test_a_gene_of_one_class_alone_has_no_ratio_and_all_others_theirs(
    section: Section, labels: np.ndarray
) -> None:
    before = differential_genes(section, labels, "Tumour", "Stroma")
    counts = section.table.X.toarray()
    counts[labels == "Stroma", 2] = 0
    counts[:, 3] = 0
    table = section.table.copy()
    table.X = sparse.csr_matrix(counts)
    found = differential_genes(section.with_table(table), labels, "Tumour", "Stroma")
    assert np.isnan(found.loc[["G2", "G3"], "log2_fold_change"]).all()
    assert found.at["G2", "p_adjusted"] < 1e-6
    assert found.at["G3", "p_adjusted"] == 1
    assert np.isfinite(found.drop(index=["G2", "G3"]).to_numpy()).all()
    assert found["log2_fold_change"].abs().max() < 20
    assert np.sign(found.at["G0", "score"]) == np.sign(before.at["G0", "score"])


def test_a_constant_gene_has_no_pattern_and_spoils_no_other(section: Section) -> None:
    table = section.table.copy()
    counts = table.X.toarray()
    counts[:, 4] = 0
    table.X = sparse.csr_matrix(counts)
    found = morans_i(section.with_table(table), section.genes)
    assert found.index[-1] == "G4"
    assert np.isnan(found.at["G4", "I"])
    assert np.isfinite(found.drop(index="G4").to_numpy()).all()


def test_too_small_or_equal_classes_are_refused(section: Section, labels: np.ndarray) -> None:
    with pytest.raises(RegionError, match="holds 0 spots"):
        differential_genes(section, labels, "Tumour", "Necrosis")
    with pytest.raises(RegionError, match="cannot differ from itself"):
        differential_genes(section, labels, "Tumour", "Tumour")


def test_halves_keep_to_themselves(section: Section, labels: np.ndarray) -> None:
    scores = class_neighbourhood(section, labels)
    assert scores.at["Tumour", "Tumour"] > 2
    assert scores.at["Tumour", "Stroma"] < -2
    with pytest.raises(RegionError, match="at least two classes"):
        class_neighbourhood(section, np.where(labels == "Tumour", "Tumour", ""))


def test_genes_with_a_pattern_have_a_high_morans_i(section: Section, labels: np.ndarray) -> None:
    table = morans_i(section, section.genes)
    assert set(table.index[:2]) == {"G0", "G1"}
    assert table.at["G5", "I"] < 0.3
    predicted = section.with_table(section.table.copy())
    predicted.table.uns["histoscribe"] = {"kind": "predicted"}
    assert list(morans_i(predicted, section.genes)) == ["I"]
    inside = morans_i(section, ["G0", "G1"], labels == "Tumour")
    assert inside.at["G1", "I"] > 0.4 > inside.at["G0", "I"]
    with pytest.raises(RegionError, match="too few"):
        morans_i(section, ["G0"], np.arange(SIDE**2) < 5)


def test_regions_travel_in_the_sections_file(section: Section, tmp_path: Path) -> None:
    holed = Region(
        "Tumor: große", (1, 2, 3), LEFT.polygon, (np.array([[0, 0], [0, 90], [90, 90.5]]),), "no. 1"
    )
    keep_regions(section.table, [holed, RIGHT])
    again = open_section(write_section(section, tmp_path / "a.h5ad"))
    assert kept_regions(again.table) == [holed, RIGHT]
    keep_regions(again.table, [])
    assert kept_regions(again.table) == []


def test_damaged_kept_regions_are_told(section: Section) -> None:
    section.table.uns["histoscribe"]["regions"] = '{"type": "FeatureCollection"'
    with pytest.raises(RegionError, match="own regions"):
        kept_regions(section.table)
