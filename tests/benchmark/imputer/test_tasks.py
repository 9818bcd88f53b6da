"""The imputer's benchmark: what is hidden, what the baselines do, classes, survival, spots."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from histoscribe.benchmark.imputer import (
    METHODS,
    Plan,
    baselines,
    classifying,
    gather,
    run_imputer_benchmark,
    spots,
    surviving,
)
from histoscribe.benchmark.imputer.holdout import hold_out
from histoscribe.benchmark.imputer.missing import masks
from histoscribe.benchmark.imputer.scores import score
from histoscribe.bulk import BulkTable, as_table
from histoscribe.errors import HistoscribeError
from histoscribe.progress import Progress


def make_bulk(samples: int = 160, genes: int = 80, seed: int = 0) -> BulkTable:
    """Two samples per patient, three classes, survival that follows the first factor."""
    random = np.random.default_rng(seed)
    kind = np.repeat(random.integers(0, 3, samples // 2), 2)
    factors = random.normal(size=(samples, 4))
    loadings, means = random.normal(size=(4, genes)), random.normal(8, 1, (3, genes))
    values = means[kind] + factors @ loadings + random.normal(0, 0.4, (samples, genes))
    obs = pd.DataFrame(
        {
            "patient": [f"p{i // 2}" for i in range(samples)],
            "class": np.array(["a", "b", "c"])[kind],
            "time": np.exp(3 - factors[:, 0] + random.normal(0, 0.3, samples)),
            "event": (random.random(samples) < 0.7).astype(float),
        },
        index=[f"s{i}" for i in range(samples)],
    )
    table = AnnData(
        values.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"G{i}X" for i in range(genes)])
    )
    return as_table(table, scale="log2")


def test_patients_are_never_split() -> None:
    held = hold_out(make_bulk(), 1, genes=30)
    owner = held.bulk.table.obs["patient"].to_numpy()
    assert not set(owner[held.test]) & set(owner[~held.test])
    assert held.truth.shape[1] == 30
    assert abs(held.train.mean()) < 1e-3


@pytest.mark.parametrize("kind", ["random", "low", "panels"])
def test_masks_hide_what_they_say(kind: str) -> None:
    held = hold_out(make_bulk(), 1)
    for label, seen in masks(kind, held):
        if kind == "panels":
            assert (seen == seen[0]).all()
            assert seen[0].sum() == int(label.split()[0].replace(",", ""))
        else:
            assert abs((~seen).mean() - int(label.split("%")[0]) / 100) < 0.06
    if kind == "low":
        assert held.truth[seen].mean() > held.truth[~seen].mean()


@pytest.mark.parametrize("method", [name for name in baselines.METHODS if name != "histoscribe"])
def test_baselines_restore_and_none_sees_what_is_hidden(method: str) -> None:
    held = hold_out(make_bulk(), 1)
    seen = np.broadcast_to(np.arange(80) < 50, held.truth.shape)
    restore = baselines.METHODS[method](held)
    figures = score(held, restore, seen)
    assert figures["RMSE"][1] <= figures["RMSE"][0] <= figures["RMSE"][2]
    if method == "gene mean":
        assert figures["gene r"][0] == 0
    else:
        assert figures["RMSE"][0] < score(held, baselines.gene_mean(held), seen)["RMSE"][0]


def test_the_exact_gaussian_knows_how_wrong_it_is() -> None:
    held = hold_out(make_bulk(samples=400), 1)
    _, seen = next(masks("random", held))
    assert 0.8 < score(held, baselines.conditional_gaussian(held), seen)["cover 90"][0] <= 1


def test_classes_are_told_from_few_genes() -> None:
    bulk = make_bulk()
    for method in classifying.METHODS:
        (figure,) = classifying.classifying(bulk, method, 1).values()
        assert figure[0] > 0.8
    bare = BulkTable("x", bulk.table[:, :].copy(), "log2", "symbol")
    del bare.table.obs["class"]
    with pytest.raises(HistoscribeError, match="names no classes"):
        classifying.classifying(bare, "histoscribe", 1)


def test_the_score_statistic_agrees_with_cox() -> None:
    from lifelines import CoxPHFitter

    table = make_bulk().table
    time, event = (table.obs[name].to_numpy(dtype=float) for name in ("time", "event"))
    found = surviving.score_statistics(np.asarray(table.X[:, :8], dtype=float), time, event)
    for place in range(8):
        frame = pd.DataFrame({"x": table.X[:, place], "time": time, "event": event})
        z = CoxPHFitter().fit(frame, "time", "event").summary["z"].iloc[0]
        assert np.sign(z) == np.sign(found[place])
        assert abs(z - found[place]) < 0.25 * max(abs(z), 1)


def test_higher_risk_is_worse() -> None:
    time, event = np.arange(1.0, 41), np.ones(40)
    assert surviving.concordance(time, event, -time)[0] == 1
    assert surviving.concordance(time, event, time)[0] == 0


@pytest.fixture(scope="module")
def small_survival() -> dict[str, dict[str, tuple[float, float, float]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surviving, "PANELS", (12,))
        patch.setattr(surviving, "_PENALTIES", (0.3,))
        patch.setattr(surviving, "_FOLDS", 3)
        bulk = make_bulk(samples=120, genes=40)
        bulk.table.obs["class"] = "a"
        return surviving.surviving(bulk, 1, Progress())


def test_survival_is_told_by_all_methods(
    small_survival: dict[str, dict[str, tuple[float, float, float]]],
) -> None:
    assert set(small_survival) == set(surviving.METHODS)
    for figures in small_survival.values():
        ((value, low, high),) = figures.values()
        assert low <= value <= high
        assert value > 0.6


def test_spots_of_a_held_out_section_are_restored() -> None:
    from histoscribe.simulate import simulate_section

    sections = [simulate_section(seed, genes=60, size_um=1000) for seed in (1, 2, 3)]
    found = gather(sections, sections[2].name, genes=60, hidden=20, seed=1)
    assert len(found.hidden) == 20
    best = {
        method: spots.restoring_spots(found, method, 1, None, Progress())["gene r"][0]
        for method in ("gene mean", "KNN", "conditional Gaussian")
    }
    assert best["gene mean"] == 0
    assert best["conditional Gaussian"] > best["KNN"] > 0.1


def test_unknown_tasks_and_methods_are_named() -> None:
    assert set(METHODS) == {"random", "low", "panels", "classes", "survival", "spots"}
    for plan in (Plan("magic", None, "x", (1,)), Plan("random", make_bulk(), "x", (1,), ("magic",))):
        with pytest.raises(HistoscribeError, match="magic"):
            run_imputer_benchmark(plan)
