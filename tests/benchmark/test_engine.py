"""The engine: means over folds, which folds are opened, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from histoscribe.benchmark.engine import Benchmark, mean_over, run_benchmark, summed_up
from histoscribe.benchmark.ledger import Score
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.tables import TableLayout
from histoscribe.errors import Cancelled
from histoscribe.progress import Progress


def made(opened: list[str], values: dict[str, dict[str, float]]) -> Benchmark:
    """A benchmark whose methods' scores are given by fold."""

    def open_fold(name: str) -> str:
        opened.append(name)
        return name

    def score(name, fold, method):
        assert fold == name
        number = values[method.name][name]
        yield Score(method.name, "made", "patient", name, "RMSE", number, number, number)

    return Benchmark(
        kind="imputer random",
        folds={name: lambda name=name: open_fold(name) for name in ("a", "b")},
        methods=[Method(name, ("imputer random",), print) for name in values],
        score=score,
        over="seeds",
        about={},
        code=("histoscribe.benchmark.engine",),
        layout=TableLayout(headline="RMSE", lower=True),
    )


VALUES = {"gene mean": {"a": 1.0, "b": 2.0}, "histoscribe": {"a": 0.5, "b": 1.5}}


def test_means_pairs_and_seconds_are_summed_up():
    outcome = run_benchmark(made([], VALUES))
    means = {one["method"]: one for one in outcome["records"] if one["fold"] == "all"}
    assert means["gene mean"]["value"] == 1.5
    assert means["gene mean"]["high"] == pytest.approx(1.5 + 12.706 * 0.5, rel=1e-3)
    (pair,) = outcome["paired"]
    assert (pair["other"], pair["difference"], pair["low"]) == ("gene mean", -0.5, -0.5)
    assert set(outcome["settings"]["seconds"]) == set(VALUES)
    assert set(outcome["records"][0]) == {
        "method", "dataset", "split", "fold", "measure", "value", "low", "high"
    }  # fmt: skip


def test_a_fold_is_opened_once_and_only_where_a_score_is_missing(tmp_path: Path):
    opened: list[str] = []
    first = run_benchmark(made(opened, VALUES), ledger=tmp_path / "l.jsonl")
    assert opened == ["a", "b"]
    again = run_benchmark(made(opened, VALUES), ledger=tmp_path / "l.jsonl")
    assert opened == ["a", "b"]
    assert again["records"] == first["records"]


def test_what_is_no_number_is_left_out_of_the_mean():
    outcome = run_benchmark(made([], {"gene mean": {"a": float("nan"), "b": 2.0}}))
    assert [(one["fold"], one["value"]) for one in outcome["records"]] == [("b", 2.0), ("all", 2.0)]


def test_a_cancelled_run_keeps_what_it_has_done(tmp_path: Path):
    progress = Progress()
    benchmark = made([], VALUES)

    def stop(name, fold, method):
        progress.cancel()
        yield Score(method.name, "made", "patient", name, "RMSE", 1.0, 1.0, 1.0)

    object.__setattr__(benchmark, "score", stop)
    with pytest.raises(Cancelled):
        run_benchmark(benchmark, ledger=tmp_path / "l.jsonl", progress=progress)
    assert len((tmp_path / "l.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("over", ["seeds", "sections"])
def test_a_single_fold_is_its_own_interval(over):
    assert mean_over(over, [0.3]) == (0.3, 0.3, 0.3)


def test_intervals_are_students_over_seeds_and_resampled_over_sections():
    mean, low, high = mean_over("seeds", [1.0, 2.0, 3.0])
    assert mean == 2
    assert high - mean == mean - low == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    mean, low, high = mean_over("sections", [1.0, 2.0, 3.0])
    assert 1 <= low < mean == 2 < high <= 3


def test_each_group_is_followed_by_its_mean():
    records = [Score("m", "d", "s", fold, "x", value, 0, 0) for fold, value in (("a", 1.0), ("b", 3.0))]
    assert [one.fold for one in summed_up(records, "seeds")] == ["a", "b", "all"]
    assert summed_up(records, "seeds")[-1].value == 2
