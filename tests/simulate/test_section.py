from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from histoscribe.errors import Cancelled, SettingError
from histoscribe.evaluation.measures import pearson_per_gene
from histoscribe.predictor.target import log_cp10k
from histoscribe.progress import Progress
from histoscribe.simulate import simulate_section
from histoscribe.simulate.genes import PROGRAMMES, plan_genes
from histoscribe.simulate.section import barcode


def test_section_has_what_it_promises(simulated):
    table = simulated.table
    assert table.X.dtype == np.float32
    assert table.X.format == "csr"
    assert (table.X.data == np.round(table.X.data)).all()
    assert table.obs["in_tissue"].all()
    assert table.obs_names.is_unique
    assert table.var_names.is_unique
    assert table.layers["truth"].shape == table.shape
    np.testing.assert_allclose(table.obsm["regions"].sum(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(np.expm1(table.layers["truth"]).sum(axis=1), 1e4, rtol=1e-3)
    assert simulated.slide.mpp == simulated.mpp == 1.0
    assert simulated.slide.shape == (1400, 1400)


def test_spots_form_visium_s_lattice(simulated):
    centres = simulated.centres_um
    distance, _ = cKDTree(centres).query(centres, k=2)
    np.testing.assert_allclose(distance[:, 1], 100.0, atol=1e-6)
    obs = simulated.table.obs
    assert ((obs["array_row"] + obs["array_col"]) % 2 == 0).all()
    assert (centres >= 0).all()
    assert (centres <= 1400).all()


def test_same_seed_gives_the_same_section(simulated):
    again = simulate_section(5, name="S5", patient="P", genes=80, size_um=1400.0)
    assert (again.table.X != simulated.table.X).nnz == 0
    np.testing.assert_array_equal(
        again.slide.levels[0].pixels[:300, :300], simulated.slide.levels[0].pixels[:300, :300]
    )


def test_counts_carry_the_truth_and_noise_genes_carry_none(simulated):
    table = simulated.table
    r = pearson_per_gene(table.layers["truth"], log_cp10k(table.X).toarray())
    programme = table.var["programme"].to_numpy()
    assert np.nanmean(r[programme == "tumour"]) > 0.4
    assert np.nanmean(r[programme == "fibroblast"]) > 0.4
    assert abs(np.nanmean(r[programme == "noise"])) < 0.3
    tumour = table.obsm["regions"][:, table.uns["regions"].index("tumour")]
    mean = table.layers["truth"][:, programme == "tumour"].mean(axis=1)
    assert np.corrcoef(tumour, mean)[0, 1] > 0.6


def test_patients_differ_and_share_genes():
    plan = plan_genes(100)
    one, other = plan.for_patient("a"), plan.for_patient("b")
    assert one.names == other.names
    assert not np.allclose(one.loading, other.loading)
    np.testing.assert_array_equal(one.loading, plan.for_patient("a").loading)


@pytest.mark.parametrize("count", [len(PROGRAMMES), 37, 300, 1000])
def test_any_number_of_genes_has_all_programmes(count):
    plan = plan_genes(count)
    assert len(set(plan.names)) == count
    assert set(plan.programme) == set(range(len(PROGRAMMES)))


@pytest.mark.parametrize(
    "settings", [{"size_um": 100}, {"mpp": 0}, {"depth": 0}, {"genes": 3}, {"size_um": float("nan")}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(SettingError, match=r"cannot simulate|too few"):
        simulate_section(0, **settings)


def test_cancelling_stops_it():
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        simulate_section(0, size_um=600.0, progress=progress)


def test_barcodes_are_unique_over_a_whole_slide():
    names = {barcode(row, column) for row in range(78) for column in range(128)}
    assert len(names) == 78 * 128
    assert all(len(name) == 18 and set(name[:16]) <= set("ACGT") for name in names)
