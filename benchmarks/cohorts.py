"""The imputer on cohorts that its model never saw, beside baselines fitted on the table itself.

    python benchmarks/cohorts.py DATA COHORT... --keep FILE
    python benchmarks/cohorts.py tables FILE...

DATA is the folder of real data, COHORT one of tcga3, crcTCGA, mcrcOSLO, or a cancer of tcga11. The first
three are restored by the bundled model, which learned from tcga11; patients that tcga11 holds are left
out. For a cancer of tcga11 a model learns from the ten others (no encoder–decoder, 100 factors) and is
kept in a temporary folder. Random genes of the table; 10, 50 or 90 % of the values hidden, or all but a
panel of 64 or 256 genes in a fifth of the patients. The default of `Imputer.restore` is scored, which
weighs by hiding other values. Each baseline is fitted on the same table and takes the best of its
settings *by the score itself*, which flatters it: KNN with 5, 10 and 30 neighbours, rank 5, 10, 20 and
50, the Gaussian's covariance shrunk by .2, .5 and .8 (.5 alone where values are missing at random). RMSE
in the table's standard deviations. Seed 0 was looked at in making.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from histoscribe.bulk import BulkTable, read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.imputer import Imputer
from histoscribe.models import bundled
from histoscribe.record import record_of

FILES = {"tcga3": "tcga3_xena_log2tpm", "crcTCGA": "crcTCGAsubset", "mcrcOSLO": "mcrcOSLOsubset"}
CELLS = ("10 % missing", "50 % missing", "90 % missing", "64 genes", "256 genes")
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def opened(data: Path, stem: str) -> BulkTable:
    """A table with its samples, genes as symbols."""
    path = data / f"bulk/{stem}.expr.csv.gz"
    bulk = read_table(path)
    beside = file_beside(path)
    if beside is not None:
        bulk = with_samples(bulk, beside, roles={})
    features = data / f"bulk/{stem}.features.csv"
    if features.exists():
        about = pd.read_csv(features, dtype=str)
        symbols = dict(zip(about.iloc[:, 0], about["symbol"], strict=True))
        table = bulk.table.copy()
        table.var_names = pd.Index([symbols.get(gene) or gene for gene in table.var_names]).astype(str)
        bulk = replace(bulk, table=table[:, ~table.var_names.duplicated()].copy(), identifiers="symbol")
    return bulk


def cohort(data: Path, name: str) -> tuple[BulkTable, Imputer]:
    """A cohort in logarithms, and a model that has seen nobody of it."""
    trained = opened(data, "tcga11_tumor_normal")
    known = set(trained.table.obs["patient"].astype(str))
    if name in FILES:
        bulk = opened(data, FILES[name])
        kept = [str(sample)[:12] not in known for sample in bulk.table.obs_names]
        table = bulk.table[kept].copy()
        if bulk.scale == "counts":
            table.X = np.log2(table.X + 1)
        return replace(bulk, table=table, scale="log2", warnings=()), Imputer.load(bundled("imputer-tcga11"))
    of = (trained.table.obs["cancer"] == name).to_numpy()
    folder = Path(tempfile.gettempdir()) / "histoscribe-cohorts" / f"without-{name}"
    if not folder.exists():
        others = replace(trained, table=trained.table[~of].copy())
        Imputer(steps=0, factors=100).fit(others).save(folder, tissue="tumours", technology="bulk")
    return replace(trained, table=trained.table[of].copy(), warnings=()), Imputer.load(folder)


def shown_in(cell: str, shape: tuple[int, int], groups: NDArray[np.str_], seed: int) -> Mask:
    """What may be seen of the table."""
    random = np.random.default_rng((seed, CELLS.index(cell), 77))
    if cell.endswith("missing"):
        return np.asarray(random.random(shape) >= float(cell.split()[0]) / 100)
    shown = np.ones(shape, dtype=bool)
    patients = np.unique(groups)
    rows = np.isin(groups, random.choice(patients, len(patients) // 5, replace=False))
    panel = random.choice(shape[1], int(cell.split()[0]), replace=False)
    shown[np.ix_(rows, ~np.isin(np.arange(shape[1]), panel))] = False
    return shown


def nearest(values: Floats, known: Mask, count: int) -> Floats:
    """Mean of the nearest samples that know the gene, by genes that both know."""
    seen = known.astype(np.float32)
    shared = seen @ seen.T
    distance = (values**2) @ seen.T + seen @ (values**2).T - 2 * values @ values.T
    distance = np.where(shared < 3, np.inf, distance / np.maximum(shared, 1))
    np.fill_diagonal(distance, np.inf)
    found = np.zeros_like(values)
    order = np.argsort(distance, 1)
    for row in range(len(values)):
        ranked = np.where(known[order[row]], 1, 0).cumsum(0)
        near = known[order[row]] & (ranked <= count)
        found[row] = (values[order[row]] * near).sum(0) / np.maximum(near.sum(0), 1)
    return found


def low_rank(values: Floats, known: Mask, rank: int) -> Floats:
    """Fill, cut to a rank, repeat until nothing moves."""
    filled = values.copy()
    for _ in range(100):
        left, strengths, axes = randomized_svd(filled, min(rank, len(values) - 1), random_state=0, n_iter=2)
        fresh = np.where(known, values, (left * strengths) @ axes)
        moved, filled = np.abs(fresh - filled).mean(), fresh
        if moved < 5e-4:
            break
    return filled


def gaussian(values: Floats, known: Mask, shrunk: float) -> Floats:
    """The conditional Gaussian, its covariance from complete samples where most are, else in six rounds."""
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    complete = known.all(1)
    enough = complete.mean() > 0.5
    filled = values.copy()
    for _ in range(1 if enough else 6):
        source = filled[complete] if enough else filled
        covariance = (1 - shrunk) * (source.T @ source) / len(source)
        diagonal = np.diag_indices_from(covariance)
        covariance[diagonal] = np.maximum(covariance[diagonal] / (1 - shrunk), 0.3)
        fresh = filled.copy()
        for number, pattern in enumerate(patterns):
            rows = np.flatnonzero(which.reshape(-1) == number)
            if pattern.any() and not pattern.all():
                weights = np.linalg.solve(
                    covariance[np.ix_(pattern, pattern)], covariance[np.ix_(pattern, ~pattern)]
                )
                fresh[np.ix_(rows, ~pattern)] = values[rows][:, pattern] @ weights
        filled = fresh
    return filled


def chained(values: Floats, known: Mask, penalty: float) -> Floats:
    """scikit-learn's IterativeImputer with ridge regression on the 40 nearest genes."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from sklearn.linear_model import Ridge

    imputer = IterativeImputer(
        Ridge(penalty), n_nearest_features=40, max_iter=5, random_state=0, keep_empty_features=True
    )
    return np.asarray(imputer.fit_transform(np.where(known, values, np.nan)), dtype=np.float32)


