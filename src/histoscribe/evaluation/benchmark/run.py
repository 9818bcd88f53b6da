"""One run of the predictor's benchmark: every method on the same folds, panels and target."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError
from histoscribe.evaluation.benchmark.methods import method_names, predict_with
from histoscribe.evaluation.benchmark.splits import Fold, Split, make_folds, refuse_seen_panel
from histoscribe.evaluation.measures import (
    bootstrap_mean,
    mae_per_gene,
    mse_per_gene,
    pearson_per_gene,
    spearman_per_gene,
)
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.target import PANEL_SIZE, TARGET, choose_panel, common_genes, panel_expression
from histoscribe.progress import Progress

_TOP = 50
_CONTROL = "permuted control"


@dataclass(frozen=True)
class Record:
    """One number of a benchmark.

    Parameters
    ----------
    method, dataset, split, fold : str
        `fold` is the held-out section, or `all` for the mean over held-out sections.
    measure : str
    value : float
    low, high : float
        95 % interval: bootstrap over genes within a section, over sections for `all`.
    """

    method: str
    dataset: str
    split: str
    fold: str
    measure: str
    value: float
    low: float
    high: float


def run_benchmark(
    sections: Sequence[EncodedSection],
    *,
    dataset: str,
    split: Split = "section",
    methods: Sequence[str] | None = None,
    panel_size: int = PANEL_SIZE,
    seeds: Sequence[int] = (0,),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Hold out every section or patient once and score every method on what was held out.

    The panel is chosen on the training sections of each fold. Scores are taken per section and seed,
    averaged over seeds and then over sections: never pooled over spots of several sections. The
    permuted control scores the last method against spots in random order.

    Parameters
    ----------
    sections : sequence of EncodedSection
    dataset : str
        Name for the records.
    methods : sequence of str, optional
        All by default.

    Returns
    -------
    dict
        `settings` and `records`, ready for JSON.

    Raises
    ------
    SettingError
        For an unknown method or split, or a leak between training and test.
    """
    progress = progress or Progress()
    chosen = list(methods or method_names())
    unknown = sorted(set(chosen) - set(method_names()))
    if unknown:
        raise SettingError(
            f"no method is called {unknown[0]!r}",
            where="--methods",
            remedy=f"choose from {', '.join(method_names())}",
        )
    folds = make_folds(sections, split)
    shared = set(common_genes(sections))
    scores: dict[tuple[str, str], dict[str, Any]] = {}
    seconds = dict.fromkeys(chosen, 0.0)
    jobs = [(fold, method) for fold in folds for method in chosen]
    for fold, method in progress.track(jobs, "benchmark", len(jobs)):
        train = [sections[place] for place in fold.train]
        panel = [gene for gene in choose_panel(train, panel_size) if gene in shared]
        refuse_seen_panel([section.name for section in train], fold, sections)
        start = time.perf_counter()
        for test in (sections[place] for place in fold.test):
            truth = panel_expression(test, panel)
            runs = [
                predict_with(method, train, test, panel, panel_size=panel_size, seed=seed) for seed in seeds
            ]
            scores[method, test.name] = _mean_over_seeds([_score(truth, run) for run in runs])
            if method == chosen[-1]:
                shuffled = np.random.default_rng(0).permutation(len(truth))
                control = [_score(truth[shuffled], run) for run in runs]
                scores[_CONTROL, test.name] = _mean_over_seeds(control)
        seconds[method] += time.perf_counter() - start
    settings = {
        "dataset": dataset,
        "split": split,
        "sections": {section.name: section.patient for section in sections},
        "panel": f"{panel_size} most variable genes of the training sections of each fold, common to all",
        "target": TARGET,
        "features": f"{sections[0].features.shape[1]} descriptors per spot, the same for every method",
        "seeds": list(seeds),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
    records = _records(scores, [*chosen, _CONTROL], folds, sections, dataset, split)
    return {"settings": settings, "records": [asdict(record) for record in records]}


def _score(truth: NDArray[np.float32], predicted: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Per-gene scores. A gene predicted as a constant has no correlation and counts as 0 here."""
    r = np.nan_to_num(pearson_per_gene(truth, predicted))
    return {
        "pearson": r,
        f"pearson_top{_TOP}": r[:_TOP],
        "spearman": np.nan_to_num(spearman_per_gene(truth, predicted)),
        "mse": mse_per_gene(truth, predicted),
        "mae": mae_per_gene(truth, predicted),
    }


def _mean_over_seeds(runs: Sequence[dict[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    return {measure: np.mean([run[measure] for run in runs], axis=0) for measure in runs[0]}


def _records(
    scores: dict[tuple[str, str], dict[str, Any]],
    methods: Sequence[str],
    folds: Sequence[Fold],
    sections: Sequence[EncodedSection],
    dataset: str,
    split: str,
) -> list[Record]:
    tested = [sections[place].name for fold in folds for place in fold.test]
    records = []
    for method in methods:
        for measure in scores[method, tested[0]]:
            per_section = []
            for name in tested:
                interval = bootstrap_mean(scores[method, name][measure], over="genes")
                per_section.append(interval.mean)
                records.append(
                    Record(method, dataset, split, name, measure, interval.mean, interval.low, interval.high)
                )
            whole = bootstrap_mean(per_section, over="sections")
            records.append(Record(method, dataset, split, "all", measure, whole.mean, whole.low, whole.high))
    return records
