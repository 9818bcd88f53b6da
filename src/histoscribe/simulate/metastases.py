"""Semi-synthetic metastases whose parents are known, made from real primaries and normal tissues.

A metastasis of cancer c at site s is a real primary of c mixed with a real normal tissue of s:

1. the primary takes on a programme that all metastases share, at a strength drawn per sample: cell
   cycle, EMT and hypoxia up, lymphocytes and antigen presentation down, and one gene in twenty shifted
   at random (the same shift for all samples of a bed);
2. it is mixed with the normal tissue on the linear scale at a drawn purity, 0.2 + 0.75 · Beta(3, 2);
3. every value gets measurement noise with a standard deviation of 0.15 on the log2 scale.

Patients are parted first: those that a method learns from, those whose primaries and normal tissues it
then starts from, and those whose metastases it is compared with. A cancer has no metastases in its own organ.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Numbers
from histoscribe.bulk.reading import read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.errors import TableError
from histoscribe.generator.cohort import Cohort, cohort_of, join
from histoscribe.generator.parents import mix
from histoscribe.genes.sets import shipped_gene_sets

ORGANS = {
    "BRCA": "breast", "COAD": "colon", "HNSC": "oral mucosa", "KIRC": "kidney", "KIRP": "kidney",
    "LIHC": "liver", "LUAD": "lung", "LUSC": "lung", "PRAD": "prostate", "STAD": "stomach", "THCA": "thyroid",
}  # fmt: skip
TABLE = "bulk/tcga11_tumor_normal.expr.csv.gz"
SITES = ("liver", "lung", "kidney", "breast", "colon", "thyroid")
PARTS = ("train", "parents", "test")
_SHARES = (0.6, 0.2, 0.2)
_PROGRAMME = {
    "CELL_CYCLE": 0.9, "EMT": 0.7, "HYPOXIA_GLYCOLYSIS": 0.5, "T_CELLS": -0.8, "B_CELLS": -0.8,
    "ANTIGEN_PRESENTATION": -0.6,
}  # fmt: skip
_RANDOM_SHARE, _RANDOM_SHIFT = 0.05, 0.6
_STRENGTH = (0.5, 1.5)
_NOISE = 0.15


@dataclass(frozen=True, eq=False)
class Bed:
    """Three parts of a cohort without a common patient."""

    train: Cohort
    """Primaries, normal tissues and metastases to learn from."""
    parents: Cohort
    """Primaries and normal tissues to generate from, and metastases made of them."""
    test: Cohort
    """Metastases to compare with, beside their primaries and normal tissues."""
    purity: dict[str, float]
    """Share of tumour in each metastasis, by its name."""
    primary_of: dict[str, str]
    """The primary in each metastasis."""
    seed: int


def read_tcga11(data: Path) -> Cohort:
    """Primaries and paired normal tissues of TCGA's 11 cancers, from the folder of real data.

    Raises `TableError` if the table is not there.
    """
    path = data / TABLE if (data / TABLE).exists() else data / Path(TABLE).name
    bulk = with_samples(read_table(path, scale="log2"), file_beside(path))
    bulk.table.obs["site"] = [ORGANS.get(str(cancer), str(cancer)) for cancer in bulk.table.obs["cancer"]]
    return cohort_of(bulk)


def simulate_metastases(
    cohort: Cohort, *, sites: tuple[str, ...] = SITES, per_pair: int = 30, seed: int = 0
) -> Bed:
    """Make a bed from a cohort of primaries and of normal tissues, whose `sites` name the organ.

    `per_pair`: metastases of each cancer at each site to learn from; half as many in the other parts. Raises
    `TableError` if a cancer or a site has too few patients for three parts.
    """
    random = np.random.default_rng(seed)
    shift = programme(cohort.genes, random)
    parts = _part_patients(cohort, random)
    purity: dict[str, float] = {}
    primary_of: dict[str, str] = {}
    made = []
    for part, rows in zip(PARTS, parts, strict=True):
        some = cohort.take(rows)
        count = per_pair if part == "train" else max(per_pair // 2, 1)
        pieces = [some]
        for cancer in np.unique(cohort.cancers[cohort.kinds == "primary"]):
            for site in sites:
                if ORGANS.get(str(cancer)) == site:
                    continue
                tumours, normals = some.of("primary", cancer=str(cancer)), some.of("normal", site=site)
                if not len(tumours) or not len(normals):
                    problem = f"no patient is left for {cancer} at {site} in the part {part}"
                    raise TableError(problem, remedy="give a larger cohort or fewer sites")
                piece, shares, chosen = _metastases(some, tumours, normals, shift, count, part, random)
                pieces.append(piece)
                purity.update(zip(piece.names.tolist(), shares.tolist(), strict=True))
                primary_of.update(zip(piece.names.tolist(), chosen.tolist(), strict=True))
        made.append(join(pieces))
    return Bed(made[0], made[1], made[2], purity, primary_of, seed)


def programme(genes: tuple[str, ...], random: np.random.Generator) -> Floats:
    """The shared programme: log2 change of each gene at strength 1."""
    sets = shipped_gene_sets()
    shift = np.zeros(len(genes), dtype=np.float32)
    index = {gene: place for place, gene in enumerate(genes)}
    for name, change in _PROGRAMME.items():
        for gene in sets[name]:
            if gene in index:
                shift[index[gene]] += change
    touched = random.random(len(genes)) < _RANDOM_SHARE
    shift += np.where(touched, random.normal(0, _RANDOM_SHIFT, len(genes)), 0).astype(np.float32)
    return shift


def _part_patients(cohort: Cohort, random: np.random.Generator) -> list[Numbers]:
    """Rows of each part; every cancer's patients are shared out alike, a patient never split."""
    part_of: dict[str, int] = {}
    for cancer in np.unique(cohort.cancers[cohort.of("primary")]):
        patients = np.unique(cohort.patients[cohort.of("primary", cancer=str(cancer))])
        fresh = [one for one in random.permutation(patients) if one not in part_of]
        bounds = np.round(np.cumsum(_SHARES) * len(fresh)).astype(int)
        for place, patient in enumerate(fresh):
            part_of[str(patient)] = int(np.searchsorted(bounds, place, side="right"))
    part = np.array([part_of.get(str(patient), 0) for patient in cohort.patients])
    return [np.flatnonzero(part == which) for which in range(len(PARTS))]


def _metastases(
    cohort: Cohort,
    tumours: Numbers,
    normals: Numbers,
    shift: Floats,
    count: int,
    part: str,
    random: np.random.Generator,
) -> tuple[Cohort, Floats, NDArray[np.str_]]:
    which, beside = random.choice(tumours, count), random.choice(normals, count)
    purity = (0.2 + 0.75 * random.beta(3, 2, count)).astype(np.float32)
    strength = random.uniform(*_STRENGTH, count).astype(np.float32)[:, None]
    values = mix(cohort.values[which] + strength * shift, cohort.values[beside], purity)
    values += random.normal(0, _NOISE, values.shape).astype(np.float32)
    cancer, site = str(cohort.cancers[tumours[0]]), str(cohort.sites[normals[0]])
    names = np.array([f"{part}-{cancer}-{site}-{number}" for number in range(count)])
    made = Cohort(
        np.maximum(values, 0),
        cohort.genes,
        np.full(count, "metastasis"),
        np.full(count, cancer),
        np.full(count, site),
        cohort.patients[which],
        names,
    )
    return made, purity, cohort.names[which]