BASELINES: dict[str, tuple[Callable[[Floats, Mask, float], Floats], tuple[float, ...]]] = {
    "KNN": (nearest, (5, 10, 30)),
    "low-rank": (low_rank, (5, 10, 20, 50)),
    "Gaussian": (gaussian, (0.2, 0.5, 0.8)),
    "IterativeImputer": (chained, (10.0,)),
}


def rows_of(bulk: BulkTable, model: Imputer, name: str, seed: int, genes: int) -> Iterator[dict[str, object]]:
    """One row a cell and method."""
    random = np.random.default_rng((seed, 78))
    table = bulk.table
    varied = np.flatnonzero(np.nanstd(table.X, 0) > 1e-3)
    table = table[:, np.sort(random.choice(varied, min(genes, len(varied)), replace=False))].copy()
    truth = np.asarray(table.X, dtype=np.float32)
    groups = np.asarray(table.obs.get("patient", table.obs_names), dtype=str)
    spread = np.nanstd(truth, 0)
    for cell in CELLS:
        known = shown_in(cell, truth.shape, groups, seed) & ~np.isnan(truth)
        hidden = ~known & ~np.isnan(truth)
        holed = table.copy()
        holed.X = np.where(known, truth, np.nan).astype(np.float32)
        about = {"cohort": name, "seed": seed, "cell": cell, "samples": len(truth)}

        def missed(found: Floats, hidden: Mask = hidden) -> Floats:
            return np.where(hidden, (found - truth) / spread, 0)

        def rmse(found: Floats, hidden: Mask = hidden) -> float:
            return float(np.sqrt((missed(found) ** 2).sum() / hidden.sum()))

        result = model.restore(replace(bulk, table=holed))[:, table.var_names]
        found, sd = result.layers["restored"], result.layers["sd"]
        inside = float((np.abs(found - truth) <= 1.645 * sd)[hidden].mean())
        told = record_of(result).hidden_cover
        yield {**about, "method": "histoscribe", "rmse": rmse(found), "cover": inside, "told": told,
               "genes in model": int(np.isin(table.var_names, model.genes).sum())}  # fmt: skip
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, truth, 0).sum(0) / count
        scale = np.sqrt((np.where(known, truth - mean, 0) ** 2).sum(0) / count)
        scale = np.where(scale > 1e-6, scale, 1)
        values = np.where(known, (truth - mean) / scale, 0).astype(np.float32)
        yield {**about, "method": "gene mean", "rmse": rmse(np.broadcast_to(mean, truth.shape))}
        for method, (restore, settings) in BASELINES.items():
            if method == "Gaussian" and cell.endswith("missing"):
                settings = (0.5,)  # every sample is a solve of its own
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores = {some: rmse(restore(values, known, some) * scale + mean) for some in settings}
            best = min(scores, key=lambda some: scores[some])
            yield {**about, "method": method, "rmse": scores[best], "setting": best}


