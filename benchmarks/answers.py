"""What programmes and classes are worth on patients held out, beside baselines in the same folds.

python benchmarks/answers.py planted SEED                     programmes of the simulator, and their hazards
python benchmarks/answers.py survival DATA COHORT SEED     COHORT: BLCA, STAD, COADREAD (tcga3), tcga11
python benchmarks/answers.py classes DATA SEED             tcga11's tumours by 64, 256, 1,024 random genes
python benchmarks/answers.py unknown DATA SEED             each type left out, told alone and together
python benchmarks/answers.py reasons DATA SEED             genes deleted in the order of their Shapley values
python benchmarks/answers.py slides SEED                   labels of simulated slides, single and several
python benchmarks/answers.py tables                        what the other commands have kept, as Markdown

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
from anndata import AnnData

from histoscribe.benchmark.engine import mean_over
from histoscribe.bulk import BulkTable, read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.classifier import UNKNOWN, Classifier
from histoscribe.labeller import Bag, Labeller
from histoscribe.programmes import Programmes
from histoscribe.programmes.choosing import draw_folds, risks
from histoscribe.programmes.cox import Survival, partial_likelihood, ridge_cox, survival_in
from histoscribe.programmes.factors import GeneScaling, factorise, project

KEPT = Path("answers.jsonl")
OUTER, INNER, GENES = 3, 3, 1000
KINDS = ("tumour", "t_cell", "fibroblast", "hypoxia", "division")
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
        asked = BulkTable(name, bulk.table[out].copy(), bulk.scale, bulk.identifiers)
        told_by = learned.project(asked).obs["log_hazard"].to_numpy()
        found = {"histoscribe": told_by, "activities alone": risks(x[0], train, x[1])}
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


# planted programmes


def planted(seed: int) -> None:
    """Five programmes of the simulator in 240 samples, two with a hazard; found in 240 new samples."""
    table, _ = plant(seed)
    learned = Programmes(seed=seed).fit(table, survival=("time", "event"))
    new, truth = plant(seed + 100)
    found = np.asarray(learned.project(new).layers["share"])
    count = len(found.T)
    r = np.corrcoef(found.T, truth.T)[:count, count:]
    rows = learned.table
    row = {"what": "planted", "seed": seed, "programmes": count, "weight": learned.card.settings["weight"]}
    for place, kind in enumerate(KINDS):
        own = rows.iloc[int(r[:, place].argmax())]
        hazard = [round(float(own[name]), 2) for name in ("hazard", "low", "high")]
        row[kind] = {"r": round(float(r[:, place].max()), 3), "hazard": hazard}
    keep({**row, "stability": rows[["over_seeds", "over_folds"]].mean().round(3).tolist()})


def plant(seed: int, samples: int = 240) -> tuple[AnnData, np.ndarray]:
    """Counts, and the share of each programme in each sample."""
    import pandas as pd

    from histoscribe.simulate.genes import PROGRAMMES, plan_genes

    plan, random = plan_genes(300), np.random.default_rng(seed)
    active = random.gamma(1.5, 1, (samples, len(KINDS)))
    base = 3 * plan.loading[PROGRAMMES.index("housekeeping")] * random.gamma(20, 0.05, (samples, 1)) + 0.02
    mean = active @ plan.loading[[PROGRAMMES.index(kind) for kind in KINDS]] + base
    mean *= random.lognormal(11, 0.3, (samples, 1)) / mean.sum(1, keepdims=True)
    counts = random.poisson(random.gamma(1 / plan.dispersion, mean * plan.dispersion))
    z = np.log(active)
    z = (z - z.mean(0)) / z.std(0)
    risk = 0.8 * z[:, KINDS.index("hypoxia")] - 0.8 * z[:, KINDS.index("t_cell")]
    died, lost = random.exponential(30 * np.exp(-risk)), random.exponential(40, samples)
    obs = pd.DataFrame({"time": np.minimum(died, lost), "event": (died <= lost).astype(int)})
    obs.index = [f"s-{number}" for number in range(samples)]
    table = AnnData(counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=list(plan.names)))
    return table, active / active.sum(1, keepdims=True)


# classes


def tumours(data: Path) -> tuple[BulkTable, np.ndarray, list[str]]:
    """Primary tumours of 11 cancers, their types and patients."""
    path = data / "bulk" / "tcga11_tumor_normal.expr.csv.gz"
    only = "sample_type=primary_tumor"
    bulk = with_samples(read_table(path, scale="log2"), file_beside(path), only=only)
    obs = bulk.table.obs
    return bulk, obs["cancer"].astype(str).to_numpy(), obs["patient"].astype(str).tolist()


def part(bulk: BulkTable, rows: Any, genes: Any = slice(None)) -> BulkTable:
    """Some samples and genes of a table."""
    return BulkTable(bulk.name, bulk.table[rows][:, genes].copy(), bulk.scale, bulk.identifiers)


def calibration_error(probability: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over bins with as many samples each."""
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, bins)
    gaps = [abs(probability[own].mean() - right[own].mean()) * len(own) for own in parts]
    return float(sum(gaps) / len(order))


