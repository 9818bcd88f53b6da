"""What programmes and classes are worth on patients held out, beside baselines in the same folds.

python benchmarks/answers.py planted                       programmes of the simulator, and their hazards
python benchmarks/answers.py survival DATA COHORT SEED     COHORT: BLCA, STAD, COADREAD (tcga3), tcga11
python benchmarks/answers.py tables answers.jsonl          what the other commands have kept, as Markdown

Everything is appended to answers.jsonl in the working folder; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.bulk import BulkTable, read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.programmes import Programmes
from histoscribe.programmes.choosing import draw_folds, risks
from histoscribe.programmes.cox import Survival, partial_likelihood, ridge_cox, survival_in
from histoscribe.programmes.factors import GeneScaling, factorise, project

KEPT = Path("answers.jsonl")
OUTER, INNER, GENES = 3, 3, 1000
Risk = Callable[[np.ndarray, Survival, np.ndarray], np.ndarray]


def keep(row: dict[str, Any]) -> None:
    """Append one score."""
    print(json.dumps(row), flush=True)
    with KEPT.open("a") as file:
        file.write(json.dumps(row) + "\n")


def kept() -> list[dict[str, Any]]:
    """All scores so far."""
    return [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []


# survival


def cohort(data: Path, name: str) -> tuple[BulkTable, np.ndarray]:
    """Patients whose survival is known, one sample each, and their cancers."""
    table, event = ("tcga11_tumor_normal", "OS") if name == "tcga11" else ("tcga3_xena_log2tpm", "DSS")
    path = data / "bulk" / f"{table}.expr.csv.gz"
    only = "sample_type=primary_tumor" if name == "tcga11" else f"cancer={name}"
    roles = {"time": f"{event}.time", "event": event}
    bulk = with_samples(read_table(path, scale="log2"), file_beside(path), roles=roles, only=only)
    bulk.table.obs["patient"] = bulk.table.obs.get("patient", bulk.table.obs_names.to_series().str[:12])
    bulk.table.obs_names_make_unique()
    known = survival_in(bulk).known & ~bulk.table.obs["patient"].duplicated().to_numpy()
    small = BulkTable(name, bulk.table[known].copy(), bulk.scale, bulk.identifiers)
    return small, small.table.obs["cancer"].astype(str).to_numpy()


def concordance(survival: Survival, risk: np.ndarray, kinds: np.ndarray | None = None) -> float:
    """Harrell's C, of pairs of one kind alone where kinds are given."""
    first = (survival.time[:, None] < survival.time) & (survival.event[:, None] == 1)
    first &= True if kinds is None else kinds[:, None] == kinds
    difference = np.sign(risk[:, None] - risk)
    return float(0.5 + difference[first].sum() / first.sum() / 2)


def by_inner_folds(options: Iterable[Any], risk: Callable[[Any], Risk]) -> Risk:
    """The option that does best on inner folds."""

    def found(x: np.ndarray, survival: Survival, asked: np.ndarray) -> np.ndarray:
        fold = draw_folds(list(map(str, range(len(x)))), survival, INNER, 0)
        scores = {}
        for option in options:
            told = np.zeros(len(x))
            for one in range(INNER):
                out = fold == one
                told[out] = standard(risk(option)(x[~out], survival[~out], x[out]))
            scores[option] = concordance(survival, told)
        return risk(max(scores, key=scores.__getitem__))(x, survival, asked)

    return found


def standard(risk: np.ndarray) -> np.ndarray:
    """Log risks of one fold, comparable with those of another."""
    return (risk - risk.mean()) / (risk.std() + 1e-9)


