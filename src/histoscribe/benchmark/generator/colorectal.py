"""Colorectal primaries and normal liver to liver metastases, against 295 real ones of another platform.

Two settings. `histoscribe`: trained on the semi-synthetic bed, no real metastasis seen. `histoscribe-tuned`:
trained on the real metastases of half of the patients, each mapped to the primaries' scale by rank; what sets
the platforms apart is then learned too, so `mixture-shifted`, the linear mixture plus the mean difference of
the same training metastases, is its fair rival. Scores are on the other half of the patients, on the genes
that both platforms have. The liver share of the training half is its known purity; that of the other half is
only what is asked for, and subtypes are never learned from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from histoscribe.arrays import Floats, Mask, Numbers, Wide
from histoscribe.benchmark.generator.bed import Seed
from histoscribe.benchmark.generator.measures import correlation_agreement
from histoscribe.benchmark.methods import Method
from histoscribe.bulk import BulkTable
from histoscribe.bulk.reading import read_table
from histoscribe.errors import TableError
from histoscribe.generator.cohort import Cohort, join_platforms, to_log2
from histoscribe.generator.parents import mix

CANCER, SITE = "COAD", "liver"
REAL_HALF = "real (other half)"
_SIGNATURE = 50


@dataclass(frozen=True, eq=False)
class DrawnParents:
    """Primaries and livers, drawn for each held-out metastasis, and the asked purity."""

    cohort: Cohort
    tumours: Numbers
    livers: Numbers
    """`tumours` and `livers`: rows of the cohort, shape (metastases,)."""
    purity: Floats
    """Shape (metastases,)."""

    def mixed(self, share: Floats) -> Floats:
        """Linear mixtures of both at a share of tumour each."""
        return mix(self.cohort.values[self.tumours], self.cohort.values[self.livers], share)


@dataclass(frozen=True, eq=False)
class Colorectal:
    """Real metastases, half of their patients held out, and the parents of the held-out ones."""

    genes: list[str]
    """Those that both platforms have."""
    metastases: Floats
    """log2 intensity of all real ones, shape (metastases, genes)."""
    held: Mask
    """Shape (metastases,)."""
    liver: Wide
    """Annotated share of liver tissue, shape (metastases,)."""
    parents: DrawnParents
    """On all genes of the primaries' platform."""
    joined: Cohort
    """Primaries, livers and the training half, on the common genes and the primaries' scale."""
    subtypes: Callable[[Floats], NDArray[np.str_]]
    """The subtype of profiles on `genes`."""

    def shared(self, values: Floats, genes: Sequence[str]) -> Floats:
        """The columns of the common genes."""
        return columns_of(values, genes, self.genes)

    @cached_property
    def joined_parents(self) -> DrawnParents:
        """The same parents on the genes and the scale of `joined`."""
        small = self.joined.take(np.flatnonzero(self.joined.kinds != "metastasis"))
        return DrawnParents(small, self.parents.tumours, self.parents.livers, self.parents.purity)

    @cached_property
    def subtypes_of_parents(self) -> NDArray[np.str_]:
        """The subtype of each drawn primary."""
        cohort = self.parents.cohort
        own = self.subtypes(self.shared(cohort.values[cohort.of("primary")], cohort.genes))
        return own[self.parents.tumours]

    @cached_property
    def signature(self) -> Floats:
        """Genes higher in liver than in colorectal primaries less those lower, in tcga11, 50 each."""
        cohort = self.parents.cohort
        values = self.shared(cohort.values, cohort.genes)
        tumour, liver = values[cohort.of("primary")], values[cohort.of("normal")]
        step = (liver.mean(0) - tumour.mean(0)) / np.sqrt(liver.var(0) + tumour.var(0) + 0.1)
        order = np.argsort(step)
        signature = np.zeros(len(self.genes), dtype=np.float32)
        signature[order[-_SIGNATURE:]], signature[order[:_SIGNATURE]] = 1 / _SIGNATURE, -1 / _SIGNATURE
        return signature


