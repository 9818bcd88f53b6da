"""Colorectal primaries and normal liver to liver metastases, against 295 real ones of another platform.

Two settings. `histoscribe`: trained on the semi-synthetic bed, no real metastasis seen. `histoscribe-tuned`:
trained on the real metastases of half of the patients, each mapped to the primaries' scale by rank; what sets
the platforms apart is then learned too, so `mixture-shifted`, the linear mixture plus the mean difference of
the same training metastases, is its fair rival. Scores are on the other half of the patients, on the genes
that both platforms have. The liver share of the training half is its known purity; that of the other half is
only what is asked for, and subtypes are never learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.generator.colorectal_data import (
    CANCER,
    SITE,
    Metastases,
    read_metastases,
    read_subtyped,
)
from histoscribe.benchmark.generator.measures import correlation_agreement
from histoscribe.benchmark.generator.methods import as_bulk
from histoscribe.generator import Generator
from histoscribe.generator.cohort import Cohort, join_platforms
from histoscribe.generator.parents import mix
from histoscribe.progress import Progress

Values = NDArray[np.float32]
_SIGNATURE = 50


@dataclass(frozen=True, eq=False)
class _Parents:
    """Primaries and livers, drawn for each held-out metastasis, and the asked purity."""

    cohort: Cohort
    tumours: NDArray[np.int64]
    livers: NDArray[np.int64]
    purity: Values


def score_colorectal(
    data: Path,
    cohort: Cohort,
    generator: Generator,
    *,
    seed: int,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Score the methods on held-out patients.

    Parameters
    ----------
    data : Path
        The folder of real data.
    cohort : Cohort
        tcga11.
    generator : Generator
        Trained on a semi-synthetic bed.

    Returns
    -------
    list of dict
        `method`, `measure`, `value`.
    """
    progress = progress or Progress()
    real = read_metastases(data)
    held = _half(real.patients, seed)
    parents = cohort.take(
        np.concatenate([cohort.of("primary", cancer=CANCER), cohort.of("normal", site=SITE)])
    )
    shared = [gene for gene in cohort.genes if gene in set(real.genes)]
    learned = _as_cohort(real, np.flatnonzero(~held))
    drawn = _draw(parents, 1 - real.liver[held], np.random.default_rng(seed))
    joined = join_platforms(parents, learned)
    made = {
        name: _columns(values, parents.genes, shared)
        for name, values in (
            ("identity", parents.values[drawn.tumours]), ("linear-mixture", _mixture(drawn, joined)),
        )
    }  # fmt: skip
    small = joined.take(np.flatnonzero(joined.kinds != "metastasis"))
    made["mixture-shifted"] = _columns(_shifted(drawn, joined, small), joined.genes, shared)
    whole = _generated(generator, drawn, seed)
    made["histoscribe"] = _columns(whole, parents.genes, shared)
    progress.report(f"seed {seed}: training on real metastases")
    tuned = Generator(seed=seed).fit(joined, progress=progress)
    own = _Parents(small, drawn.tumours, drawn.livers, drawn.purity)
    made["histoscribe-tuned"] = _columns(_generated(tuned, own, seed), joined.genes, shared)
    metastases = _columns(real.values, real.genes, shared)
    subtypes = _subtype_model(data, shared, seed)
    of_primaries = subtypes(_columns(parents.values[parents.of("primary")], parents.genes, shared))
    signature = _signature(parents, shared)
    records = []
    for name, values in {**made, "real (other half)": metastases[~held]}.items():
        found = _closeness(values, metastases[held])
        if name in made:
            of_generated, of_parents = subtypes(values), of_primaries[drawn.tumours]
            found["subtype_kept"] = float((of_generated == of_parents).mean())
            found["subtype_by_chance"] = _by_chance(of_generated, of_parents)
        found["liver_rank_r"] = _rank_r(values @ signature, real.liver[held if name in made else ~held])
        records += [{"method": name, "measure": key, "value": value} for key, value in found.items()]
    return records


def _closeness(values: Values, truth: Values) -> dict[str, float]:
    """Rank correlations over genes of mean and standard deviation; agreement of gene–gene correlations."""
    return {
        "mean_rank_r": _rank_r(values.mean(0), truth.mean(0)),
        "sd_rank_r": _rank_r(values.std(0), truth.std(0)),
        "gene_gene_r": correlation_agreement(values, truth, genes=values.shape[1]),
    }


