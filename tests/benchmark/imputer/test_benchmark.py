"""The imputer's benchmark: what is hidden, what the baselines do, classes, survival, spots."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from histoscribe.benchmark import Benchmark, methods_of, run_benchmark
from histoscribe.benchmark.imputer import hold_section, imputer_benchmark, spots, survival
from histoscribe.benchmark.imputer.benchmark import score_classes
from histoscribe.benchmark.imputer.heldout import hold_out, masks, score
from histoscribe.benchmark.imputer.methods import baselines
from histoscribe.bulk import BulkTable, as_table
from histoscribe.errors import HistoscribeError, TableError
from histoscribe.progress import Progress

pytestmark = pytest.mark.slow


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


BASELINES = {**methods_of("imputer random"), **methods_of("imputer panels")}


@pytest.mark.parametrize("method", [name for name in BASELINES if name != "histoscribe"])
def test_baselines_restore_and_none_sees_what_is_hidden(method: str) -> None:
    held = hold_out(make_bulk(), 1)
    seen = np.broadcast_to(np.arange(80) < 50, held.truth.shape)
    restore = BASELINES[method].learn(held)
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
    methods = methods_of("imputer classes")
    for method in methods.values():
        (figure,) = score_classes(bulk, method, 1).values()
        assert figure[0] > 0.8
    bare = BulkTable("x", bulk.table[:, :].copy(), "log2", "symbol")
    del bare.table.obs["class"]
    with pytest.raises(HistoscribeError, match="names no classes"):
        score_classes(bare, methods["histoscribe"], 1)
    asked: list[str] = []
    known = bulk.table.obs["class"].astype(object)
    bulk.table.obs["class"] = known.where(np.arange(len(known)) >= 9, None)
    told = SimpleNamespace(
        learn=lambda _, __, one: asked.extend(one.table.obs_names) or one.table.obs["class"]
    )
    assert [figure[0] for figure in score_classes(bulk, told, 1).values()] == [1]
    assert sorted(asked) == sorted(known.index[9:])


def test_the_score_statistic_agrees_with_cox() -> None:
    from lifelines import CoxPHFitter

    table = make_bulk().table
    time, event = (table.obs[name].to_numpy(dtype=float) for name in ("time", "event"))
    found = survival.score_statistics(np.asarray(table.X[:, :8], dtype=float), time, event)
    for place in range(8):
        frame = pd.DataFrame({"x": table.X[:, place], "time": time, "event": event})
        z = CoxPHFitter().fit(frame, "time", "event").summary["z"].iloc[0]
        assert np.sign(z) == np.sign(found[place])
        assert abs(z - found[place]) < 0.25 * max(abs(z), 1)


def test_higher_risk_is_worse() -> None:
    time, event = np.arange(1.0, 41), np.ones(40)
    assert survival.concordance(time, event, -time)[0] == 1
    assert survival.concordance(time, event, time)[0] == 0


@pytest.fixture(scope="module")
def small_survival() -> dict[str, dict[str, tuple[float, float, float]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survival, "PANELS", (12,))
        patch.setattr(survival, "_PENALTIES", (0.3,))
        patch.setattr(survival, "_FOLDS", 3)
        bulk = make_bulk(samples=120, genes=40)
        bulk.table.obs["class"] = "a"
        with pytest.raises(TableError, match="p0 has several samples"):
            survival.patients_in(bulk, 1, Progress())
        del bulk.table.obs["patient"]
        patients = survival.patients_in(bulk, 1, Progress())
        return {
            name: survival.score_survival(patients, method)
            for name, method in methods_of("imputer survival").items()
        }


def test_survival_is_told_by_all_methods(
    small_survival: dict[str, dict[str, tuple[float, float, float]]],
) -> None:
    assert len(small_survival) == 4
    for name, figures in small_survival.items():
        ((measure, (value, low, high)),) = figures.items()
        assert measure == f"C-index a, {40 if name == 'PCA of all genes' else 12} genes"
        assert low <= value <= high
        assert value > 0.6


def test_spots_of_a_held_out_section_are_restored() -> None:
    from histoscribe.simulate import simulate_section

    sections = [simulate_section(seed, genes=60, size_um=1000) for seed in (1, 2, 3)]
    held = hold_section(sections, sections[2].name, genes=60, hidden=20, seed=1)
    assert held.hidden.sum() == 20
    methods = methods_of("imputer spots")
    best = {
        name: spots.score_spots(held, methods[name])["gene r"][0]
        for name in ("gene mean", "KNN", "conditional Gaussian")
    }
    assert best["gene mean"] == 0
    assert best["conditional Gaussian"] > best["KNN"] > 0.1


def test_unknown_tasks_and_methods_are_named() -> None:
    for task, methods in (("magic", ()), ("random", ("magic",))):
        with pytest.raises(HistoscribeError, match="magic"):
            imputer_benchmark(task, make_bulk(), seeds=(1,), methods=methods)


def test_a_run_scores_every_seed_and_says_what_it_did() -> None:
    benchmark = imputer_benchmark(
        "panels", make_bulk(), seeds=(1, 2), methods=("gene mean", "conditional Gaussian")
    )
    outcome = run_benchmark(benchmark)
    assert outcome["settings"]["seeds"] == [1, 2]
    assert outcome["settings"]["methods"] == ["gene mean", "conditional Gaussian"]
    rmse = {
        (one["method"], one["fold"]): one["value"]
        for one in outcome["records"]
        if one["measure"] == "RMSE, 64 genes observed"
    }
    assert set(rmse) == {
        (method, fold) for method in benchmark_names(benchmark) for fold in ("seed 1", "seed 2", "all")
    }
    assert rmse["conditional Gaussian", "all"] < rmse["gene mean", "all"]


def benchmark_names(benchmark: Benchmark) -> list[str]:
    return [method.name for method in benchmark.methods]


@pytest.mark.parametrize("task", ["random", "classes"])
def test_other_data_and_other_genes_are_never_taken_for_these(task: str) -> None:
    one = imputer_benchmark(task, make_bulk(), seeds=(1,)).about
    assert imputer_benchmark(task, make_bulk(), seeds=(2,)).about == one
    assert imputer_benchmark(task, make_bulk(seed=1), seeds=(1,)).about != one
    assert imputer_benchmark(task, make_bulk(), seeds=(1,), genes=30).about != one
    renamed = make_bulk()
    renamed.table.obs["class"] = "a"
    assert imputer_benchmark(task, renamed, seeds=(1,)).about != one


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"time": [3.0] * 60, "event": [1] * 9 + [0] * 51}, "9 events of all are too few"),
        ({"time": [3.0] * 60, "event": [0] * 60}, "0 events of all are too few"),
        ({"time": [-1.0] * 60, "event": [1] * 60}, "0 events of all are too few"),
        ({"time": ["long"] * 60, "event": [1] * 60}, "times or events are no numbers"),
        ({"time": [3.0] * 60}, "no column event; name them"),
    ],
)
def test_survival_that_cannot_be_scored_is_refused(columns: dict[str, list[object]], words: str) -> None:
    table = AnnData(
        np.ones((60, survival.PANELS[-1]), np.float32), obs=pd.DataFrame(columns, index=map(str, range(60)))
    )
    with pytest.raises(HistoscribeError, match=words):
        survival.patients_in(BulkTable("t", table, "log2", "symbol"), 0, Progress())
    narrow = BulkTable("t", table[:, :20].copy(), "log2", "symbol")
    if "event" in columns and columns["time"][0] != "long":
        with pytest.raises(HistoscribeError, match="20 genes, and survival is asked of up to"):
            survival.patients_in(narrow, 0, Progress())
