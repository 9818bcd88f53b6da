"""The engine: methods × folds × measures, kept as they are done, summed up over folds, compared in pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from itertools import product
from os import PathLike
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student, wilcoxon

from histoscribe.arrays import Wide
from histoscribe.benchmark.ledger import Ledger, Score
from histoscribe.benchmark.methods import REFERENCE, Method, code_digest
from histoscribe.benchmark.tables import TableLayout
from histoscribe.evaluation.measures import bootstrap_mean
from histoscribe.progress import Progress

Over = Literal["sections", "seeds"]
_DRAWS = 2000
_EXACT = 14


@dataclass(frozen=True, eq=False)
class Benchmark:
    """What a kind of benchmark declares: its data, splits, methods and measures."""

    kind: str
    """`predictor`, `imputer TASK` or `generator`."""
    folds: Mapping[str, Callable[[], Any]]
    """For each fold, how to open it; opened only where a score is missing, one at a time."""
    methods: Sequence[Method]
    """In the order in which they run."""
    score: Callable[[str, Any, Method], Iterable[Score]]
    """Given a fold's name, the opened fold and a method, its records. Records that several methods give, such
    as a control, are taken from the last."""
    over: Over
    """What folds are: means over `sections` get a bootstrap interval, over `seeds` Student's."""
    about: dict[str, Any]
    """What scores depend on beside fold, method and code: data, panel, settings."""
    code: tuple[str, ...]
    """Modules that score."""
    settings: dict[str, Any] = field(default_factory=dict)
    """For the reader: split, panel, target and the like."""
    layout: TableLayout = field(default_factory=TableLayout)
    """How tables and report show it."""


def run_benchmark(
    benchmark: Benchmark, *, ledger: str | PathLike[str] | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Score every method on every fold.

    `ledger`: a file that scores are added to as they are done, and taken from where it has them. Returns
    `settings`, `records` and `paired` (`histoscribe` beside each other method), ready for JSON. Raises
    `TableError` if the file is no ledger, `StorageError` if it cannot be written.
    """
    progress = progress or Progress()
    book = Ledger(ledger)
    found: dict[tuple[str, str, str, str], Score] = {}
    seconds = {method.name: 0.0 for method in benchmark.methods}
    total = len(benchmark.folds) * len(benchmark.methods)
    for number, (name, open_fold) in enumerate(benchmark.folds.items()):
        opened = cache(open_fold)
        for place, method in enumerate(benchmark.methods):
            progress.report(f"{name}: {method.name}", number * len(benchmark.methods) + place, total)
            own = {"fold": name, "method": method.name, "task": method.tasks, "settings": method.settings}
            about = {"benchmark": benchmark.kind, **own, **benchmark.about}
            code = f"{method.code} {code_digest(benchmark.code)}"
            records, spent = book.remember(about, code, partial(_timed, benchmark, name, opened, method))
            seconds[method.name] += spent
            found |= {(one.dataset, one.method, one.measure, one.fold): one for one in records}
    progress.report("summing up", total, total)
    finite = [record for record in found.values() if np.isfinite(record.value)]
    return {
        "settings": {
            **benchmark.settings,
            "methods": list(seconds),
            "seconds": {name: round(spent, 1) for name, spent in seconds.items()},
        },
        "records": [record.as_json() for record in summed_up(finite, benchmark.over)],
        "paired": [asdict(pair) for pair in _pairs(finite, benchmark)],
    }


def summed_up(records: Iterable[Score], over: Over) -> list[Score]:
    """Records by method and measure, each group followed by its mean over folds as fold `all`."""
    grouped: dict[tuple[str, str, str], list[Score]] = {}
    for record in records:
        grouped.setdefault((record.dataset, record.method, record.measure), []).append(record)
    whole = []
    for group in grouped.values():
        value, low, high = mean_over(over, [record.value for record in group])
        whole += [*group, replace(group[0], fold="all", value=value, low=low, high=high, each=())]
    return whole


def mean_over(over: Over, values: Sequence[float]) -> tuple[float, float, float]:
    """The mean over folds and its 95 % interval; of a single fold its value.

    Sections are resampled (percentile bootstrap), seeds get Student's interval.
    """
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, mean, mean
    if over == "sections":
        interval = bootstrap_mean(values, over=over)
        return interval.mean, interval.low, interval.high
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return mean, mean - half, mean + half


def _timed(
    benchmark: Benchmark, name: str, opened: Callable[[], Any], method: Method
) -> tuple[list[Score], float]:
    fold, start = opened(), time.perf_counter()
    return list(benchmark.score(name, fold, method)), time.perf_counter() - start


def _pairs(records: Sequence[Score], benchmark: Benchmark) -> list[Pair]:
    """The reference beside every other method, on the measures that the layout leads with."""
    known = {method.name for method in benchmark.methods}
    by_method: dict[tuple[str, str], dict[str, dict[str, Score]]] = {}
    for record in records:
        if benchmark.layout.leads(record.measure):
            measured = by_method.setdefault((record.dataset, record.measure), {})
            measured.setdefault(record.method, {})[record.fold] = record
    pairs = []
    for scored in by_method.values():
        ours = scored.pop(REFERENCE, {})
        several = len(ours) > 1 or any(score.each for score in ours.values())
        same = [own for name, own in scored.items() if name in known and set(own) == set(ours)]
        pairs += [compare_methods(ours, own) for own in same if several]
    return pairs


@dataclass(frozen=True)
class Pair:
    """A comparison of two methods."""

    method: str
    other: str
    dataset: str
    measure: str
    difference: float
    """Mean over folds (sections or seeds) of `method` minus `other`."""
    low: float
    high: float
    """`low` and `high`: 95 % interval: folds are drawn with replacement, then genes within each where there
    are any."""
    p_sections: float
    """Two-sided sign-flip test over folds, exact up to 14: with 5 sections it cannot fall below 0.0625."""
    p_genes: float | None
    """Two-sided Wilcoxon signed-rank test over the genes of all sections, whose panels may differ from fold
    to fold; neither genes nor sections are independent there, so it flatters. None where a fold is one
    value."""


def compare_methods(ours: Mapping[str, Score], others: Mapping[str, Score]) -> Pair:
    """Compare two methods on one measure, by their scores of the same folds."""
    differences = [_values(ours[fold]) - _values(others[fold]) for fold in ours]
    means = np.array([values.mean() for values in differences])
    rng = np.random.default_rng(0)
    drawn = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        chosen = [differences[fold] for fold in rng.integers(0, len(differences), len(differences))]
        drawn[draw] = np.mean([one[rng.integers(0, one.size, one.size)].mean() for one in chosen])
    low, high = np.quantile(drawn, [0.025, 0.975])
    one, other = next(iter(ours.values())), next(iter(others.values()))
    every, p_genes = np.concatenate(differences), None
    if any(record.each for record in ours.values()):
        p_genes = float(wilcoxon(every).pvalue) if np.any(every != 0) else 1.0
    names = (one.method, other.method, one.dataset, one.measure)
    return Pair(*names, float(means.mean()), float(low), float(high), sign_flip(means), p_genes)


def sign_flip(values: Wide) -> float:
    """Two-sided p of the mean under random signs: all of them up to 14 values, else 20,000 draws."""
    seen = abs(values.mean())
    if len(values) <= _EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(values))))
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(20_000, len(values)))
    return float(np.mean(np.abs((signs * values).mean(axis=1)) >= seen - 1e-12))


def _values(record: Score) -> Wide:
    return np.array(record.each or (record.value,), dtype=np.float64)