def _by_chance(one: NDArray[np.str_], other: NDArray[np.str_]) -> float:
    """Agreement of labels that are shared out at random with the same frequencies."""
    return float(sum((one == name).mean() * (other == name).mean() for name in np.unique(other)))


def _half(patients: NDArray[np.str_], seed: int) -> NDArray[np.bool_]:
    names = np.random.default_rng(seed).permutation(np.unique(patients))
    return np.isin(patients, names[: len(names) // 2])


def _as_cohort(real: Metastases, rows: NDArray[np.int64]) -> Cohort:
    count = len(rows)
    return Cohort(
        real.values[rows], real.genes, np.full(count, "metastasis"), np.full(count, CANCER),
        np.full(count, SITE), real.patients[rows], np.array([f"mcrc-{row}" for row in rows]), (),
        np.clip(1 - real.liver[rows], 0.05, 1).astype(np.float32),
    )  # fmt: skip


def _draw(parents: Cohort, purity: NDArray[np.float64], random: np.random.Generator) -> _Parents:
    count = len(purity)
    tumours, livers = parents.of("primary"), parents.of("normal")
    turn = random.permutation(np.arange(count) % len(tumours))
    asked = np.clip(purity, 0.05, 1).astype(np.float32)
    return _Parents(parents, turn, len(tumours) + random.integers(len(livers), size=count), asked)


def _generated(generator: Generator, drawn: _Parents, seed: int) -> Values:
    """One sample for each pair of parents at its asked purity."""
    rows = []
    for place, (tumour, liver) in enumerate(zip(drawn.tumours, drawn.livers, strict=True)):
        table = generator.generate(
            as_bulk(drawn.cohort, np.array([tumour])), site=SITE, cancer=CANCER,
            normal=as_bulk(drawn.cohort, np.array([liver])), samples=1, purity=float(drawn.purity[place]),
            seed=seed + 10_000 + place, adapt=False,
        )  # fmt: skip
        rows.append(np.asarray(table.X)[0])
    return np.stack(rows)


def _mixture(drawn: _Parents, joined: Cohort) -> Values:
    """The mean share of the training half."""
    assert joined.purity is not None
    share = np.full(len(drawn.tumours), np.nanmean(joined.purity), dtype=np.float32)
    values = drawn.cohort.values
    return mix(values[drawn.tumours], values[drawn.livers], share)


def _shifted(drawn: _Parents, joined: Cohort, small: Cohort) -> Values:
    mixed = mix(small.values[drawn.tumours], small.values[drawn.livers], drawn.purity)
    shift = joined.values[joined.of("metastasis")].mean(0) - mixed.mean(0)
    return np.asarray(np.maximum(mixed + shift, 0), dtype=np.float32)


def _signature(parents: Cohort, shared: list[str]) -> Values:
    """Genes higher in liver than in colorectal primaries less those lower, in tcga11, 50 each."""
    values = _columns(parents.values, parents.genes, shared)
    tumour, liver = values[parents.of("primary")], values[parents.of("normal")]
    step = (liver.mean(0) - tumour.mean(0)) / np.sqrt(liver.var(0) + tumour.var(0) + 0.1)
    order = np.argsort(step)
    signature = np.zeros(len(shared), dtype=np.float32)
    signature[order[-_SIGNATURE:]], signature[order[:_SIGNATURE]] = 1 / _SIGNATURE, -1 / _SIGNATURE
    return signature


def _subtype_model(data: Path, shared: list[str], seed: int) -> Any:
    """CMS by logistic regression on labelled primaries, genes standardised within each set."""
    from sklearn.linear_model import LogisticRegression

    known = read_subtyped(data)
    genes = [gene for gene in shared if gene in set(known.genes)]
    places = [shared.index(gene) for gene in genes]
    model = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced", random_state=seed)
    model.fit(_own_units(_columns(known.values, known.genes, genes)), known.subtype)

    def predict(values: Values) -> NDArray[np.str_]:
        return np.asarray(model.predict(_own_units(values[:, places])))

    return predict


def _own_units(values: Values) -> Values:
    return np.asarray((values - values.mean(0)) / np.maximum(values.std(0), 0.1), dtype=np.float32)


def _columns(values: Values, genes: tuple[str, ...], wanted: list[str]) -> Values:
    places = {gene: place for place, gene in enumerate(genes)}
    return values[:, [places[gene] for gene in wanted]]


def _rank_r(one: NDArray[Any], other: NDArray[Any]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
