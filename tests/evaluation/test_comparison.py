from __future__ import annotations

import json
from dataclasses import replace

import anndata
import numpy as np
import pytest
from scipy import stats

from histoscribe.errors import TableError
from histoscribe.evaluation import compare, pooled
from histoscribe.predictor.target import log_cp10k
from histoscribe.record import SPLIT_MEANING
from histoscribe.section import flip


def told(guess, **entries):
    table = guess.table.copy()
    table.uns["histoscribe"] = {**table.uns["histoscribe"], **entries}
    return replace(guess, table=table)


def test_scores_are_those_of_log_cp10k_over_all_genes(simulated, guess):
    found = compare(simulated, guess)
    target = log_cp10k(simulated.table.X).toarray()
    gene = simulated.genes[3]
    r = stats.pearsonr(target[:, 3], np.asarray(guess.table.X)[:, 3]).statistic
    assert found.per_gene.loc[gene, "pearson"] == pytest.approx(r, abs=1e-6)
    np.testing.assert_allclose(found.measured[:, found.column(gene)], target[:, 3], rtol=1e-5)
    truth = stats.pearsonr(simulated.table.layers["truth"][:, 3], np.asarray(guess.table.X)[:, 3]).statistic
    assert found.per_gene.loc[gene, "pearson_truth"] == pytest.approx(truth, abs=1e-6)
    assert found.summary["mean_pearson"] == pytest.approx(found.per_gene["pearson"].mean())
    assert found.summary["genes"] == 70
    assert (
        found.summary["mean_pearson_low"] < found.summary["mean_pearson"] < found.summary["mean_pearson_high"]
    )
    assert found.summary["mean_pearson_truth"] > found.summary["mean_pearson"]


def test_genes_come_best_first_and_the_undefined_last(simulated, guess):
    flat = guess.table.copy()
    flat.X[:, 5] = 1.0
    found = compare(simulated, replace(guess, table=flat))
    r = found.per_gene["pearson"].to_numpy()
    assert (np.diff(r[:-1]) <= 0).all()
    assert found.per_gene.index[-1] == simulated.genes[5]
    assert found.summary["genes_without_r"] == 1
    assert any("no r" in warning for warning in found.warnings)


def test_order_of_spots_and_genes_does_not_matter(simulated, guess):
    shuffled = replace(guess, table=guess.table[::-1, ::-1].copy())
    one, other = compare(simulated, guess), compare(simulated, shuffled)
    np.testing.assert_allclose(
        one.per_gene["pearson"].sort_index(), other.per_gene["pearson"].sort_index(), atol=1e-9
    )
    assert list(one.section.table.obs_names) == list(other.section.table.obs_names)


def test_grid_tiles_are_matched_by_place(simulated, guess):
    table = guess.table[:-7].copy()
    table.obs_names = [f"r{row}c0" for row in range(table.n_obs)]
    table.obsm["spatial"] = table.obsm["spatial"] + [12.0, -9.0]
    found = compare(simulated, replace(guess, table=table))
    assert found.summary["matched_by"] == "position"
    assert found.summary["spots"] == simulated.table.n_obs - 7
    assert found.summary["spots_without_prediction"] == 7
    kept = compare(simulated, guess).per_gene["pearson"].mean()
    assert found.summary["mean_pearson"] == pytest.approx(kept, abs=0.05)


def test_matching_works_across_resolutions(simulated, guess):
    table = guess.table.copy()
    table.obs_names = [f"t{row}" for row in range(table.n_obs)]
    table.obsm["spatial"] = table.obsm["spatial"] / 2
    found = compare(simulated, replace(guess, table=table, mpp=2.0))
    assert found.summary["spots"] == simulated.table.n_obs


def test_bare_tables_are_enough(simulated, guess):
    found = compare(simulated.table, guess.table)
    assert found.summary["section"] == "S5"
    assert found.section.slide is None
    assert found.section.pitch_um == 100.0


def test_a_table_that_says_nothing_is_measured_by_its_spots(simulated, guess):
    bare = anndata.AnnData(simulated.table.X.copy(), obs=simulated.table.obs, var=simulated.table.var)
    with pytest.raises(TableError, match="no positions"):
        compare(bare, guess)
    bare.obsm["spatial"] = simulated.table.obsm["spatial"]
    assert compare(bare, guess).section.pitch_um == pytest.approx(100.0)


def test_no_common_gene_says_what_each_side_has(simulated, guess):
    table = guess.table.copy()
    table.var_names = [f"ENSG{number:011d}" for number in range(table.n_vars)]
    with pytest.raises(TableError, match=r"EPCAM.*\(80\).*ENSG00000000000.*\(70\)"):
        compare(simulated, replace(guess, table=table))


def test_identifiers_meet_symbols(simulated, guess):
    table = simulated.table[:, ["EPCAM", "KRT8", "KRT18"]].copy()
    table.var_names = ["ENSG00000119888.12", "ENSG00000170421", "ENSG00000999999"]
    found = compare(simulated.with_table(table), guess)
    assert found.genes == ("EPCAM", "KRT8")
    expected = np.asarray(guess.table[:, ["EPCAM", "KRT8"]].X)
    np.testing.assert_array_equal(found.predicted, expected)
    np.testing.assert_array_equal(found.measured > 0, table.X[:, :2].toarray() > 0)


