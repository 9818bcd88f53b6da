"""Planted programmes are found with their hazards, on samples and on tissue; bad input ends in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from histoscribe.bulk import as_table
from histoscribe.errors import ModelError, SettingError, TableError
from histoscribe.programmes import Programmes
from histoscribe.programmes.choosing import draw_folds
from histoscribe.programmes.describing import share_by_region
from histoscribe.programmes.factors import GeneScaling, factorise, matched, project
from histoscribe.simulate import simulate_section


@pytest.fixture(scope="module")
def learned(plant: Callable[..., AnnData]) -> Programmes:
    return Programmes(number=6, seed=0).fit(plant(), survival=("time", "event"))


def test_planted_programmes_are_recovered_with_the_sign_of_their_hazard(
    learned: Programmes, plant: Callable[..., AnnData]
) -> None:
    new = plant(7)
    shares = np.asarray(learned.project(new).layers["share"])
    r = np.corrcoef(shares.T, new.obsm["truth"].T)[:6, 6:]
    assert r.max(0).min() >= 0.85  # tumour, T cells, fibroblasts, hypoxia, division
    table = learned.table
    hypoxia, t_cells = table.iloc[r[:, 3].argmax()], table.iloc[r[:, 1].argmax()]
    assert hypoxia["low"] > 1
    assert t_cells["high"] < 1
    assert t_cells["gene_set"] == "T_CELLS"
    assert (table[["over_seeds", "over_folds"]] > 0.9).all(axis=None)
    assert table["share"].sum() == pytest.approx(1)


def test_risk_ranks_new_samples_and_holds_where_genes_lack(learned: Programmes, plant: Callable) -> None:
    from histoscribe.programmes.choosing import _concordance
    from histoscribe.programmes.cox import survival_in

    new = plant(8)
    truth = survival_in(as_table(new, name="new", scale="counts"))
    told = learned.project(new).obs["log_hazard"].to_numpy()
    fewer = learned.project(new[:, ::2].copy()).obs["log_hazard"].to_numpy()
    assert _concordance(truth, told) > 0.68
    assert np.corrcoef(told, fewer)[0, 1] > 0.8
    assert abs(told.mean()) < 0.5


def test_programmes_without_survival_tell_no_risk(
    learned: Programmes, plant: Callable, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    from histoscribe.models import save_model

    learned.save(tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "weights.safetensors")
    card = learned.card
    settings = {name: value for name, value in card.settings.items() if name != "risk_genes"}
    old = {name: value for name, value in tensors.items() if not name.startswith("risk_")}
    save_model(tmp_path / "old", old, replace(card, settings=settings))
    found = Programmes.load(tmp_path / "old").project(plant(3, samples=30))
    assert "log_hazard" not in found.obs


def test_a_number_is_chosen_without_survival(plant: Callable[..., AnnData]) -> None:
    found = Programmes().fit(plant(1, samples=80))
    assert 4 <= len(found.table) <= 8
    assert "hazard" not in found.table
    assert found.card.settings["events"] is None


def test_saved_programmes_answer_as_before(learned: Programmes, tmp_path: Path, plant: Callable) -> None:
    learned.save(tmp_path / "model")
    again = Programmes.load(tmp_path / "model")
    one, two = (model.project(plant(3, samples=30)) for model in (learned, again))
    assert np.allclose(one.X, two.X, atol=1e-2)
    assert np.allclose(one.obs["log_hazard"], two.obs["log_hazard"], atol=1e-2)
    assert again.table.equals(learned.table)
    with pytest.raises(ModelError, match="learned nothing"):
        _ = Programmes().table


def test_programmes_of_a_cohort_lie_on_tissue_where_they_are(learned: Programmes) -> None:
    section = simulate_section(2, genes=200, size_um=1500)
    found = learned.project(section)
    assert found.uns["adapted"]
    assert "spatial" in found.obsm
    low, share, high = (found.layers[name] for name in ("low", "share", "high"))
    assert ((low <= share + 1e-6) & (share <= high + 1e-6)).all()
    names = list(section.table.uns["programmes"])
    tumour = section.table.obsm["programmes"][:, names.index("tumour")]
    best = max(np.corrcoef(column, tumour)[0, 1] for column in share.T)
    assert best > 0.6
    labels = np.where(tumour > np.median(tumour), "tumour", "")
    regions = share_by_region(found, labels).set_index(["region", "programme"])["share"]
    assert regions.groupby("region").sum().to_numpy() == pytest.approx(1, abs=1e-3)
    place = found.var_names[int(np.argmax([np.corrcoef(column, tumour)[0, 1] for column in share.T]))]
    assert regions["tumour", place] > regions["outside", place]


def test_projection_finds_what_was_mixed_and_survival_bends_loadings(plant: Callable[..., AnnData]) -> None:
    random = np.random.default_rng(0)
    loadings, truth = random.random((3, 40)), random.random((10, 3))
    truth[0, 1] = 0
    assert project(truth @ loadings, loadings) == pytest.approx(truth, abs=1e-3)
    partner, alike = matched(loadings, loadings[[2, 0, 1]])
    assert partner.tolist() == [1, 2, 0]
    assert alike == pytest.approx(1)
    table = plant(2, samples=60)
    x = GeneScaling.of(np.sqrt(table.X)).apply(np.sqrt(table.X))
    from histoscribe.programmes.cox import partial_likelihood, ridge_cox, survival_in

    survival = survival_in(as_table(table))
    reached = []
    for weight in (0.0, 0.03):
        found = factorise(x, 4, seed=0, survival=survival, weight=weight).activities
        z = (found - found.mean(0)) / found.std(0)
        reached.append(partial_likelihood(z @ ridge_cox(z, survival, 0.01), survival)[0])
    assert reached[1] > reached[0]


def test_patients_are_never_split() -> None:
    owners = [f"p{number // 3}" for number in range(60)]
    fold = draw_folds(owners, None, 5, 0)
    assert all(len(set(fold[3 * p : 3 * p + 3])) == 1 for p in range(20))
    assert np.bincount(fold).tolist() == [12] * 5


def test_bad_input_ends_in_a_sentence(plant: Callable[..., AnnData], learned: Programmes) -> None:
    table = plant(0, samples=40)
    table.obs["none"] = 0
    with pytest.raises(TableError, match="no event came, and hazards take at least 10"):
        Programmes().fit(table, survival=("time", "none"))
    with pytest.raises(TableError, match="no column DSS"):
        Programmes().fit(table, survival=("time", "DSS"))
    with pytest.raises(TableError, match="8 patients are too few for 5 folds"):
        Programmes().fit(table[:8])
    with pytest.raises(TableError, match="4 of its genes vary"):
        Programmes().fit(table[:, :4].copy())
    centred = AnnData(np.random.default_rng(0).normal(size=(40, 50)), var=table.var[:50])
    with pytest.raises(TableError, match="centred"):
        Programmes().fit(centred)
    with pytest.raises(TableError, match="0 of the programmes' 200 genes"):
        learned.project(AnnData(table.X, var=table.var.set_axis([f"X{n}" for n in range(200)])))
    with pytest.raises(SettingError, match="number is 1"):
        Programmes(number=1)
