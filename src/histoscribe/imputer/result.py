"""The table that comes out: measured and restored values, told apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk import SCALES
from histoscribe.bulk.reading import BulkTable
from histoscribe.imputer.standard import Standard, Standardised
from histoscribe.models import Card

if TYPE_CHECKING:
    from anndata import AnnData


def build_result(
    bulk: BulkTable,
    units: Standardised,
    standard: Standard,
    means: NDArray[np.float32],
    spreads: NDArray[np.float32],
    card: Card,
) -> AnnData:
    """Put restored values beside the measured ones.

    Parameters
    ----------
    means, spreads : ndarray of float32, shape (samples, model genes)
        Standardised; NaN for samples that nothing was known of.

    Returns
    -------
    AnnData
        As `Imputer.restore` describes.
    """
    import pandas as pd
    from anndata import AnnData

    samples, own = units.raw.shape
    lacking = np.flatnonzero(units.places < 0)
    columns = units.places.copy()
    columns[lacking] = own + np.arange(len(lacking))
    values = np.full((samples, own + len(lacking)), np.nan, dtype=np.float32)
    values[:, :own] = units.raw
    known = ~np.isnan(values)
    expected = means * units.sd + units.mean
    if units.scale == "log1p":
        expected = np.maximum(expected, 0)
    restored, sd = values.copy(), np.zeros_like(values)
    sd[~known] = np.nan
    restored[:, columns] = np.where(known[:, columns], values[:, columns], expected)
    sd[:, columns] = np.where(known[:, columns], 0, spreads * units.sd)
    mask = ~known & ~np.isnan(restored)
    names = [*map(str, bulk.table.var_names), *(standard.genes[place] for place in lacking)]
    var = bulk.table.var.reindex(names)
    var["in_model"] = np.isin(np.arange(len(names)), columns)
    var["measured"] = known.mean(0)
    var["restored"] = mask.mean(0)
    score = np.full(len(names), np.nan)
    score[columns] = [card.held_out.get(gene, {}).get("r", np.nan) for gene in standard.genes]
    var["held_out_r"] = score
    result = AnnData(values, obs=bulk.table.obs.copy(), var=pd.DataFrame(var, index=names))
    result.layers.update({"restored": restored, "mask": mask, "sd": sd})
    for key, coordinates in bulk.table.obsm.items():
        result.obsm[key] = coordinates
    notes = list(units.notes)
    empty = int(np.isnan(means).all(1).sum())
    if empty:
        notes.append(f"{empty} samples have no value of any model gene and were left as they are")
    foreign = own - int((units.places >= 0).sum())
    if foreign:
        notes.append(f"{foreign:,} genes of the table are unknown to the model and were left as they are")
    result.uns["histoscribe"] = {
        "kind": "restored", "name": bulk.name, "target": SCALES[units.scale], "scale": units.scale,
        "adapted": units.adapted, "model": card.sha256,
        "overlap": int((units.places >= 0).sum()), "model_genes": len(standard.genes),
        "restored_values": int(mask.sum()), "notes": notes,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]), "versions": dict(card.versions),
    }  # fmt: skip
    return result
