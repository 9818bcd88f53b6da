"""Measure the imputer beside its baselines, on the same patients and the same hidden values.

    python benchmarks/imputer.py random  DATA [--seeds 3]    values missing at random, 1,000 random genes
    python benchmarks/imputer.py panels  DATA [--seeds 3]    64, 256, 1,024 observed genes of all
    python benchmarks/imputer.py low     DATA [--seeds 3]    low values missing more often

DATA is the folder of real data. Each prints its settings and a table in Markdown. A fifth of the patients
is held out; everything is learned on the others. RMSE and MAE are in standard deviations of the training
patients; intervals are the t interval over seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import stats

from histoscribe.bulk import read_table
from histoscribe.imputer import Imputer

RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
PANELS = (64, 256, 1024)
Restore = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


class Split:
    """Standardised training and test patients of one seed."""

    def __init__(self, table: AnnData, seed: int, genes: int | None) -> None:
        random = np.random.default_rng(seed)
        values = np.asarray(table.X, dtype=np.float32)
        chosen = (
            np.sort(random.choice(table.n_vars, genes, replace=False)) if genes else np.arange(table.n_vars)
        )
        patients = np.unique(table.obs["patient"])
        held = random.choice(patients, len(patients) // 5, replace=False)
        self.test = np.isin(table.obs["patient"], held)
        self.table = table[:, chosen].copy()
        values = values[:, chosen]
        self.mean, self.sd = np.nanmean(values[~self.test], 0), np.nanstd(values[~self.test], 0)
        z = (values - self.mean) / self.sd
        self.train, self.truth = z[~self.test], z[self.test]
        self.known = ~np.isnan(self.truth)
        self.kind = (table.obs["cancer"].astype(str) + table.obs["sample_type"].astype(str)).to_numpy()
        self.random = np.random.default_rng(1000 + seed)


def gene_mean(split: Split) -> Restore:
    """The mean of the training patients."""
    return lambda x: (np.zeros_like(x), None)


def class_mean(split: Split) -> Restore:
    """Means of cancer and tumour/normal, which it is told: no other method knows them."""
    kinds, train = split.kind[split.test], split.kind[~split.test]
    means = {kind: np.nanmean(split.train[train == kind], 0) for kind in np.unique(train)}
    return lambda x: (
        np.nan_to_num(np.array([means.get(kind, np.zeros(x.shape[1])) for kind in kinds])),
        None,
    )


def knn(split: Split) -> Restore:
    """Mean of the ten nearest training samples by the observed genes."""
    train = np.nan_to_num(split.train)

    def restore(x: np.ndarray) -> tuple[np.ndarray, None]:
        seen = ~np.isnan(x)
        filled = np.where(seen, x, 0)
        distance = (filled**2).sum(1)[:, None] - 2 * filled @ train.T + seen @ (train**2).T
        nearest = np.argpartition(distance, 10, axis=1)[:, :10]
        return train[nearest].mean(1), None

    return restore


def low_rank(split: Split) -> Restore:
    """Fill, project on 50 principal components of the training samples, repeat."""
    train = np.nan_to_num(split.train)
    _, _, axes = np.linalg.svd(train, full_matrices=False)
    axes = axes[:50]

    def restore(x: np.ndarray) -> tuple[np.ndarray, None]:
        seen, filled = ~np.isnan(x), np.nan_to_num(x)
        guess = filled
        for _ in range(30):
            guess = filled @ axes.T @ axes
            filled = np.where(seen, np.nan_to_num(x), guess)
        return guess, None

    return restore


def conditional_gaussian(split: Split) -> Restore:
    """Exact, every pattern solved for itself; covariance shrunk by 0.2 towards its diagonal."""
    train = np.nan_to_num(split.train).astype(np.float64)
    covariance = train.T @ train / len(train)
    covariance = 0.8 * covariance + 0.2 * np.diag(np.diag(covariance))

    def restore(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result, spread = np.zeros(x.shape), np.ones(x.shape)
        seen = ~np.isnan(x)
        patterns, which = np.unique(seen, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows = np.flatnonzero(which.reshape(-1) == number)
            weights = np.linalg.solve(
                covariance[np.ix_(pattern, pattern)], covariance[np.ix_(pattern, ~pattern)]
            )
            result[np.ix_(rows, ~pattern)] = x[rows][:, pattern] @ weights
            left = np.diag(covariance)[~pattern] - (covariance[np.ix_(pattern, ~pattern)] * weights).sum(0)
            spread[np.ix_(rows, ~pattern)] = np.sqrt(np.maximum(left, 1e-6))
        return result, spread

    return restore


def ridge_panel(split: Split) -> Restore:
    """Ridge from the observed genes of a panel; needs the same genes in every sample."""
    train = np.nan_to_num(split.train)

    def restore(x: np.ndarray) -> tuple[np.ndarray, None]:
        from sklearn.linear_model import RidgeCV

        seen = ~np.isnan(x).all(0)
        model = RidgeCV(alphas=np.array([0.03, 0.1, 0.3, 1.0, 3.0]) * seen.sum())
        model.fit(train[:, seen], train[:, ~seen])
        result = np.zeros_like(x)
        result[:, ~seen] = model.predict(np.nan_to_num(x[:, seen]))
        return result, None

    return restore


def iterative(split: Split) -> Restore:
    """scikit-learn's IterativeImputer with 40 nearest features; fitted with holes in every column.

    A column that is complete when it is fitted is later filled with its mean, so a tenth of the training
    values is hidden at fit.
    """
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from sklearn.linear_model import Ridge

    train = np.where(split.random.random(split.train.shape) < 0.1, np.nan, split.train)
    imputer = IterativeImputer(Ridge(10.0), n_nearest_features=40, max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imputer.fit(train)
    return lambda x: (imputer.transform(x), None)


def histoscribe(split: Split) -> Restore:
    """The product, in its default settings."""
    imputer = Imputer().fit(split.table[~split.test].copy())
    test = split.table[split.test].copy()

    def restore(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        test.X = (x * split.sd + split.mean).astype(np.float32)
        result = imputer.restore(test)[:, split.table.var_names]
        return (result.layers["restored"] - split.mean) / split.sd, result.layers["sd"] / split.sd

    return restore


METHODS: dict[str, Callable[[Split], Restore]] = {
    "gene mean": gene_mean,
    "class mean (told)": class_mean,
    "KNN-10": knn,
    "iterative low-rank 50": low_rank,
    "IterativeImputer": iterative,
    "conditional Gaussian": conditional_gaussian,
    "ridge": ridge_panel,
    "histoscribe": histoscribe,
}


def score(split: Split, restore: Restore, seen: np.ndarray) -> dict[str, float]:
    """Hide what is not `seen`, restore it, and compare."""
    began = time.perf_counter()
    guess, spread = restore(np.where(seen & split.known, split.truth, np.nan))
    hidden = ~seen & split.known
    missed = np.where(hidden, guess - split.truth, 0.0)
    error = missed[hidden]
    found = {
        "RMSE": float(np.sqrt(np.mean(error**2))),
        "MAE": float(np.mean(np.abs(error))),
        "gene r": _mean_r(guess, split.truth, hidden, 0),
        "sample r": _mean_r(guess, split.truth, hidden, 1),
        "seconds": time.perf_counter() - began,
    }
    if spread is not None:
        found["cover 90"] = float(np.mean(np.abs(error) < 1.6449 * spread[hidden]))
    return found


def _mean_r(guess: np.ndarray, truth: np.ndarray, hidden: np.ndarray, axis: int) -> float:
    weight = hidden / np.maximum(hidden.sum(axis, keepdims=True), 1)
    a = guess - (np.nan_to_num(guess) * weight).sum(axis, keepdims=True)
    b = np.nan_to_num(truth)
    b = b - (b * weight).sum(axis, keepdims=True)
    power = np.sqrt((a**2 * weight).sum(axis) * (b**2 * weight).sum(axis))
    use = (hidden.sum(axis) >= 10) & (power > 1e-9)
    return float(((a * b * weight).sum(axis)[use] / power[use]).mean()) if use.any() else float("nan")


def _tcga11(data: Path) -> AnnData:
    table = read_table(data / "bulk" / "tcga11_tumor_normal.expr.csv.gz").table
    table.obs = pd.read_csv(data / "bulk" / "tcga11_tumor_normal.meta.csv", index_col=0).loc[table.obs_names]
    return table


def _masks(kind: str, split: Split) -> Iterator[tuple[str, np.ndarray]]:
    shape = split.truth.shape
    if kind == "panels":
        for count in PANELS:
            seen = np.zeros(shape, dtype=bool)
            seen[:, split.random.choice(shape[1], count, replace=False)] = True
            yield f"{count:,} genes", seen
        return
    chance = split.random.random(shape)
    for rate in RATES:
        if kind == "low":
            ranks = stats.rankdata(np.nan_to_num(split.truth), axis=1) / shape[1]
            yield f"{rate:.0%}", chance >= np.minimum(2 * rate * (1 - ranks), 0.98)
        else:
            yield f"{rate:.0%}", chance >= rate


def restoring(kind: str, data: Path, seeds: int, methods: list[str], kept: Path | None) -> None:
    """Restore hidden values with every method and print the tables; done work in `kept` is not redone."""
    table = _tcga11(data)
    genes = None if kind == "panels" else 1000
    skipped = {"random": {"ridge"}, "low": {"ridge"}, "panels": {"IterativeImputer"}}[kind]
    records = [json.loads(line) for line in kept.open()] if kept and kept.exists() else []
    done = {(record["seed"], record["method"]) for record in records}
    for seed in range(seeds):
        split = Split(table, seed, genes)
        masks = list(_masks(kind, split))
        for name in methods:
            if name in skipped or (seed, name) in done:
                continue
            began = time.perf_counter()
            restore = METHODS[name](split)
            about = {"seed": seed, "method": name, "fit s": time.perf_counter() - began}
            fresh = [{**about, "missing": label, **score(split, restore, seen)} for label, seen in masks]
            records += fresh
            if kept:
                with kept.open("a") as stream:
                    stream.writelines(json.dumps(record) + "\n" for record in fresh)
            print(f"seed {seed}, {name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    frame = pd.DataFrame(records)
    print(
        f"tcga11, {genes or table.n_vars:,} genes, 1/5 of patients held out, {seeds} seeds, log2, z units\n"
    )
    for measure in ("RMSE", "MAE", "gene r", "sample r", "cover 90", "fit s"):
        _print_table(frame, measure)


def _print_table(frame: pd.DataFrame, measure: str) -> None:
    labels = list(dict.fromkeys(frame["missing"]))
    print(f"| {measure} | " + " | ".join(labels) + " |\n| --- |" + " --- |" * len(labels))
    for method in dict.fromkeys(frame["method"]):
        cells = []
        for label in labels:
            chosen = frame[(frame["method"] == method) & (frame["missing"] == label)]
            values = chosen[measure].dropna().to_numpy() if measure in chosen else np.array([])
            cells.append(_with_interval(values) if len(values) else "")
        if any(cells):
            print(f"| {method} | " + " | ".join(cells) + " |")
    print(flush=True)


def _with_interval(values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["random", "panels", "low"])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--records", type=Path, help="a file that keeps what is done, for going on later")
    arguments = parser.parse_args()
    restoring(arguments.what, arguments.data, arguments.seeds, arguments.methods, arguments.records)


if __name__ == "__main__":
    main()
