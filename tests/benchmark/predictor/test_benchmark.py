from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from histoscribe.benchmark import engine, methods_of, run_benchmark
from histoscribe.benchmark.predictor import GenePanel, HeldOutSections, Prediction, predictor_benchmark
from histoscribe.benchmark.predictor.methods import histoscribe
from histoscribe.errors import SettingError
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


def run(sections: list[EncodedSection], *, ledger: Path | None = None, **settings) -> dict:
    settings = {"dataset": "made", "methods": CHEAP, "panel": GenePanel(8), **settings}
    return run_benchmark(predictor_benchmark(sections, **settings), ledger=ledger)


def value(outcome: dict, method: str, measure: str = "pearson", fold: str = "all") -> float:
    found = [
        record["value"]
        for record in outcome["records"]
        if (record["method"], record["measure"], record["fold"]) == (method, measure, fold)
    ]
    assert len(found) == 1
    return found[0]


def test_every_section_is_scored_once_and_all_is_their_mean(cohort: list[EncodedSection]):
    outcome = run(cohort)
    each = [value(outcome, "ridge", fold=section.name) for section in cohort]
    assert value(outcome, "ridge") == pytest.approx(np.mean(each))
    assert value(outcome, "ridge") > 0.4
    assert value(outcome, "mean") == 0


@pytest.mark.parametrize("split", ["section", "patient"])
def test_records_name_their_split_and_carry_intervals(cohort: list[EncodedSection], split):
    outcome = run(cohort, split=split)
    assert {record["split"] for record in outcome["records"]} == {split}
    assert outcome["settings"]["split"] == split
    assert all(record["low"] <= record["value"] <= record["high"] for record in outcome["records"])


def test_the_permuted_control_finds_nothing(cohort: list[EncodedSection]):
    outcome = run(cohort, methods=["ridge"])
    assert abs(value(outcome, "permuted control")) < 0.1 < value(outcome, "ridge")


def test_the_control_is_that_of_the_last_method(cohort: list[EncodedSection]):
    alone, both = run(cohort, methods=["mean"]), run(cohort, methods=["ridge", "mean"])
    assert value(alone, "permuted control") == value(both, "permuted control") == 0


def test_the_panel_of_a_fold_does_not_see_the_held_out_section(
    cohort: list[EncodedSection], monkeypatch: pytest.MonkeyPatch
):
    """A gene that varies in one section alone enters the panels of all folds but its own."""
    loud = cohort[0].counts.copy()
    loud[:, 13] = np.where(np.arange(80) % 2, 400, 0)
    panels = {}

    def spy(fold: HeldOutSections, seed: int) -> list[Prediction]:
        panels[fold.tests[0].name] = list(fold.panel)
        shapes = [(len(test.spots), len(fold.panel)) for test in fold.tests]
        return [Prediction(np.zeros(shape, dtype=np.float32)) for shape in shapes]

    benchmark = predictor_benchmark(
        [replace(cohort[0], counts=loud), *cohort[1:]], dataset="made", methods=["mean"], panel=GenePanel(3)
    )
    run_benchmark(replace(benchmark, methods=[replace(benchmark.methods[0], learn=spy)]))
    assert {name for name, panel in panels.items() if "g13" in panel} == {"a2", "b1", "b2"}


def test_an_unknown_method_names_the_known_ones(cohort: list[EncodedSection]):
    with pytest.raises(SettingError, match="histoscribe without PART"):
        run(cohort, methods=["magic"])


def test_ours_predicts_the_asked_panel_in_its_order(
    cohort: list[EncodedSection], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(histoscribe, "Predictor", partial(Predictor, epochs=2))
    panel = choose_panel(cohort[:3], 6)[::-1]
    fold = HeldOutSections(cohort[:3], cohort[3:], panel)
    (predicted,) = methods_of("predictor")["gr2st-published"].learn(fold, 0)
    assert predicted.expression.shape == (80, 6)
    assert (predicted.expression >= 0).all()
    assert predicted.low is None


def test_a_stopped_run_goes_on_where_it_was(
    cohort: list[EncodedSection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ledger = tmp_path / "scores.jsonl"
    first = run(cohort, ledger=ledger)
    lines = ledger.read_text().splitlines()
    assert len(lines) == 8
    ledger.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:50])  # stopped while writing
    asked = []
    score = engine._timed

    def counted(benchmark, name, opened, method):
        asked.append(method.name)
        return score(benchmark, name, opened, method)

    monkeypatch.setattr(engine, "_timed", counted)
    assert run(cohort, ledger=ledger)["records"] == first["records"]
    assert asked == ["ridge"]
    assert run(cohort, ledger=ledger)["records"] == first["records"]
    assert asked == ["ridge"]
    run([replace(cohort[0], counts=cohort[0].counts + 1), *cohort[1:]], ledger=ledger)
    assert len(asked) == 9


def test_a_given_panel_that_saw_the_test_section_is_refused(cohort: list[EncodedSection]):
    given = GenePanel(genes=("g1", "g2", "g3"), chosen_on=("a1",))
    with pytest.raises(SettingError, match="chosen with a1"):
        run(cohort, methods=["mean"], panel=given)
    outcome = run(cohort, methods=["mean"], panel=GenePanel(genes=("g1", "g2")))
    assert "not stated" in outcome["settings"]["panel"]


def test_the_published_target_lets_depth_leak(cohort: list[EncodedSection]):
    deep = [
        replace(section, counts=np.random.default_rng(1).poisson(section.counts * depth[:, None]))
        for section, depth in (
            (section, np.random.default_rng(number).uniform(0.3, 3, 80))
            for number, section in enumerate(cohort)
        )
    ]
    clean, published = (run(deep, methods=["depth-only"], target=name) for name in ("clean", "published"))
    assert value(published, "depth-only") > value(clean, "depth-only") + 0.3
    assert "NOT clean" in published["settings"]["target"]


def test_better_methods_win_the_paired_test(cohort: list[EncodedSection], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "REFERENCE", "ridge")
    (pair,) = run(cohort)["paired"]
    assert (pair["method"], pair["other"]) == ("ridge", "mean")
    assert pair["low"] > 0
    assert pair["p_sections"] == pytest.approx(2 / 16)
    assert pair["p_genes"] < 0.05


def test_methods_without_their_input_are_refused(cohort: list[EncodedSection]):
    with pytest.raises(SettingError, match="learns from pixels"):
        run(cohort, methods=["brstnet"])
    names = [method.name for method in predictor_benchmark(cohort, dataset="made").methods]
    assert "brstnet" not in names
    assert names[-1] == "histoscribe"


def test_the_ablation_names_its_parts(cohort: list[EncodedSection], monkeypatch: pytest.MonkeyPatch):
    asked = []

    class Spy(Predictor):
        def __init__(self, **settings):
            asked.append(settings)
            super().__init__(**settings, epochs=1, members=1)

    monkeypatch.setattr(histoscribe, "Predictor", Spy)
    outcome = run(cohort, methods=["histoscribe without linear"], folds=["b2"])
    assert asked[0]["without"] == ("linear",)
    assert outcome["settings"]["tested"] == ["b2"]
    assert 0 <= value(outcome, "histoscribe without linear", "coverage") <= 1