def folds(kinds: np.ndarray, patients: list[str], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Five folds of whole patients."""
    from sklearn.model_selection import GroupKFold

    return list(GroupKFold(5, shuffle=True, random_state=seed).split(kinds, groups=patients))


def classes(data: Path, seed: int) -> None:
    """Accuracy and calibration beside logistic regression, and the published pipeline's form."""
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    bulk, kinds, patients = tumours(data)
    random = np.random.default_rng(seed)
    for count in (64, 256, 1024):
        genes = np.sort(random.choice(bulk.table.n_vars, count, replace=False))
        told: dict[str, list[np.ndarray]] = {}
        best = SelectKBest(f_classif, k=min(500, count))
        others = {
            "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
            "500 selected, PCA, logistic": make_pipeline(
                StandardScaler(), best, PCA(min(50, count), random_state=0), LogisticRegression(max_iter=500)
            ),
        }
        for train, test in folds(kinds, patients, seed):
            model = Classifier().fit(part(bulk, train), kinds[train].tolist())
            found = model.classify(part(bulk, test, genes))
            right = found["nearest"].to_numpy() == kinds[test]
            unknown = found["class"].to_numpy() == UNKNOWN
            told.setdefault("histoscribe", []).append(
                np.array([right, found["probability"], unknown], dtype=float)
            )
            values = [np.nan_to_num(part(bulk, rows, genes).table.X) for rows in (train, test)]
            for name, other in others.items():
                chance = other.fit(values[0], kinds[train]).predict_proba(values[1])
                right = other.classes_[chance.argmax(1)] == kinds[test]
                rows = np.array([right, chance.max(1), 0 * chance[:, 0]], dtype=float)
                told.setdefault(name, []).append(rows)
        for name, parts in told.items():
            right, chance, unknown = np.hstack(parts)
            keep({
                "what": "classes", "seed": seed, "genes": count, "method": name,
                "accuracy": round(right.mean(), 4), "ECE": round(calibration_error(chance, right), 4),
                "unknown": round(unknown.mean(), 4),
            })  # fmt: skip


def unknown(data: Path, seed: int) -> None:
    """Each type left out of the memory: how often it is unknown where 5 % of held-out known tumours are.

    Asked one by one, and together with the held-out known tumours.
    """
    bulk, kinds, patients = tumours(data)
    for kind in np.unique(kinds):
        inside, left = np.flatnonzero(kinds != kind), np.flatnonzero(kinds == kind)
        parts = folds(kinds[inside], [patients[row] for row in inside], seed)[:2]
        for how in ("alone", "together"):
            known, strange, called = [], [], []
            for train, test in parts:
                train, test = inside[train], inside[test]
                model = Classifier().fit(part(bulk, train), kinds[train].tolist())
                found = model.classify(part(bulk, np.concatenate([test, left])), together=how == "together")
                known.append(found["novelty"].to_numpy()[: len(test)])
                strange.append(found["novelty"].to_numpy()[len(test) :])
                called.append(found["nearest"].to_numpy()[len(test) :])
            bound = np.quantile(np.concatenate(known), 0.95)
            names, often = np.unique(np.concatenate(called), return_counts=True)
            keep({
                "what": "unknown", "seed": seed, "asked": how, "left out": kind, "tumours": len(left),
                "unknown": round(float((np.concatenate(strange) > bound).mean()), 4),
                "by its own bound": round(float((np.concatenate(strange) > 1).mean()), 4),
                "false by its own bound": round(float((np.concatenate(known) > 1).mean()), 4),
                "called": str(names[often.argmax()]),
            })  # fmt: skip


def reasons(data: Path, seed: int) -> None:
    """Accuracy as genes are set to their means: by their Shapley values, by marker effects, at random."""
    bulk, kinds, patients = tumours(data)
    random = np.random.default_rng(seed)
    genes = np.sort(random.choice(bulk.table.n_vars, 256, replace=False))
    train, test = folds(kinds, patients, seed)[0]
    model = Classifier().fit(part(bulk, train), kinds[train].tolist())
    asked = part(bulk, test, genes)
    carried = model.explain(asked)
    called = model.classify(asked)["nearest"].to_numpy()
    codes = model.fitted.codes
    samples = model.fitted.samples[:, [model.genes.index(gene) for gene in carried.columns]]
    effect = {
        kind: samples[codes == number].mean(0) - samples.mean(0)
        for number, kind in enumerate(model.fitted.classes)
    }
    mean = dict(zip(model.genes, model.fitted.standard.mean, strict=True))
    orders = {
        "Shapley": np.argsort(-carried.to_numpy(), axis=1),
        "markers of the called class": np.argsort(
            -np.array([np.abs(effect[kind]) for kind in called]), axis=1
        ),
        "random": np.array([random.permutation(carried.shape[1]) for _ in called]),
    }
    for name, order in orders.items():
        for share in (0.05, 0.1, 0.2, 0.4):
            table = bulk.table[test][:, list(carried.columns)].copy()
            values = np.array(table.X)
            first = order[:, : round(share * values.shape[1])]
            level = np.array([mean[gene] for gene in carried.columns], dtype=np.float32)
            np.put_along_axis(values, first, level[first], axis=1)
            table.X = values
            right = model.classify(BulkTable(bulk.name, table, bulk.scale, bulk.identifiers))["nearest"]
            keep({
                "what": "reasons", "seed": seed, "order": name, "deleted": share,
                "accuracy": round(float((right.to_numpy() == kinds[test]).mean()), 4),
            })  # fmt: skip


# labels of slides

WIDE, TISSUES, RARE = 48, 6, (0.02, 0.05)


def slides_made(
    seed: int, states: np.ndarray, shift: float, patient_seed: int
) -> tuple[list[Bag], list[np.ndarray]]:
    """Tiles of six tissues and a rare one, which is shifted along a direction by each state of its slide.

    `states`: -1 or 1 (slides, directions). Two slides a patient, who moves all tiles and stretches them.
    """
    world, random = np.random.default_rng(1000 + seed), np.random.default_rng(patient_seed)
    means = world.normal(0, 1.2, (TISSUES + 1, WIDE))
    axes = np.linalg.qr(world.normal(size=(WIDE, states.shape[1])))[0].T
    bags, rare = [], []
    for number, own in enumerate(states):
        if number % 2 == 0:
            moved, stretched = random.normal(0, 0.5, WIDE), random.lognormal(0, 0.1, WIDE)
        tiles = random.integers(200, 400)
        kind = random.choice(TISSUES, tiles, p=random.dirichlet(np.ones(TISSUES)))
        few = random.random(tiles) < random.uniform(*RARE)
        few[:2] = True
        kind[few] = TISSUES
        values = means[kind] + random.normal(0, 1, (tiles, WIDE))
        values[few] += shift / 2 * own @ axes
        name, patient = f"{patient_seed}-{number}", f"{patient_seed}-p{number // 2}"
        bags.append(Bag(name, patient, ((values * stretched) + moved).astype(np.float32)))
        rare.append(few)
    return bags, rare


def area(model: Labeller, bags: list[Bag], label: str, truth: np.ndarray) -> float:
    """Area under the curve on slides of other patients."""
    from sklearn.metrics import roc_auc_score

    told = [model.label_tiles(bag.features).told.loc[label, "P(yes)"] for bag in bags]
    return float(roc_auc_score(truth, told))


def slide_labels(seed: int) -> None:
    """One label planted in a rare tissue, by every way to pool, and by chance; eight labels of few slides."""
    import pandas as pd
    from sklearn.metrics import average_precision_score

    random = np.random.default_rng(seed)
    states = [np.repeat(random.permutation(np.arange(n) % 2 * 2 - 1), 2)[:, None] for n in (100, 50)]
    (bags, _), (new, rare) = (slides_made(seed, one, 4.0, 2 * seed + k) for k, one in enumerate(states))
    truth = states[1][:, 0] > 0

    def words(values: np.ndarray) -> np.ndarray:
        return np.where(values > 0, "yes", "no")

    def frame(values: np.ndarray, own: list[Bag]) -> pd.DataFrame:
        names = [f"gene {number}" for number in range(values.shape[1])]
        return pd.DataFrame(words(values), index=[bag.name for bag in own], columns=names)

    labels = frame(states[0], bags)
    for pooling in ("auto", "transformer"):
        model = Labeller(pooling=pooling, steps=160, seed=seed, device="cpu").fit(bags, labels)
        scores, found = model.card.held_out["gene 0"], [model.label_tiles(bag.features) for bag in new]
        looked = {
            part: np.mean([
                average_precision_score(own, getattr(one, part)[:, 0])
                for one, own, yes in zip(found, rare, truth, strict=True) if yes
            ])
            for part in ("attention", "evidence")
        }  # fmt: skip
        keep({
            "what": "slides", "seed": seed, "pooling": pooling, "chosen": model.card.variant,
            "new patients": round(area(model, new, "gene 0", truth), 4), "held out": scores["auc"],
            "mean pooling": scores["mean_pooling"], "attention": round(float(looked["attention"]), 4),
            "evidence": round(float(looked["evidence"]), 4),
        })  # fmt: skip
    null = np.repeat(random.permutation(np.arange(100) % 2 * 2 - 1), 2)[:, None]
    model = Labeller(steps=80, seed=seed, device="cpu").fit(bags, frame(null, bags))
    score = model.card.held_out["gene 0"]["auc"]
    keep({"what": "slides", "seed": seed, "pooling": "null labels", "held out": score})
    pathways = [np.repeat(random.choice([-1, 1], (n, 2)), 2, axis=0) for n in (15, 50)]
    (few, _), (new, _) = (slides_made(seed, one, 9.0, 5000 + 2 * seed + k) for k, one in enumerate(pathways))
    genes = [
        np.repeat(one, 4, axis=1) * random.choice([-1, 1], (len(one), 8), p=[0.1, 0.9]) for one in pathways
    ]
    graph = np.kron(np.eye(2), np.ones((4, 4)) - np.eye(4))
    labels, asked = frame(genes[0], few), (0, 1, 4, 5)

    def mean_area(model: Labeller, names: list[str]) -> float:
        return float(np.mean([area(model, new, n, genes[1][:, int(n[-1])] > 0) for n in names]))

    names = [f"gene {number}" for number in asked]
    how: dict[str, Any] = {"pooling": "attention", "steps": 80, "seed": seed, "device": "cpu"}
    alone = [mean_area(Labeller(**how).fit(few, labels[[one]]), [one]) for one in names]
    joined = Labeller(**how).fit(few, labels)
    told = Labeller(**how).fit(few, labels, prior=graph)
    keep({
        "what": "few labels", "seed": seed, "one by one": round(float(np.mean(alone)), 4),
        "together": round(mean_area(joined, names), 4), "with the prior": round(mean_area(told, names), 4),
        "prior used": told.card.settings["chosen"]["prior"],
    })  # fmt: skip


# tables


def tables() -> None:
    """Means over seeds with Student's intervals."""
    rows = kept()
    keys = {
        "survival": (("cohort", "method"), ("C", "C within types")),
        "classes": (("genes", "method"), ("accuracy", "ECE", "unknown")),
        "unknown": (("asked", "left out"), ("unknown", "by its own bound", "false by its own bound")),
        "together": (
            ("samples", "share"),
            ("unknown alone", "unknown together", "false alone", "false together"),
        ),
        "together by type": (("left out",), ("alone", "together")),
        "reasons": (("order", "deleted"), ("accuracy",)),
        "slides": (("pooling",), ("new patients", "held out", "mean pooling", "attention", "evidence")),
        "few labels": ((), ("one by one", "together", "with the prior")),
    }
    for what, (names, measures) in keys.items():
        grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in rows:
            if row["what"] == what and row.get("method") != "settings":
                grouped.setdefault(tuple(row[name] for name in names), []).append(row)
        print(f"\n{what}\n| {' | '.join((*names, *measures, 'seeds'))} |")
        for group, own in grouped.items():
            cells = []
            for measure in measures:
                known = [row[measure] for row in own if measure in row]
                mean, low, high = mean_over("seeds", known) if known else (np.nan,) * 3
                cells.append(f"{mean:.3f} ± {(high - low) / 2:.3f}" if known else "")
            print(f"| {' | '.join(map(str, (*group, *cells, len(own))))} |")
    for row in rows:
        if row["what"] == "planted" or row.get("method") == "settings":
            print(json.dumps(row))


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", choices=["planted", "survival", "classes", "unknown", "reasons", "slides", "tables"]
    )
    parser.add_argument("more", nargs="*")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.what == "survival":
        data, name, seed = given.more
        survival(Path(data), name, int(seed))
    elif given.what == "planted":
        planted(int(given.more[0]))
    elif given.what == "slides":
        slide_labels(int(given.more[0]))
    elif given.what == "tables":
        tables()
    else:
        {"classes": classes, "unknown": unknown, "reasons": reasons}[given.what](
            Path(given.more[0]), int(given.more[1])
        )


if __name__ == "__main__":
    main()
