"""The predictor's benchmark: sections or patients held out, measures averaged over genes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from histoscribe.benchmark.engine import Benchmark
from histoscribe.benchmark.ledger import Score, data_digest
from histoscribe.benchmark.methods import REFERENCE, Method, chosen_methods
from histoscribe.benchmark.predictor.peers import HeldOutSections, Tiles
from histoscribe.benchmark.predictor.scores import (
    KEPT,
    TOP,
    Scores,
    Truth,
    mean_over_seeds,
    measured_truth,
    permuted,
    score,
)
from histoscribe.benchmark.predictor.splits import Fold, Split, make_folds
from histoscribe.benchmark.tables import TableLayout
from histoscribe.errors import SettingError
from histoscribe.evaluation.measures import bootstrap_mean
from histoscribe.predictor import EncodedSection, choose_panel, panel_expression
from histoscribe.predictor.target import PANEL_SIZE, TARGETS, Target, common_genes

CONTROL = "permuted control"
_PAIRED = "pearson"
_CODE = (
    *(__name__, "histoscribe.benchmark.predictor.scores", "histoscribe.benchmark.predictor.peers"),
    *("histoscribe.benchmark.training", "histoscribe.evaluation.measures", "histoscribe.evaluation.spatial"),
    *("histoscribe.predictor.target", "histoscribe.graphs"),
)
_LEAD = (
    "r is Pearson's correlation over the spots of one section, averaged over genes and then over sections; "
    "genes and sections are never pooled. "
)
_LEARNED_FROM = "targets centred per training section; mean, depth-only and gr2st-published: as they are"
_KNOWN = {
    "section": "Other sections of a held-out section's patient stay in training: for a new patient the "
    "numbers are lower.",
    "patient": "No section of a held-out patient is in training.",
}
_LAYOUT = TableLayout(
    headline=_PAIRED,
    label="r",
    columns={
        f"pearson_top{TOP}": f"top {TOP} (by training)",
        f"pearson_best{TOP}": f"best {TOP} (by test)",
        "spearman": "Spearman",
        "mse": "MSE",
        "mae": "MAE",
        "ssim": "SSIM",
        "svg_pearson": "r of spatial genes",
        "svg_recovered": "spatial genes recovered",
    },
    held=(
        ("coverage of the 90 % intervals", REFERENCE, "coverage"),
        ("width of the 90 % intervals, log1p units", REFERENCE, "interval_width"),
        *((f"mean r of the surest {s:.0%} of the genes", REFERENCE, f"pearson_surest_{s:.0%}") for s in KEPT),
        *(
            (f"the same without unlike spots, {s:.0%}", REFERENCE, f"pearson_like_surest_{s:.0%}")
            for s in KEPT
        ),
        ("mean r with spots permuted", CONTROL, _PAIRED),
    ),
)


@dataclass(frozen=True)
class GenePanel:
    """Which genes are scored."""

    size: int = PANEL_SIZE
    """The most variable ones of each fold's training sections, where `genes` is None."""
    genes: tuple[str, ...] | None = None
    """A given list."""
    chosen_on: tuple[str, ...] = ()
    """The sections that a given list was chosen with; a fold that tests on one of them is refused."""

    def of(self, train: Sequence[EncodedSection], shared: set[str]) -> list[str]:
        """The genes of one fold, those of highest training variance first."""
        if self.genes is None:
            return [gene for gene in choose_panel(train, self.size) if gene in shared]
        wanted = shared.intersection(self.genes)
        if not wanted:
            remedy = "check the kind of gene names"
            raise SettingError("no gene of the panel is in all sections", where="--panel", remedy=remedy)
        return [gene for gene in choose_panel(train, len(common_genes(train))) if gene in wanted]

    def describe(self) -> str:
        """In words, for the settings of a run."""
        if self.genes is None:
            return f"{self.size} most variable genes of the training sections of each fold, common to all"
        chosen = ", ".join(self.chosen_on) or "sections that are not stated"
        return f"{len(self.genes)} given genes, chosen with {chosen}"


@dataclass(frozen=True, eq=False)
class _Opened(HeldOutSections):
    """A fold with what was measured on its test sections, looked at once."""

    @cached_property
    def truths(self) -> list[Truth]:
        return [measured_truth(test, panel_expression(test, self.panel, self.target)) for test in self.tests]


