"""The imputer's benchmark: hidden values, few genes, classes, survival and spots, each over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupKFold

from histoscribe.benchmark.engine import Benchmark
from histoscribe.benchmark.imputer import heldout
from histoscribe.benchmark.imputer.spots import hold_section, score_spots
from histoscribe.benchmark.imputer.survival import patients_in, score_survival
from histoscribe.benchmark.ledger import Score, data_digest
from histoscribe.benchmark.methods import Method, chosen_methods
from histoscribe.benchmark.tables import TableLayout
from histoscribe.errors import TableError, require_known
from histoscribe.imputer.units import groups_of
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable
    from histoscribe.imputer import Imputer
    from histoscribe.section import Section

_FOLDS = 5
_STANDARD = "standard deviations of the training patients"
_FIFTH = "a fifth of the patients held out"
_INTERVALS = "95 %; of a seed by bootstrap over held-out samples (gene r: over genes), of all by Student's"
_ROOM = "histoscribe.benchmark.imputer"
_CODE = (__name__, f"{_ROOM}.heldout", f"{_ROOM}.survival", f"{_ROOM}.spots")


@dataclass(frozen=True)
class _Task:
    """How a task divides, in what units it scores, and the measure that methods are compared by."""

    split: str
    units: str
    headline: str = "RMSE"


TASKS = {
    "random": _Task(_FIFTH, _STANDARD),
    "low": _Task(_FIFTH, _STANDARD),
    "panels": _Task(_FIFTH, _STANDARD),
    "classes": _Task("five folds of whole patients", "share of samples told rightly", "accuracy"),
    "survival": _Task(
        "five folds of patients, within classes", "Harrell's C, a higher risk dies sooner", "C-index"
    ),
    "spots": _Task(
        "one section held out",
        "log1p of counts per 10,000; RMSE in standard deviations of the training spots",
        "gene r",
    ),
}


def imputer_benchmark(
    task: str,
    bulk: BulkTable,
    *,
    seeds: Sequence[int],
    methods: Sequence[str] = (),
    genes: int | None = None,
    progress: Progress | None = None,
) -> Benchmark:
    """Hide what a table of samples knows, and restore it.

    `task`: `random`, `low`, `panels`, `classes` or `survival`; `seeds`: each draws its own patients and
    hidden values; `methods`: all of the task by default; `genes`: so many random ones, for values missing at
    random. Raises `SettingError` for an unknown task or method.
    """
    require_known("task", [task], [name for name in TASKS if name != "spots"])
    told = progress or Progress()

    def open_fold(seed: int) -> Any:
        if task == "classes":
            return bulk, seed
        return (
            patients_in(bulk, seed, told) if task == "survival" else heldout.hold_out(bulk, seed, genes=genes)
        )

    def scored(fold: Any, method: Method) -> dict[str, heldout.Figure]:
        if task == "classes":
            return score_classes(fold[0], method, fold[1])
        if task == "survival":
            return score_survival(fold, method)
        restore = method.learn(fold)
        return {
            f"{measure}, {where}": figure
            for where, seen in heldout.masks(task, fold)
            for measure, figure in heldout.score(fold, restore, seen).items()
        }

    obs = bulk.table.obs
    known = [np.asarray(obs[one].astype(str)) for one in ("patient", "class", "time", "event") if one in obs]
    values = np.asarray(bulk.table.X)
    about = {"genes": genes, "data": data_digest(values, list(bulk.table.var_names), *known)}
    settings = {"genes": genes or "all"}
    return _declared(task, bulk.name, seeds, methods, open_fold, scored, about, settings)


def spots_benchmark(
    sections: Sequence[Section],
    test: str,
    *,
    dataset: str,
    seeds: Sequence[int],
    methods: Sequence[str] = (),
    genes: int = 1000,
    hidden: int = 300,
    pretrained: Imputer | None = None,
    progress: Progress | None = None,
) -> Benchmark:
    """Hide genes of one section, and restore them from the others.

    `test`: name of the section that is restored; `dataset`: for the records; `seeds`: each hides other genes;
    `genes`: how many of the best-measured ones; `hidden`: how many of these are hidden; `pretrained`: what
    `histoscribe` tunes. Raises `SettingError` for an unknown method.
    """

    def open_fold(seed: int) -> heldout.HeldOut:
        return hold_section(
            sections, test, genes=genes, hidden=hidden, seed=seed, pretrained=pretrained, progress=progress
        )

    digests = [data_digest(np.asarray(one.table.X.sum(axis=0)), one.genes, [one.name]) for one in sections]
    model = None if pretrained is None else pretrained.card.sha256
    about = {"genes": genes, "hidden": hidden, "test": test, "data": digests, "model": model}
    settings = {"genes": genes, "hidden": hidden, "section": test}
    return _declared("spots", dataset, seeds, methods, open_fold, score_spots, about, settings)


def _declared(
    task: str,
    dataset: str,
    seeds: Sequence[int],
    methods: Sequence[str],
    open_fold: Callable[[int], Any],
    scored: Callable[[Any, Method], dict[str, heldout.Figure]],
    about: dict[str, Any],
    settings: dict[str, Any],
) -> Benchmark:
    own, split = TASKS[task], "section" if task == "spots" else "patient"
    told = {"task": task, "dataset": dataset, "split": own.split, **settings}
    lead = f"{own.split.capitalize()}; {own.units}."

    def score_fold(name: str, fold: Any, method: Method) -> Iterator[Score]:
        for measure, (value, low, high) in scored(fold, method).items():
            yield Score(method.name, dataset, split, name, measure, value, low, high)

    return Benchmark(
        kind=f"imputer {task}",
        folds={f"seed {seed}": partial(open_fold, seed) for seed in seeds},
        methods=chosen_methods(f"imputer {task}", methods),
        score=score_fold,
        over="seeds",
        about={"dataset": dataset, **about},
        code=_CODE,
        settings=told | {"seeds": list(seeds), "units": own.units, "intervals": _INTERVALS},
        layout=TableLayout(f"Imputers on {dataset}: {task}", lead, own.headline, own.headline == "RMSE"),
    )


def score_classes(bulk: BulkTable, method: Method, seed: int) -> dict[str, heldout.Figure]:
    """Accuracy of one method with each number of genes, over five folds of whole patients.

    The method is called with a table of training samples, their classes and a table of held-out samples, and
    returns the classes of these; samples of no class are left out. The interval is a bootstrap over
    samples. Raises `TableError` if the table names no classes.
    """
    table = bulk.table
    if "class" not in table.obs or table.obs["class"].nunique() < 2:
        raise TableError("it names no classes", where=bulk.name, remedy="name their column with --class")
    bulk = replace(bulk, table=(table := table[table.obs["class"].notna()].copy()))
    labels = table.obs["class"].astype(str).to_numpy()
    folds = GroupKFold(_FOLDS, shuffle=True, random_state=seed)
    random = np.random.default_rng(seed)
    found = {}
    for count in heldout.PANELS:
        if count >= table.n_vars:
            continue
        genes = np.sort(random.choice(table.n_vars, count, replace=False))
        right = np.zeros(len(labels))
        for train, test in folds.split(labels, groups=groups_of(bulk, None)):
            known, asked = (replace(bulk, table=table[rows][:, genes].copy()) for rows in (train, test))
            right[test] = method.learn(known, labels[train], asked) == labels[test]
        found[f"accuracy, {count:,} genes"] = heldout.pooled(right, np.ones(len(right)))
    return found
