"""The table that comes out, and the same as a section: measured and restored values, told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk import SCALES
from histoscribe.bulk.table import BulkTable
from histoscribe.imputer.units import UnitTable
from histoscribe.models import Card
from histoscribe.record import Record, amend_record, keep_record, record_of, running_command

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.section import Section


def build_result(
    bulk: BulkTable, units: UnitTable, means: NDArray[np.float32], spreads: NDArray[np.float32], card: Card
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

    standard = units.standard
    samples, own = units.raw.shape
    lacking = np.flatnonzero(units.places < 0)
    columns = units.places.copy()
    columns[lacking] = own + np.arange(len(lacking))
    values = np.full((samples, own + len(lacking)), np.nan, dtype=np.float32)
    values[:, :own] = units.raw
    known = ~np.isnan(values)
    expected = standard.undo(means)
    restored, sd = values.copy(), np.zeros_like(values)
    sd[~known] = np.nan
    restored[:, columns] = np.where(known[:, columns], values[:, columns], expected)
    sd[:, columns] = np.where(known[:, columns], 0, spreads * standard.sd)
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
    record = Record(
        "restored", bulk.name, target=SCALES[standard.scale], scale=standard.scale, adapted=units.adapted,
        model_sha256=card.sha256, overlap=int((units.places >= 0).sum()), model_genes=len(standard.genes),
        restored_values=int(mask.sum()), notes=tuple(notes), command=running_command(),
        versions=card.versions,
    )  # fmt: skip
    keep_record(result, record)
    return result


_OF_IMPUTER = (
    "target", "scale", "adapted", "model_sha256", "overlap", "model_genes", "restored_values", "notes",
    "command", "versions",
)  # fmt: skip


def as_section(section: Section, restored: AnnData) -> Section:
    """Put restored genes beside the measured ones of a section.

    Parameters
    ----------
    section : Section
        What was given to `Imputer.restore`.
    restored : AnnData
        What came back.

    Returns
    -------
    Section
        `X` holds `layers["restored"]`, the scale of a prediction; `layers["mask"]` and `layers["sd"]` say
        what was restored and how surely, `var["restored"]` for which share of the spots.
    """
    from anndata import AnnData

    table = AnnData(
        np.asarray(restored.layers["restored"]), obs=section.table.obs.copy(), var=restored.var.copy(),
        obsm=dict(restored.obsm), uns=dict(section.table.uns),
        layers={"mask": restored.layers["mask"], "sd": restored.layers["sd"]},
    )  # fmt: skip
    own = record_of(restored)
    amend_record(
        table, kind="restored", name=section.name, patient=section.patient, mpp=float(section.mpp),
        spot_um=float(section.spot_um), pitch_um=section.pitch_um, cells=section.pitch_um is None or None,
        **{name: getattr(own, name) for name in _OF_IMPUTER},
    )  # fmt: skip
    return section.with_table(table)
