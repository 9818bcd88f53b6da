"""The table that comes out, and the same as a section: measured and restored values, told apart."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from histoscribe.bulk import SCALES
from histoscribe.bulk.table import BulkTable, as_table
from histoscribe.errors import TableError
from histoscribe.files import replacing, write_h5ad
from histoscribe.imputer.hiding import hide_genes, names_of
from histoscribe.imputer.restorer import Restorer, restore_all
from histoscribe.imputer.units import UnitTable
from histoscribe.imputer.weighing import LEAST_SAMPLES, Completed, complete, neighbours_of, verdicts
from histoscribe.models import Card
from histoscribe.progress import Progress
from histoscribe.record import Record, amend_record, keep_record, record_of, running_command
from histoscribe.section import Section


def restore_table(
    bulk: BulkTable, units: UnitTable, restorer: Restorer, card: Card, progress: Progress
) -> AnnData:
    """Restore a table and check it on itself; gives what `Imputer.restore` describes.

    Genes that the whole table lacks are the model's word; in holes of others the table's samples are heard.
    """
    enough = len(units.values) >= LEAST_SAMPLES
    means, spreads = restore_all(restorer, units.values, progress)
    absent, checks, covers = np.isnan(units.values).all(0), [], []
    if enough and absent.any() and not absent.all():
        hidden = hide_genes(restorer, units.values, parts=1)
        spreads[:, absent] *= hidden.reach
        checks.append(hidden.scores(names_of(bulk, units)))
        covers.append(hidden.cover)
    own = _own_structure(bulk, units, restorer, progress) if enough else None
    if own is not None:
        checks.insert(0, own[1].check)
        covers.insert(0, own[1].cover)
    standard = units.standard
    samples, width = units.raw.shape
    lacking = np.flatnonzero(units.places < 0)
    columns = units.places.copy()
    columns[lacking] = width + np.arange(len(lacking))
    values = np.full((samples, width + len(lacking)), np.nan, dtype=np.float32)
    values[:, :width] = units.raw
    known = ~np.isnan(values)
    expected, spread = np.full_like(values, np.nan), np.full_like(values, np.nan)
    expected[:, columns], spread[:, columns] = standard.undo(means), spreads * standard.sd
    told = np.isin(np.arange(values.shape[1]), columns)
    if own is not None:
        kept, filled = own
        told[kept] = True
        lowest = -np.inf if standard.floor is None else standard.floor
        expected[:, kept], spread[:, kept] = np.maximum(filled.mean, lowest), filled.spread
        expected[~known.any(1)] = spread[~known.any(1)] = np.nan
    restored, sd = np.where(known, values, expected), np.where(known, np.float32(0), spread)
    mask = ~known & ~np.isnan(restored)
    names = [*map(str, bulk.table.var_names), *(standard.genes[place] for place in lacking)]
    var = bulk.table.var.reindex(names)
    var["in_model"] = np.isin(np.arange(len(names)), columns)
    var["measured"] = known.mean(0)
    var["restored"] = mask.mean(0)
    score = np.full(len(names), np.nan)
    score[columns] = [card.held_out.get(gene, {}).get("r", np.nan) for gene in standard.genes]
    var["training_r"] = score
    check = pd.concat(checks) if checks else pd.DataFrame(columns=["r", "low", "high"], dtype=float)
    check = check[~check.index.duplicated()].reindex(names)
    var["held_out_r"], var["held_out_low"], var["held_out_high"] = check["r"], check["low"], check["high"]
    var["verdict"] = verdicts(check["low"])
    result = AnnData(values, obs=bulk.table.obs.copy(), var=pd.DataFrame(var, index=names))
    result.layers.update({"restored": restored, "mask": mask, "sd": sd})
    for key, coordinates in bulk.table.obsm.items():
        result.obsm[key] = coordinates
    notes = list(units.notes)
    if empty := int(np.isnan(means).all(1).sum()):
        notes.append(f"{empty} samples have no value of any model gene and were left as they are")
    foreign = int((~told).sum())
    if foreign:
        notes.append(f"{foreign:,} genes of the table are unknown to the model and were left as they are")
    if not enough and mask.any():
        notes.append(
            f"{samples} samples have no structure of their own and cannot be checked: the model alone answers"
        )
    record = Record("restored", bulk.name, target=SCALES[standard.scale], scale=standard.scale)
    hidden_r, cover = map(_known, (check["r"].dropna().median(), covers[0] if covers else np.nan))
    record = replace(record, adapted=units.adapted, hidden_r=hidden_r, hidden_cover=cover, notes=tuple(notes))
    record = replace(record, overlap=int((units.places >= 0).sum()), model_genes=len(standard.genes))
    record = replace(record, restored_values=int(mask.sum()), model_sha256=card.sha256)
    keep_record(result, replace(record, command=running_command(), versions=card.versions))
    return result


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _own_structure(
    bulk: BulkTable, units: UnitTable, restorer: Restorer, progress: Progress
) -> tuple[NDArray[np.int64], Completed] | None:
    """Columns with two values or more, filled; None where no value is missing there."""
    holes = np.isnan(units.raw)
    kept = np.flatnonzero((~holes).sum(0) > 1)
    if not holes[:, kept].any():
        return None
    place = np.full(units.raw.shape[1] + 1, -1)
    place[kept] = np.arange(len(kept))
    genes = np.flatnonzero(place[units.places] >= 0)
    at, standard = place[units.places[genes]], units.standard

    def told(values: NDArray[np.float32]) -> NDArray[np.float32]:
        given = np.full((len(values), len(standard.genes)), np.nan, dtype=np.float32)
        given[:, genes] = values[:, at]
        found = restore_all(restorer, standard.apply(given), Progress())[0]
        answer = np.full_like(values, np.nan)
        answer[:, at] = standard.undo(np.nan_to_num(found))[:, genes]
        return answer

    names = np.asarray(bulk.table.var_names, dtype=str)[kept].tolist()
    return kept, complete(units.raw[:, kept], told, names, neighbours_of(bulk.table), progress)


_OF_IMPUTER = (
    *("target", "scale", "adapted", "model_sha256", "overlap", "model_genes", "restored_values"),
    *("hidden_r", "hidden_cover", "notes", "command", "versions"),
)


def completed(source: BulkTable | Section, restored: AnnData) -> BulkTable | Section:
    """What was given to `Imputer.restore`, with what came back in its place.

    Parameters
    ----------
    restored : AnnData
        What `restore` made of it.

    Returns
    -------
    BulkTable or Section
        Of the kind of `source`, all genes of the model in it; of a section see `as_section`.
    """
    if not isinstance(source, BulkTable):
        return as_section(source, restored)
    table = restored.copy()
    table.X = table.layers["restored"]
    return as_table(table, name=source.name)


def as_section(section: Section, restored: AnnData) -> Section:
    """Put what `Imputer.restore` gave back for a section beside its measured genes.

    `X` holds `layers["restored"]`, the scale of a prediction; `layers["mask"]` and `layers["sd"]` say what
    was restored and how surely, `var["restored"]` for which share of the spots.
    """
    beside = {name: restored.layers[name] for name in ("mask", "sd")}
    values, own = np.asarray(restored.layers["restored"]), record_of(restored)
    obs, var, uns = section.table.obs.copy(), restored.var.copy(), dict(section.table.uns)
    table = AnnData(values, obs=obs, var=var, uns=uns, obsm=dict(restored.obsm), layers=beside)
    told = {name: getattr(own, name) for name in _OF_IMPUTER} | {"mpp": float(section.mpp)}
    told |= {"spot_um": float(section.spot_um), "pitch_um": section.pitch_um}
    told |= {"name": section.name, "patient": section.patient, "cells": section.pitch_um is None or None}
    amend_record(table, kind="restored", **told)
    return section.with_table(table)


def write_restored(table: AnnData, path: str | PathLike[str]) -> list[Path]:
    """Write a restored table as h5ad, CSV or TSV.

    Parameters
    ----------
    table : AnnData
        As `Imputer.restore` gives it.
    path : path
        Text holds samples × genes of `layers["restored"]`; beside it goes the same table of standard
        deviations (`x.sd.csv`), 0 where a value was measured and empty where it is not known.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    TableError
        If the table cannot be stored.
    StorageError
        If there is no room, or no permission.
    """
    path = Path(path)
    if path.suffix.lower() == ".h5ad":
        write_h5ad(table, path, TableError)
        return [path]
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    written = []
    for target, layer in ((path, "restored"), (path.with_suffix(f".sd{path.suffix}"), "sd")):
        frame = pd.DataFrame(table.layers[layer], index=table.obs_names, columns=table.var_names)
        with replacing(target) as fresh:
            frame.to_csv(fresh, sep=separator, float_format="%.6g", index_label="sample")
        written.append(target)
    return written