def scaled(x: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in standard deviations of the first."""
    mean, sd = x.mean(0), x.std(0) + 1e-6
    return (x - mean) / sd, (asked - mean) / sd


def ridge_on_components(penalty: float) -> Risk:
    """Ridge Cox on 20 principal components of log values."""

    def risk(x: np.ndarray, survival: Survival, asked: np.ndarray) -> np.ndarray:
        from sklearn.decomposition import PCA

        x, asked = scaled(x, asked)
        model = PCA(20, random_state=0)
        x, asked = scaled(model.fit_transform(x), model.transform(asked))
        return asked @ ridge_cox(x, survival, penalty)

    return risk


def lasso(share: float) -> Risk:
    """Lasso Cox on all genes, accelerated proximal gradient; `share` of the penalty that leaves none."""

    def risk(x: np.ndarray, survival: Survival, asked: np.ndarray) -> np.ndarray:
        x, asked = scaled(x, asked)
        n = len(x)
        penalty = share * np.abs(x.T @ partial_likelihood(np.zeros(n), survival)[1] / n).max()
        step = 4 / (np.linalg.norm(x, 2) ** 2 / n * max(survival.event.mean(), 0.1))
        b, ahead, t = np.zeros(x.shape[1]), np.zeros(x.shape[1]), 1.0
        for _ in range(300):
            moved = ahead + step * x.T @ partial_likelihood(x @ ahead, survival)[1] / n
            fresh = np.sign(moved) * np.maximum(np.abs(moved) - step * penalty, 0)
            later = (1 + np.sqrt(1 + 4 * t * t)) / 2
            ahead, b, t = fresh + (t - 1) / later * (fresh - b), fresh, later
        return asked @ b

    return risk


def published(number: int) -> Callable[[float], Risk]:
    """CoxNMF as published: survival bends the activities of the training patients themselves."""

    def weighed(weight: float) -> Risk:
        def risk(x: np.ndarray, survival: Survival, asked: np.ndarray) -> np.ndarray:
            scaling = GeneScaling.of(roots(x))
            x, asked = scaling.apply(roots(x)), scaling.apply(roots(asked))
            start = factorise(x, number, seed=0)
            h, w = start.activities + 1e-9, start.loadings + 1e-9
            pull_of = weight * float((x**2).sum()) / 2 / survival.events
            b = np.zeros(number)
            for turn in range(150):
                size = np.linalg.norm(w, axis=1) + 1e-9
                h, w = h * size, w / size[:, None]
                if turn % 5 == 0:
                    spread = h.std(0) + 1e-9
                    b = ridge_cox((h - h.mean(0)) / spread, survival, 0.01) / spread
                pull = pull_of * np.outer(partial_likelihood(h @ b, survival)[1], b)
                h = h * (x @ w.T + np.maximum(pull, 0)) / (h @ (w @ w.T) + np.maximum(-pull, 0) + 1e-9)
                w = w * (h.T @ x) / (h.T @ h @ w + 1e-9)
            return project(asked, w) @ b

        return risk

    return weighed


def roots(x: np.ndarray) -> np.ndarray:
    """Roots of abundances from their log2."""
    return np.sqrt(np.maximum(np.exp2(x) - 1, 0))


def survival(data: Path, name: str, seed: int) -> None:
    """Every method on the same folds of one seed."""
    bulk, kinds = cohort(data, name)
    known = survival_in(bulk)
    values = np.nan_to_num(np.asarray(bulk.table.X, dtype=np.float64))
    fold = draw_folds([str(one) for one in bulk.table.obs["patient"]], known, OUTER, seed)
    told: dict[str, np.ndarray] = {}
    numbers, weights, steady = [], [], []
    for one in range(OUTER):
        out = fold == one
        train = known[~out]
        learned = Programmes(genes=GENES, seed=seed).fit(
            BulkTable(name, bulk.table[~out].copy(), bulk.scale, bulk.identifiers), survival=("time", "event")
        )
        own = learned.card.settings
        genes = bulk.table.var_names.get_indexer(list(learned.genes))
        scaling, loadings = learned.fitted.scaling, learned.fitted.loadings
        x = [project(scaling.apply(roots(values[rows][:, genes])), loadings) for rows in (~out, out)]
        found = {"histoscribe": risks(x[0], train, x[1])}
        numbers.append(own["number"])
        weights.append(own["weight"])
        steady.append(learned.table[["over_seeds", "over_folds"]].mean().tolist())
        plain = GeneScaling.of(roots(values[~out][:, genes]))
        both = [plain.apply(roots(values[rows][:, genes])) for rows in (~out, out)]
        w = factorise(both[0], own["number"], seed=seed).loadings
        found["NMF, survival never asked"] = risks(project(both[0], w), train, project(both[1], w))
        given = (values[~out][:, genes], train, values[out][:, genes])
        found["CoxNMF as published"] = by_inner_folds((0.01, 0.1), published(own["number"]))(*given)
        whole = (values[~out], train, values[out])
        found["PCA (20) + ridge Cox"] = by_inner_folds((0.01, 0.1, 1.0), ridge_on_components)(*whole)
        found["lasso Cox"] = by_inner_folds((0.8, 0.6, 0.45, 0.3), lasso)(*whole)
        for method, risk in found.items():
            told.setdefault(method, np.zeros(len(kinds)))[out] = standard(risk)
    about = {"what": "survival", "cohort": name, "seed": seed, "patients": len(kinds), "events": known.events}
    for method, risk in told.items():
        row = {**about, "method": method, "C": round(concordance(known, risk), 4)}
        if len(set(kinds)) > 1:
            row["C within types"] = round(concordance(known, risk, kinds), 4)
        keep(row)
    keep({**about, "method": "settings", "numbers": numbers, "weights": weights, "stability": steady})


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["survival"])
    parser.add_argument("more", nargs="*")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.what == "survival":
        data, name, seed = given.more
        survival(Path(data), name, int(seed))


if __name__ == "__main__":
    main()