def test_another_section_is_recognised(simulated, guess):
    table = guess.table.copy()
    table.obsm["spatial"] = flip(table.obsm["spatial"]) + 900
    with pytest.raises(TableError, match="another section"):
        compare(simulated, replace(guess, table=table))
    table.obs_names = [f"t{row}" for row in range(table.n_obs)]
    table.obsm["spatial"] = table.obsm["spatial"] + 9000
    with pytest.raises(TableError, match=r"0 of the .* spots of S5 have a prediction"):
        compare(simulated, replace(guess, table=table))


def moved(guess, rows, by, name="t{}"):
    """Some rows of a prediction, called otherwise and moved by µm."""
    table = guess.table[rows].copy()
    table.obs_names = [name.format(row) for row in range(table.n_obs)]
    table.obsm["spatial"] = table.obsm["spatial"] + by / guess.mpp
    return replace(guess, table=table)


def test_a_prediction_of_a_part_is_compared_and_one_of_another_place_is_not(simulated, guess):
    rows = np.flatnonzero(simulated.centres_um[:, 0] < np.percentile(simulated.centres_um[:, 0], 15))
    part = compare(simulated, replace(guess, table=guess.table[rows].copy()))
    assert part.summary["spots"] == len(rows)
    assert compare(simulated, moved(guess, rows, 10.0)).summary["spots"] == len(rows)
    assert any(f"Only {len(rows)} spots" in warning for warning in part.warnings) == (len(rows) < 30)
    far = np.ptp(simulated.centres_um, axis=0).max() - 150.0
    with pytest.raises(
        TableError, match=r"\d+ of the .* of the prediction lies beside them: it is of another"
    ):
        compare(simulated, moved(guess, slice(None), np.array([0.0, far])))
    with pytest.raises(TableError, match="2 of the"):
        compare(simulated, replace(guess, table=guess.table[:2].copy()))


def test_few_shared_names_do_not_hide_shared_places(simulated, guess):
    other = moved(guess, slice(None), 5.0)
    names = other.table.obs_names.to_list()
    other.table.obs_names = [simulated.table.obs_names[-1], *names[1:]]
    found = compare(simulated, other)
    assert (found.summary["matched_by"], found.summary["spots"]) == ("position", simulated.table.n_obs)


def test_swapped_tables_are_recognised(simulated, guess):
    for one, other in ((guess, simulated), (guess, guess), (simulated, simulated)):
        with pytest.raises(TableError, match="prediction second"):
            compare(one, other)


@pytest.mark.parametrize("axis", ["obs", "var"])
def test_repeated_names_are_refused(simulated, guess, axis):
    table = guess.table.copy()
    setattr(table, f"{axis}_names", ["same"] * len(getattr(table, axis)))
    with pytest.raises(TableError, match="twice"):
        compare(simulated, replace(guess, table=table))


def test_values_that_are_no_counts_are_refused(simulated, guess):
    table = simulated.table.copy()
    table.X = table.X * -1.0
    with pytest.raises(TableError, match="negative"):
        compare(simulated.with_table(table), guess)


@pytest.mark.parametrize(
    ("training", "split"),
    [
        ([("S5", "P")], "in training"),
        ([("S4", "P"), ("S1", "Q")], "section out, same patient in training"),
        ([("S1", "Q")], "patient out"),
        ([], "unknown: the prediction does not name its training sections"),
    ],
)
def test_split_is_read_from_the_prediction(simulated, guess, training, split):
    entries = [{"section": section, "patient": patient} for section, patient in training]
    found = compare(simulated, told(guess, training=entries))
    assert found.summary["split"] == split
    assert split in SPLIT_MEANING
    assert any("trained on" in warning for warning in found.warnings) == (split == "in training")


def test_split_where_the_patient_is_unknown(simulated, guess):
    found = compare(replace(simulated, patient="S5"), guess)
    assert found.summary["split"] == "section out, patient unknown"


def test_top_genes_follow_the_panel_where_it_is_known(simulated, guess):
    order = list(guess.table.var_names[::-1])
    found = compare(simulated, told(guess, genes=order))
    assert set(found.per_gene.index[found.per_gene["top50"]]) == set(order[:50])
    assert "panel" in found.summary["top50_by"]
    columns = compare(simulated, told(guess, genes=[]))
    assert set(columns.per_gene.index[columns.per_gene["top50"]]) == set(guess.genes[:50])
    blind = compare(simulated, told(guess, genes=[], sha256=""))
    variance = blind.per_gene["variance"]
    assert variance[blind.per_gene["top50"]].min() >= variance[~blind.per_gene["top50"]].max()
    assert "measured section" in blind.summary["top50_by"]


def test_json_is_plain(simulated, guess):
    table = guess.table.copy()
    table.X[:, 0] = 2.0
    content = json.loads(compare(simulated, replace(guess, table=table)).to_json())
    assert content["per_gene"][-1]["pearson"] is None
    assert content["settings"]["training_patients"] == ["Q", "R"]
    assert content["panel"].startswith("70 most variable")


def test_pooled_over_sections(simulated, guess):
    one = compare(simulated, guess)
    assert pooled([one]).over == "genes"
    both = pooled([one, one, one])
    assert both.over == "sections"
    assert both.mean == pytest.approx(one.summary["mean_pearson"])
