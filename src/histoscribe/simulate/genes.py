"""The genes of a simulation: which programme each belongs to and how strongly it is expressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Wide
from histoscribe.errors import SettingError
from histoscribe.simulate.cells import KINDS
from histoscribe.simulate.fields import stream

# Share of the genes, level, and known markers that name the first genes (levels are simulated).
_PROGRAMMES = {
    "tumour": (
        0.15, 1.0,
        "EPCAM KRT8 KRT18 KRT19 ERBB2 MUC1 CDH1 CLDN4 TACSTD2 S100P GRB7 AGR2 ELF3 CEACAM6 SPINT2 KRT7",
    ),
    "fibroblast": (
        0.14, 1.0,
        "COL1A1 COL1A2 COL3A1 FN1 SPARC LUM DCN POSTN FAP VIM ACTA2 TAGLN COL6A3 THY1 BGN MMP2",
    ),
    "t_cell": (0.07, 1.0, "CD3D CD3E CD2 CD8A CD4 TRAC IL7R GZMA GZMK NKG7 CCL5 CD52 LCK CXCR4"),
    "b_cell": (0.06, 1.0, "MS4A1 CD79A CD79B CD19 IGHM IGKC IGHG1 JCHAIN MZB1 BANK1 CD22 CXCR5"),
    "macrophage": (0.06, 1.0, "CD68 CD163 C1QA C1QB C1QC APOE LYZ CSF1R TYROBP AIF1 FCER1G SPP1"),
    "epithelial": (0.06, 1.0, "SCGB2A2 LTF PIGR SLPI KRT5 KRT14 KRT17 MMP7 WFDC2 AZGP1 SOX10 KIT"),
    "adipocyte": (0.04, 1.0, "ADIPOQ PLIN1 PLIN4 FABP4 LPL CIDEC LEP G0S2 GPD1 CD36"),
    "endothelial": (0.04, 1.0, "PECAM1 VWF CDH5 CLDN5 ENG KDR EMCN PLVAP ESAM RAMP2"),
    "division": (0.05, 0.8, "MKI67 TOP2A CCNB1 BIRC5 CDK1 UBE2C PCNA TYMS RRM2 AURKA CENPF"),
    "hypoxia": (0.05, 1.0, "CA9 VEGFA NDRG1 ADM SLC2A1 PGK1 LDHA BNIP3 ENO1 P4HA1"),
    "interferon": (0.05, 0.8, "STAT1 CXCL9 CXCL10 IFI6 ISG15 IFIT1 IFIT3 GBP1 IRF1 MX1"),
    "hidden": (0.04, 1.2, "XIST TFF1 TFF3 ESR1 PGR GATA3 FOXA1 MLPH"),
    "housekeeping": (
        0.08, 1.6,
        "ACTB GAPDH B2M RPLP0 RPS18 RPL13A EEF1A1 UBC TPT1 RPS27A RPL32 PPIA HPRT1 TBP YWHAZ",
    ),
    "noise": (0.11, 0.35, ""),
}  # fmt: skip
PROGRAMMES = tuple(_PROGRAMMES)
"""What a gene may belong to: a kind of cell, a state, or nothing (`noise`)."""


@dataclass(frozen=True, eq=False)
class GenePlan:
    """The genes of a simulation."""

    names: tuple[str, ...]
    """Known markers first within each programme, then `SIM-<programme>-<number>`."""
    programme: NDArray[np.intp]
    """Index into `PROGRAMMES`, shape (genes,)."""
    loading: Wide
    """Transcripts per unit of a programme's activity, shape (programmes, genes)."""
    dispersion: Wide
    """Variance of the counts is mean + dispersion * mean², shape (genes,)."""

    def for_patient(self, patient: str) -> GenePlan:
        """The same genes as one patient expresses them: each a little more or less."""
        own = np.exp(stream("patient", patient).normal(0, 0.28, len(self.names)))
        return GenePlan(self.names, self.programme, self.loading * own, self.dispersion)


def plan_genes(count: int) -> GenePlan:
    """Plan `count` genes; the same number always gives the same plan.

    Raises `SettingError` if there are too few to have one of each programme.
    """
    if count < len(PROGRAMMES):
        remedy = f"ask for at least {len(PROGRAMMES)}"
        raise SettingError(f"{count} genes are too few to simulate", remedy=remedy)
    rng = stream("genes", count)
    quota = np.array([share for share, _, _ in _PROGRAMMES.values()]) * count
    sizes = np.maximum(quota.astype(int), 1)
    while sizes.sum() != count:
        step = int(np.sign(count - sizes.sum()))
        lack = np.where((step > 0) | (sizes > 1), (quota - sizes) * step, -np.inf)
        sizes[lack.argmax()] += step
    programme = np.repeat(np.arange(len(PROGRAMMES)), sizes)
    names: list[str] = []
    for (name, (_, _, markers)), size in zip(_PROGRAMMES.items(), sizes.tolist(), strict=True):
        known = markers.split()[:size]
        names += known + [f"SIM-{name}-{rank + 1:02d}" for rank in range(len(known), size)]
    level = np.array([level for _, level, _ in _PROGRAMMES.values()])
    strength = rng.lognormal(0, 0.7, count) * level[programme]
    loading = np.zeros((len(PROGRAMMES), count))
    loading[programme, np.arange(count)] = strength
    leak = rng.random(count) < 0.35
    second = rng.integers(0, len(KINDS), count)
    loading[second[leak], np.flatnonzero(leak)] += 0.3 * strength[leak]
    loading[PROGRAMMES.index("housekeeping")] += 0.025 * strength
    noise = programme == PROGRAMMES.index("noise")
    loading[: PROGRAMMES.index("noise"), noise] = 0
    return GenePlan(tuple(names), programme, loading, rng.uniform(0.03, 0.25, count))
