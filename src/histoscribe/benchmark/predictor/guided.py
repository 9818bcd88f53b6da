"""The benchmark of guided prediction: some spots of a held-out section are given, the others are scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial

import numpy as np

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.benchmark.engine import Benchmark, mean_over
from histoscribe.benchmark.ledger import Score
from histoscribe.benchmark.methods import Method, chosen_methods
from histoscribe.benchmark.predictor.benchmark import GenePanel, section_digest
from histoscribe.benchmark.predictor.peers import Prediction
from histoscribe.benchmark.predictor.splits import Fold, Split, make_folds
from histoscribe.benchmark.tables import TableLayout
from histoscribe.errors import SettingError
from histoscribe.evaluation.measures import mse_per_gene, pearson_per_gene
from histoscribe.predictor import TARGET, EncodedSection, Predictor, panel_expression
from histoscribe.predictor.target import common_genes

TASK = "predictor guided"
DRAWS = 5
_DRAWN = "seeds 0 to 4, or blocks around the points at 30 and 70 % of both sides and the middle"
_POINTS = ((0.3, 0.3), (0.3, 0.7), (0.7, 0.3), (0.7, 0.7), (0.5, 0.5))
_TOP = 50
_LAYOUT = TableLayout(
    headline="pearson",
    label="r",
    columns={f"pearson_top{_TOP}": f"top {_TOP} (by training)", "mse": "MSE", "coverage": "coverage"},
    title="Guided prediction",
    lead="Some spots of a held-out section are given; r is Pearson's correlation over its other spots, "
    "averaged over genes, then over draws of given spots, then over sections.",
)


@dataclass(frozen=True)
class GivenShare:
    """Which spots are given: a share of them, at random or in a block."""

    kind: str
    share: float

    def __str__(self) -> str:
        words = "at random" if self.kind == "random" else "in a block"
        return f"{100 * self.share:g} % given {words}"

    def of(self, section: EncodedSection, draw: int) -> Numbers:
        """The given spots of one draw: the first of a random order, or those nearest to a point.

        The points lie at 30 and 70 % of both sides, and in the middle.
        """
        count = round(self.share * len(section.spots))
        if self.kind == "random":
            return np.sort(np.random.default_rng(draw).permutation(len(section.spots))[:count])
        low, high = section.centres_um.min(axis=0), section.centres_um.max(axis=0)
        point = low + np.array(_POINTS[draw % len(_POINTS)]) * (high - low)
        far = ((section.centres_um - point) ** 2).sum(axis=1)
        return np.sort(np.argsort(far, kind="stable")[:count])

    @classmethod
    def read(cls, text: str) -> list[GivenShare]:
        """Such as `random:0.2,block:0.25`; `SettingError` for anything else."""
        found = []
        for part in text.split(","):
            kind, _, share = part.strip().partition(":")
            try:
                value = float(share)
            except ValueError:
                value = 0.0
            if kind not in ("random", "block") or not 0 < value < 1:
                problem = f"{part.strip()!r} says not which spots are given"
                raise SettingError(problem, where="--guide", remedy="write such as random:0.2,block:0.25")
            found.append(cls(kind, value))
        return found


@dataclass(frozen=True, eq=False)
class GivenSpotsFold:
    """One held-out section, of which some spots are given, several times."""

    train: Sequence[EncodedSection]
    """The sections that the model may know."""
    section: EncodedSection
    """The held-out one; a method looks at the counts of its given spots only."""
    panel: Sequence[str]
    given: Sequence[Numbers]
    """Rows of the given spots, one array per draw."""
    fit: Callable[[], Predictor]
    """The model of the training sections, fitted once."""

    @cached_property
    def truth(self) -> Floats:
        """What was measured, shape (spots, panel)."""
        return panel_expression(self.section, self.panel)

    def part(self, rows: Numbers) -> EncodedSection:
        """The given spots of one draw as a section, which keeps the units of the whole."""
        return self.section.part(rows, f"{self.section.name}, given spots")


def guided_benchmark(
    sections: Sequence[EncodedSection],
    guide: str,
    *,
    dataset: str,
    split: Split = "patient",
    methods: Sequence[str] | None = None,
    panel: GenePanel | None = None,
    folds: Sequence[str] | None = None,
) -> Benchmark:
    """Score guided prediction beside the model alone, the given spots alone, and both together.

    `guide`: which spots are given, such as `random:0.2,block:0.25`, each in five draws; all else and the
    errors are as of `predictor_benchmark`.
    """
    panel, shares, asked = panel or GenePanel(), GivenShare.read(guide), {"dataset": dataset, "split": split}
    chosen = chosen_methods(TASK, methods)
    kept = make_folds(sections, split, only=folds, chosen_on=panel.chosen_on)
    shared = set(common_genes(sections))

    @cache
    def prepared(fold: Fold) -> tuple[list[EncodedSection], list[str], Callable[[], Predictor]]:
        train = [sections[place] for place in fold.train]
        genes = panel.of(train, shared)
        return train, genes, cache(lambda: Predictor(seed=0, panel=genes).fit_encoded(train))

    def opened(fold: Fold, place: int, share: GivenShare) -> GivenSpotsFold:
        train, genes, fit = prepared(fold)
        rows = [share.of(sections[place], draw) for draw in range(DRAWS)]
        return GivenSpotsFold(train, sections[place], genes, rows, fit)

    return Benchmark(
        kind=TASK,
        folds={
            f"{sections[place].name}, {share}": partial(opened, fold, place, share)
            for share in shares
            for fold in kept
            for place in fold.test
        },
        methods=chosen,
        score=partial(_score, dataset=dataset, split=split),
        over="sections",
        about={**asked, "panel": asdict(panel), "draws": DRAWS, "data": list(map(section_digest, sections))},
        code=(__name__, "histoscribe.evaluation.measures", "histoscribe.predictor.target"),
        settings={
            **asked,
            "given": list(map(str, shares)),
            "draws": f"{DRAWS}: {_DRAWN}",
            "sections": {section.name: section.patient for section in sections},
            "panel": panel.describe(),
            "target": TARGET,
        },
        layout=_LAYOUT,
    )


def _score(name: str, fold: GivenSpotsFold, method: Method, *, dataset: str, split: Split) -> Iterator[Score]:
    told: list[Prediction] = method.learn(fold, 0)
    scores: dict[str, list[Wide]] = {}
    for rows, prediction in zip(fold.given, told, strict=True):
        rest = np.setdiff1d(np.arange(len(fold.truth)), rows)
        measured, predicted = fold.truth[rest], prediction.expression[rest]
        r = np.nan_to_num(pearson_per_gene(measured, predicted))
        found = {"pearson": r, f"pearson_top{_TOP}": r[:_TOP], "mse": mse_per_gene(measured, predicted)}
        if prediction.low is not None and prediction.high is not None:
            inside = (measured >= prediction.low[rest] - 1e-4) & (measured <= prediction.high[rest] + 1e-4)
            found["coverage"] = inside.mean(axis=0)
        for measure, values in found.items():
            scores.setdefault(measure, []).append(values)
    section, _, given = name.rpartition(", ")
    for measure, draws in scores.items():
        interval = mean_over("seeds", [float(values.mean()) for values in draws])
        each = tuple(np.mean(draws, axis=0).tolist()) if measure == "pearson" else ()
        yield Score(method.name, f"{dataset}, {given}", split, section, measure, *interval, each)
