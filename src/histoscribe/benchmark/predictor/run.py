"""One run of the predictor's benchmark: every method on the same folds, panels and target."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

import numpy as np

from histoscribe import __version__
from histoscribe.benchmark.ledger import Ledger, fingerprint, key_of
from histoscribe.benchmark.predictor.methods import (
    ABLATIONS,
    OURS,
    Tiles,
    check_methods,
    method_names,
    predict_with,
)
from histoscribe.benchmark.predictor.paired import compare_methods
from histoscribe.benchmark.predictor.scores import (
    Scores,
    Truth,
    mean_over_seeds,
    measured_truth,
    permuted,
    score,
)
from histoscribe.benchmark.predictor.splits import Fold, Split, make_folds, refuse_seen_panel
from histoscribe.errors import SettingError
from histoscribe.evaluation.measures import bootstrap_mean
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.target import (
    PANEL_SIZE,
    TARGETS,
    Target,
    choose_panel,
    common_genes,
    panel_expression,
)
from histoscribe.progress import Progress

CONTROL = "permuted control"
REFERENCE = "histoscribe"
VARIED = f"{REFERENCE} "
"""How the names of the default with a part left out or added begin."""


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


@dataclass(frozen=True)
class Panel:
    """Which genes are scored.

    Parameters
    ----------
    size : int
        The most variable ones of each fold's training sections, where `genes` is None.
    genes : tuple of str, or None
        A given list.
    chosen_on : tuple of str
        The sections that a given list was chosen with; a fold that tests on one of them is refused.
    """

    size: int = PANEL_SIZE
    genes: tuple[str, ...] | None = None
    chosen_on: tuple[str, ...] = ()

    def of(self, train: Sequence[EncodedSection], shared: set[str]) -> list[str]:
        """The genes of one fold, those of highest training variance first."""
        if self.genes is None:
            return [gene for gene in choose_panel(train, self.size) if gene in shared]
        wanted = shared.intersection(self.genes)
        if not wanted:
            raise SettingError(
                "no gene of the panel is in all sections",
                where="--panel",
                remedy="check the kind of gene names",
            )
        return [gene for gene in choose_panel(train, len(common_genes(train))) if gene in wanted]

    def describe(self) -> str:
        """In words, for the settings of a run."""
        if self.genes is None:
            return f"{self.size} most variable genes of the training sections of each fold, common to all"
        chosen = ", ".join(self.chosen_on) or "sections that are not stated"
        return f"{len(self.genes)} given genes, chosen with {chosen}"


def run_benchmark(
    sections: Sequence[EncodedSection],
    *,
    dataset: str,
    split: Split = "section",
    methods: Sequence[str] | None = None,
    panel: Panel | None = None,
    target: Target = "clean",
    seeds: Sequence[int] = (0,),
    tiles: Tiles | None = None,
    folds: Sequence[str] | None = None,
    ledger: str | PathLike[str] | None = None,
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
    split : str
        `section` or `patient`.
    methods : sequence of str, optional
        All by default; `histoscribe without PART` measures the ablation.
    panel : Panel, optional
    target : str
        `clean`, or `published` to reproduce papers.
    seeds : sequence of int
    tiles : mapping, optional
        Pixels around the spots by section name, for `brstnet`.
    folds : sequence of str, optional
        Only these, by the name of the held-out section or patient.
    ledger : path, optional
        A file that scores are added to, and taken from where it has them.

    Returns
    -------
    dict
        `settings`, `records` and `paired`, ready for JSON.

    Raises
    ------
    SettingError
        For an unknown method or split, missing input, or a leak between training and test.
    """
    progress, panel = progress or Progress(), panel or Panel()
    given = tiles or {}
    chosen = list(methods or [name for name in method_names() if name != "brstnet" or given])
    check_methods(chosen, given, sections)
    kept = _chosen_folds(make_folds(sections, split), folds)
    for fold in kept:
        refuse_seen_panel(panel.chosen_on, fold, sections)
    shared = set(common_genes(sections))
    book, data = Ledger(ledger), fingerprint(sections)
    scores: dict[tuple[str, str], Scores] = {}
    seconds = dict.fromkeys(chosen, 0.0)
    truths: dict[str, list[Truth]] = {}
    jobs = [(fold, method) for fold in kept for method in chosen]
    for fold, method in progress.track(jobs, "benchmark", len(jobs)):
        train, tests = ([sections[place] for place in places] for places in (fold.train, fold.test))
        refuse_seen_panel([section.name for section in train], fold, sections)
        genes = panel.of(train, shared)
        about = {
            "dataset": dataset,
            "split": split,
            "fold": fold.name,
            "method": method,
            "target": target,
            "seeds": list(seeds),
            "version": __version__,
        }
        settings = {**OURS, **ABLATIONS}.get(method, {})
        key = key_of(**about, genes=genes, data=data, settings=settings)
        known = book.find(key)
        if known is None:
            if fold.name not in truths:
                truths[fold.name] = [
                    measured_truth(test, panel_expression(test, genes, target)) for test in tests
                ]
            start = time.perf_counter()
            runs = [
                predict_with(method, train, tests, genes, seed=seed, target=target, tiles=given)
                for seed in seeds
            ]
            spent = time.perf_counter() - start
            found = {}
            for place, truth in enumerate(truths[fold.name]):
                own = [run[place] for run in runs]
                found[truth.section.name] = mean_over_seeds([score(truth, told) for told in own])
                control = mean_over_seeds([permuted(truth, told) for told in own])
                found[truth.section.name] |= {f"{CONTROL} {name}": r for name, r in control.items()}
            book.add(key, about, found, spent)
            known = found, spent
        seconds[method] += known[1]
        for name, values in known[0].items():
            scores[method, name] = {m: v for m, v in values.items() if not m.startswith(CONTROL)}
            if method == chosen[-1]:
                scores[CONTROL, name] = {
                    m.removeprefix(f"{CONTROL} "): v for m, v in values.items() if m.startswith(CONTROL)
                }
    tested = [sections[place].name for fold in kept for place in fold.test]
    records = _records(scores, [*chosen, CONTROL], tested, dataset, split)
    pairs = [
        compare_methods(scores, tested, REFERENCE, other)
        for other in chosen
        if REFERENCE in chosen and other != REFERENCE
    ]
    return {
        "settings": {
            "dataset": dataset,
            "split": split,
            "sections": {section.name: section.patient for section in sections},
            "tested": tested,
            "panel": panel.describe(),
            "target": TARGETS[target],
            "learned from": "targets centred per training section; mean, depth-only and gr2st-published: "
            "as they are",
            "features": f"{sections[0].features.shape[1]} descriptors per spot, the same for every method"
            + (" but brstnet, which reads the pixels" if "brstnet" in chosen else ""),
            "seeds": list(seeds),
            "seconds": {name: round(value, 1) for name, value in seconds.items()},
        },
        "records": [asdict(record) for record in records],
        "paired": [asdict(pair) for pair in pairs],
    }


def _chosen_folds(folds: Sequence[Fold], names: Sequence[str] | None) -> list[Fold]:
    unknown = sorted(set(names or ()) - {fold.name for fold in folds})
    if unknown:
        raise SettingError(
            f"no fold is called {unknown[0]!r}",
            where="--folds",
            remedy=f"choose from {', '.join(fold.name for fold in folds)}",
        )
    return [fold for fold in folds if names is None or fold.name in names]


def _records(
    scores: Mapping[tuple[str, str], Scores],
    methods: Sequence[str],
    tested: Sequence[str],
    dataset: str,
    split: str,
) -> list[Record]:
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
    return [_finite(record) for record in records if np.isfinite(record.value)]


def _finite(record: Record) -> Record:
    """An interval of a single value is that value."""
    if np.isfinite(record.low):
        return record
    return Record(**{**asdict(record), "low": record.value, "high": record.value})