@lru_cache(maxsize=1)
def colorectal_of(opened: Seed) -> Colorectal:
    """The real metastases, half of their patients held out, once a seed."""
    data, cohort, seed = opened.data, opened.cohort, opened.seed
    bulk = _read(data, "mcrcOSLOsubset", "log2")
    about = pd.read_csv(_path(data, "mcrcOSLOsubset.pheno.csv"), index_col=0)
    about = about.set_index("Sample name").loc[list(bulk.table.obs_names)]
    patients = about["Patient ID"].astype(str).to_numpy(dtype=str)
    liver = about["liver_proportion"].to_numpy(dtype=float)
    real, genes = np.asarray(bulk.table.X, dtype=np.float32), tuple(map(str, bulk.table.var_names))
    names = np.random.default_rng(seed).permutation(np.unique(patients))
    held = np.isin(patients, names[: len(names) // 2])
    own = cohort.take(np.concatenate([cohort.of("primary", cancer=CANCER), cohort.of("normal", site=SITE)]))
    known = set(genes)
    shared = [gene for gene in cohort.genes if gene in known]
    rows = np.flatnonzero(~held)
    kinds, cancers, sites = (np.full(len(rows), word) for word in ("metastasis", CANCER, SITE))
    names, pure = np.array([f"mcrc-{row}" for row in rows]), np.clip(1 - liver[rows], 0.05, 1)
    of_samples = (kinds, cancers, sites, patients[rows], names)
    learned = Cohort(real[rows], genes, *of_samples, (), pure.astype(np.float32))
    random, purity = np.random.default_rng(seed), np.clip(1 - liver[held], 0.05, 1).astype(np.float32)
    tumours, livers = len(own.of("primary")), len(own.of("normal"))
    turn = random.permutation(np.arange(len(purity)) % tumours)
    drawn = DrawnParents(own, turn, tumours + random.integers(livers, size=len(purity)), purity)
    metastases, joined = columns_of(real, genes, shared), join_platforms(own, learned)
    return Colorectal(shared, metastases, held, liver, drawn, joined, _subtype_model(data, shared, seed))


def score_colorectal(seed: Seed, method: Method) -> dict[str, float]:
    """How close a method's metastases are to the held-out real ones."""
    bed = colorectal_of(seed)
    values, truth = method.learn(seed), bed.metastases[bed.held]
    found = {
        "mean_rank_r": _rank_r(values.mean(0), truth.mean(0)),
        "sd_rank_r": _rank_r(values.std(0), truth.std(0)),
        "gene_gene_r": correlation_agreement(values, truth, genes=values.shape[1]),
    }
    if method.name != REAL_HALF:
        generated, own = bed.subtypes(values), bed.subtypes_of_parents
        found["subtype_kept"] = float((generated == own).mean())
        by_chance = sum((generated == name).mean() * (own == name).mean() for name in np.unique(own))
        found["subtype_by_chance"] = float(by_chance)
    asked = ~bed.held if method.name == REAL_HALF else bed.held
    found["liver_rank_r"] = _rank_r(values @ bed.signature, bed.liver[asked])
    return found


def columns_of(values: Floats, genes: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Columns of the genes wanted, in their order."""
    places = {gene: place for place, gene in enumerate(genes)}
    return values[:, [places[gene] for gene in wanted]]


def _subtype_model(data: Path, shared: list[str], seed: int) -> Callable[[Floats], NDArray[np.str_]]:
    """CMS by logistic regression on labelled primaries of crcTCGA, genes standardised within each set."""
    bulk = _read(data, "crcTCGAsubset", "counts")
    about = pd.read_csv(_path(data, "crcTCGAsubset.pheno.csv"), index_col=0)
    labels = about["CMS.Syn"].reindex(list(bulk.table.obs_names))
    labelled = labels.notna().to_numpy()
    known, names = to_log2(bulk)[0][labelled], tuple(map(str, bulk.table.var_names))
    have = set(names)
    genes = [gene for gene in shared if gene in have]
    model = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced", random_state=seed)
    subtype = labels[labelled].astype(str).to_numpy(dtype=str)
    model.fit(_own_units(columns_of(known, names, genes)), subtype)
    return lambda values: np.asarray(model.predict(_own_units(columns_of(values, shared, genes))))


def _own_units(values: Floats) -> Floats:
    return np.asarray((values - values.mean(0)) / np.maximum(values.std(0), 0.1), dtype=np.float32)


def _rank_r(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(spearmanr(one, other).statistic)


def _read(data: Path, name: str, scale: str) -> BulkTable:
    features = pd.read_csv(_path(data, f"{name}.features.csv"), dtype=str)
    named = features.dropna(subset=["symbol"])
    renamed = dict(zip(named.iloc[:, 0], named["symbol"], strict=True))
    return read_table(_path(data, f"{name}.expr.csv.gz"), genes_in="rows", scale=scale, renamed=renamed)


def _path(data: Path, name: str) -> Path:
    path = data / "bulk" / name if (data / "bulk" / name).exists() else data / name
    if not path.exists():
        raise TableError("there is no such file", where=path, remedy="name the folder of real data")
    return path