def tables(paths: list[Path]) -> None:
    """RMSE of each method, mean over seeds; the gain on the best baseline with its interval over seeds."""
    from scipy import stats

    frame = pd.DataFrame(json.loads(line) for path in paths for line in path.read_text().splitlines())
    methods = ["gene mean", *BASELINES, "histoscribe"]
    print(
        "| cohort | hidden | " + " | ".join(methods) + " | below the best baseline | 90 % intervals cover |"
    )
    print("| --- " * (len(methods) + 4) + "|")
    for (name, cell), part in frame.groupby(["cohort", "cell"], sort=False):
        wide = part.pivot(index="seed", columns="method", values="rmse")
        mean = wide.mean()
        gain = wide.reindex(columns=list(BASELINES)).min(axis=1) - wide["histoscribe"]
        width = stats.t.ppf(0.975, len(gain) - 1) * gain.std() / len(gain) ** 0.5 if len(gain) > 1 else np.nan
        said = f"{gain.mean():.3f}" + (f" ± {width:.3f}" if np.isfinite(width) else "")
        cover = part["cover"].dropna().mean()
        print(f"| {name} | {cell} | " + " | ".join(f"{mean[method]:.3f}" for method in methods), end="")
        print(f" | {said} | {cover:.3f} |")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("cohort", nargs="+")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--genes", type=int, default=400)
    given = parser.parse_args()
    if given.data == "tables":
        tables([Path(path) for path in given.cohort])
        return
    for name in given.cohort:
        bulk, model = cohort(Path(given.data), name)
        for seed in range(1, given.seeds + 1):
            for row in rows_of(bulk, model, name, seed, given.genes):
                line = json.dumps(row)
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
                if given.keep:
                    with given.keep.open("a") as kept:
                        kept.write(f"{line}\n")


if __name__ == "__main__":
    main()
