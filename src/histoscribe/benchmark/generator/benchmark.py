"""The generator's benchmark: three beds over several seeds, from patients that no method has seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from histoscribe.benchmark.engine import Benchmark
from histoscribe.benchmark.generator.bed import Seed
from histoscribe.benchmark.generator.colorectal import score_colorectal
from histoscribe.benchmark.generator.semisynthetic import JOINT, REAL, score_semisynthetic
from histoscribe.benchmark.ledger import Score, data_digest
from histoscribe.benchmark.methods import REFERENCE, Method, chosen_methods
from histoscribe.benchmark.tables import TableLayout
from histoscribe.errors import require_known
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.components import SIGNIFICANT
from histoscribe.progress import Progress
from histoscribe.simulate.metastases import SITES, simulate_metastases

BEDS = ("semi-synthetic", "colorectal", "components")
_LAYOUT = TableLayout(
    title="Generators beside real metastases",
    lead="A fifth of the patients gives parents, another the metastases to compare with.",
    headline="joint",
)
_TOLD = {
    "split": "patient: 60 % to learn from, 20 % parents, 20 % compared with",
    "target": "log2 of abundance",
    "sites": list(SITES),
    "joint": JOINT,
}
_CODE = tuple(f"histoscribe.benchmark.generator.{one}" for one in ("semisynthetic", "colorectal", "measures"))


def generator_benchmark(
    cohort: Cohort,
    data: Path,
    *,
    beds: Sequence[str] = BEDS,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int],
    per_pair: int = 30,
    progress: Progress | None = None,
) -> Benchmark:
    """Make a bed for each seed, train the generator on it once, and score every method on every bed.

    `cohort`: tcga11; `data`: the folder of real data; `beds`: of `BEDS`; `methods`: on the semi-synthetic
    bed, all by default, for the other beds have methods of their own; `per_pair`: metastases of each cancer
    at each site to learn from. Raises `SettingError` for an unknown bed or method.
    """
    require_known("bed", beds or [""], BEDS, where="--beds")
    chosen = [
        replace(method, tasks=(f"generator {bed}",))
        for bed in beds
        for method in chosen_methods(f"generator {bed}", methods if bed == BEDS[0] else None)
    ]
    if BEDS[0] in beds and methods:
        chosen += [one for one in chosen_methods(f"generator {BEDS[0]}", [REAL]) if REAL not in methods]

    def open_fold(seed: int) -> Seed:
        if progress is not None:
            progress.report(f"seed {seed}: making the bed")
        bed = simulate_metastases(cohort, per_pair=per_pair, seed=seed)
        return Seed(bed, cohort, data, progress or Progress())

    data_hash = data_digest(cohort.values, cohort.genes, cohort.names)
    panel = f"{len(cohort.genes)} genes of tcga11"
    return Benchmark(
        kind="generator",
        folds={f"seed {seed}": partial(open_fold, seed) for seed in seeds},
        methods=chosen,
        score=partial(_score, first=beds[0]),
        over="seeds",
        about={"per_pair": per_pair, "first_bed": beds[0], "data": data_hash},
        code=(*_CODE, "histoscribe.simulate.metastases", __name__),
        settings={"beds": list(beds), "per_pair": per_pair, "seeds": list(seeds), "panel": panel, **_TOLD},
        layout=_LAYOUT,
    )


def _score(name: str, fold: Seed, method: Method, *, first: str) -> Iterator[Score]:
    bed = method.tasks[0].removeprefix("generator ")
    untrained = fold.fit_seconds is None
    for measure, value in _SCORED[bed](fold, method).items():
        yield Score(method.name, bed, "patient", name, measure, value, value, value)
    if untrained and fold.fit_seconds is not None:
        spent = fold.fit_seconds
        yield Score(REFERENCE, first, "patient", name, "fit_seconds", spent, spent, spent)


def _score_components(fold: Seed, method: Method) -> dict[str, float]:
    """Of each gene set that leads a component the best adjusted p; how many components have one below .05."""
    table = method.learn(fold)
    best = table.groupby("gene_set")["adjusted"].min()
    count = int(table[table["adjusted"] < SIGNIFICANT]["component"].nunique())
    return {**{f"p {name}": float(p) for name, p in best.items()}, "significant_components": count}


_SCORED = {
    "semi-synthetic": score_semisynthetic,
    "colorectal": score_colorectal,
    "components": _score_components,
}
