"""One run of the imputer's benchmark: tasks, seeds and methods, kept as they are done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoscribe.benchmark.imputer import baselines, classifying, spots, surviving
from histoscribe.benchmark.imputer.holdout import hold_out
from histoscribe.benchmark.imputer.kept import Kept
from histoscribe.benchmark.imputer.missing import KINDS, masks
from histoscribe.benchmark.imputer.scores import Row, over_folds, rows, score
from histoscribe.errors import SettingError
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.imputer import Imputer

METHODS: dict[str, tuple[str, ...]] = {
    **{
        kind: tuple(name for name in baselines.METHODS if name not in baselines.NOT_FOR[kind])
        for kind in KINDS
    },
    "classes": tuple(classifying.METHODS),
    "survival": surviving.METHODS,
    "spots": spots.METHODS,
}
TASKS = tuple(METHODS)


@dataclass(frozen=True, eq=False)
class Plan:
    """What one run of the benchmark does.

    Parameters
    ----------
    task : str
        One of `TASKS`.
    data : BulkTable or Spots maker
        What it works on: a table, or for `spots` a function from a seed to `Spots`.
    dataset : str
        Name for the records.
    seeds : tuple of int
    methods : tuple of str
        All of the task by default.
    genes : int, optional
        So many random genes, for values missing at random.
    pretrained : Imputer, optional
        For `spots`.
    """

    task: str
    data: Any
    dataset: str
    seeds: tuple[int, ...]
    methods: tuple[str, ...] = ()
    genes: int | None = None
    pretrained: Imputer | None = None


def run_imputer_benchmark(
    plan: Plan, *, kept: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Score every method on the same held-out values, genes and folds.

    Parameters
    ----------
    plan : Plan
    kept : Path, optional
        A file that keeps what is done, seed by seed and method by method, for going on later.
    progress : Progress, optional

    Returns
    -------
    dict
        `settings` and `records`, ready for JSON.

    Raises
    ------
    SettingError
        For an unknown task or method.
    """
    progress = progress or Progress()
    plan = _checked(plan)
    done = Kept(kept, (plan.task, plan.dataset, plan.genes))
    jobs = [(seed, method) for seed in plan.seeds for method in plan.methods]
    records: list[Row] = []
    for number, (seed, method) in enumerate(jobs):
        progress.report(f"{plan.task}, seed {seed}, {method}", number, len(jobs))
        records += done.remember(seed, method, partial(_scored, plan, seed, method, done, progress))
    settings = {
        "task": plan.task, "dataset": plan.dataset, "split": _SPLITS[plan.task], "genes": plan.genes or "all",
        "seeds": list(plan.seeds), "methods": list(plan.methods), "units": _UNITS[plan.task],
        "intervals": "95 %; of a seed by bootstrap over held-out samples (gene r: over genes), of all by "
        "Student's t over seeds",
    }  # fmt: skip
    return {"settings": settings, "records": [*records, *over_folds(records)]}


_SPLITS = {
    **dict.fromkeys(KINDS, "a fifth of the patients held out"),
    "classes": "five folds of whole patients",
    "survival": "five folds of patients, within classes",
    "spots": "one section held out",
}
_UNITS = {
    **dict.fromkeys(KINDS, "standard deviations of the training patients"),
    "classes": "share of samples told rightly",
    "survival": "Harrell's C, a higher risk dies sooner",
    "spots": "log1p of counts per 10,000; RMSE in standard deviations of the training spots",
}


def _scored(plan: Plan, seed: int, method: str, done: Kept, progress: Progress) -> list[Row]:
    if plan.task == "survival":
        found = surviving.surviving(plan.data, seed, progress, partial(done.remember, seed))[method]
    elif plan.task == "classes":
        found = classifying.classifying(plan.data, method, seed)
    elif plan.task == "spots":
        found = spots.restoring_spots(plan.data(seed), method, seed, plan.pretrained, progress)
    else:
        held = hold_out(plan.data, seed, genes=plan.genes)
        restore = baselines.METHODS[method](held)
        found = {
            f"{measure}, {where}": figure
            for where, seen in masks(plan.task, held)
            for measure, figure in score(held, restore, seen).items()
        }
    split = "section" if plan.task == "spots" else "patient"
    return rows(method, plan.dataset, split, f"seed {seed}", found)


def _checked(plan: Plan) -> Plan:
    if plan.task not in TASKS:
        raise SettingError(f"no task is called {plan.task!r}", remedy=f"choose from {', '.join(TASKS)}")
    known = METHODS[plan.task]
    unknown = sorted(set(plan.methods) - set(known))
    if unknown:
        raise SettingError(
            f"no method is called {unknown[0]!r}", where="--methods", remedy=f"choose from {', '.join(known)}"
        )
    return replace(plan, methods=plan.methods or known)
