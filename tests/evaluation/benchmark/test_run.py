from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from histoscribe.errors import SettingError
from histoscribe.evaluation.benchmark import methods, run, run_benchmark
from histoscribe.evaluation.benchmark.methods import predict_with
from histoscribe.predictor import EncodedSection, Predictor, choose_panel

CHEAP = ["mean", "ridge"]


@pytest.fixture(scope="module")
def cohort() -> list[EncodedSection]:
    """Four sections of two patients; ten of fourteen genes follow the first descriptor."""
    random = np.random.default_rng(5)

    def make(name: str, patient: str) -> EncodedSection:
        rows, columns = np.divmod(np.arange(80), 10)
        driver = np.sin(rows / 2) + 0.2 * random.normal(size=80)
        features = np.column_stack([driver, random.normal(size=(80, 3))]).astype(np.float32)
        loadings = np.r_[np.linspace(0.4, 1, 5), -np.linspace(0.4, 1, 5), np.zeros(4)]
        counts = random.poisson(np.exp(2 + driver[:, None] * loadings))
        genes = [f"g{number}" for number in range(14)]
        return EncodedSection(
            name, patient, features, np.column_stack([rows, columns]) * 100.0, 100.0, counts, genes
        )

    return [make("a1", "a"), make("a2", "a"), make("b1", "b"), make("b2", "b")]


def value(outcome: dict, method: str, measure: str = "pearson", fold: str = "all") -> float:
    found = [
        record["value"]
        for record in outcome["records"]
        if (record["method"], record["measure"], record["fold"]) == (method, measure, fold)
    ]
    assert len(found) == 1
    return found[0]


def test_every_section_is_scored_once_and_all_is_their_mean(cohort: list[EncodedSection]):
    outcome = run_benchmark(cohort, dataset="made", methods=CHEAP, panel_size=8)
    each = [value(outcome, "ridge", fold=section.name) for section in cohort]
    assert value(outcome, "ridge") == pytest.approx(np.mean(each))
    assert value(outcome, "ridge") > 0.4
    assert value(outcome, "mean") == 0


@pytest.mark.parametrize("split", ["section", "patient"])
def test_records_name_their_split_and_carry_intervals(cohort: list[EncodedSection], split):
    outcome = run_benchmark(cohort, dataset="made", split=split, methods=CHEAP, panel_size=8)
    assert {record["split"] for record in outcome["records"]} == {split}
    assert outcome["settings"]["split"] == split
    assert all(record["low"] <= record["value"] <= record["high"] for record in outcome["records"])


def test_the_permuted_control_finds_nothing(cohort: list[EncodedSection]):
    outcome = run_benchmark(cohort, dataset="made", methods=["ridge"], panel_size=8)
    assert abs(value(outcome, "permuted control")) < 0.1 < value(outcome, "ridge")


def test_the_panel_of_a_fold_does_not_see_the_held_out_section(
    cohort: list[EncodedSection], monkeypatch: pytest.MonkeyPatch
):
    """A gene that varies in one section alone enters the panels of all folds but its own."""
    loud = cohort[0].counts.copy()
    loud[:, 13] = np.where(np.arange(80) % 2, 400, 0)
    panels = {}

    def spy(name, train, test, panel, **settings):
        panels[test.name] = list(panel)
        return np.zeros((len(test.spots), len(panel)), dtype=np.float32)

    monkeypatch.setattr(run, "predict_with", spy)
    run_benchmark(
        [replace(cohort[0], counts=loud), *cohort[1:]], dataset="made", methods=["mean"], panel_size=3
    )
    assert {name for name, panel in panels.items() if "g13" in panel} == {"a2", "b1", "b2"}


def test_an_unknown_method_names_the_known_ones(cohort: list[EncodedSection]):
    with pytest.raises(SettingError, match="histoscribe"):
        run_benchmark(cohort, dataset="made", methods=["magic"])


def test_ours_predicts_the_asked_panel_in_its_order(
    cohort: list[EncodedSection], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(methods, "Predictor", partial(Predictor, epochs=2))
    panel = choose_panel(cohort[:3], 6)[::-1]
    predicted = predict_with("gr2st-published", cohort[:3], cohort[3], panel, panel_size=6, seed=0)
    assert predicted.shape == (80, 6)
    assert (predicted >= 0).all()