def predictor_benchmark(
    sections: Sequence[EncodedSection],
    *,
    dataset: str,
    split: Split = "section",
    methods: Sequence[str] | None = None,
    panel: GenePanel | None = None,
    target: Target = "clean",
    seeds: Sequence[int] = (0,),
    tiles: Tiles | None = None,
    folds: Sequence[str] | None = None,
) -> Benchmark:
    """Hold out every section or patient once.

    The panel is chosen on the training sections of each fold. Scores are taken per section and seed,
    averaged over seeds and then over sections: never pooled over spots of several sections. The
    permuted control scores the last method against spots in random order.

    `dataset`: name for the records; `methods`: all by default, `histoscribe without PART` measures the
    ablation; `target`: `clean`, or `published` to reproduce papers; `tiles`: pixels around the spots by
    section name, for methods that need them; `folds`: only these, by the name of the held-out section or
    patient. Raises `SettingError` for an unknown method, split or fold, missing input, or a leak between
    training and test.
    """
    panel, given = panel or GenePanel(), tiles or {}
    chosen = _with_input(chosen_methods("predictor", methods), named=bool(methods), tiles=given, of=sections)
    kept = make_folds(sections, split, only=folds, chosen_on=panel.chosen_on)
    shared = set(common_genes(sections))

    def open_fold(fold: Fold) -> _Opened:
        train, tests = ([sections[place] for place in places] for places in (fold.train, fold.test))
        return _Opened(train, tests, panel.of(train, shared), target, given)

    by_pixels = [method.name for method in chosen if method.needs == "pixels"]
    described = f"{sections[0].features.shape[1]} descriptors per spot, the same for every method"
    described += f" but {', '.join(by_pixels)}, from pixels" if by_pixels else ""
    asked = {"dataset": dataset, "split": split, "seeds": list(seeds)}
    data = list(map(section_digest, sections))
    title, lead = f"Predictors on {dataset}, one {split} held out", _LEAD + _KNOWN[split]
    return Benchmark(
        kind="predictor",
        folds={fold.name: partial(open_fold, fold) for fold in kept},
        methods=chosen,
        score=partial(_score, dataset=dataset, split=split, seeds=tuple(seeds)),
        over="sections",
        about={**asked, "target": target, "panel": asdict(panel), "data": data},
        code=_CODE,
        settings={
            **asked,
            "sections": {section.name: section.patient for section in sections},
            "tested": [sections[place].name for fold in kept for place in fold.test],
            "panel": panel.describe(),
            "target": TARGETS[target],
            "learned from": _LEARNED_FROM,
            "features": described,
        },
        layout=replace(_LAYOUT, title=title, lead=lead),
    )


def _score(
    fold_name: str, fold: _Opened, method: Method, *, dataset: str, split: str, seeds: Sequence[int]
) -> Iterator[Score]:
    runs = [method.learn(fold, seed) for seed in seeds]
    for place, truth in enumerate(fold.truths):
        section = truth.section.name
        own = mean_over_seeds([score(truth, run[place]) for run in runs])
        control = mean_over_seeds([permuted(truth, run[place]) for run in runs])
        yield from records_of(own, method.name, dataset, split, section)
        yield from records_of(control, CONTROL, dataset, split, section)


def records_of(scores: Scores, method: str, dataset: str, split: str, fold: str) -> Iterator[Score]:
    """Means over genes with their bootstrap interval; a single gene's interval is its value."""
    for measure, values in scores.items():
        found = bootstrap_mean(values, over="genes")
        low, high = (found.mean if np.isnan(end) else end for end in (found.low, found.high))
        each = tuple(values.tolist()) if measure == _PAIRED else ()
        yield Score(method, dataset, split, fold, measure, found.mean, low, high, each)


def _with_input(
    methods: list[Method], *, named: bool, tiles: Tiles, of: Sequence[EncodedSection]
) -> list[Method]:
    """Methods whose input is there; one that was asked for by name and lacks it is refused."""
    lacking = [section.name for section in of if section.name not in tiles]
    blind = [method.name for method in methods if method.needs == "pixels" and lacking]
    if blind and named:
        problem = f"{blind[0]} learns from pixels, and {', '.join(lacking)} come without"
        remedy = "leave it out, or give sections with their slides"
        raise SettingError(problem, where="--methods", remedy=remedy)
    return [method for method in methods if method.name not in blind]


def section_digest(section: EncodedSection) -> str:
    """Of all that scores depend on of a section."""
    counts: Any = section.counts.tocsr() if hasattr(section.counts, "tocsr") else np.asarray(section.counts)
    name = [section.name, section.patient, str(section.pitch_um)]
    stored = [counts.data, counts.indices] if hasattr(counts, "indices") else [counts]
    return data_digest(name, list(section.genes), section.features, section.centres_um, *stored)
