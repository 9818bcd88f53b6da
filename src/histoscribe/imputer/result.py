"""The table that comes out, and the same as a section: measured and restored values, told apart."""

from collections.abc import Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from histoscribe.arrays import Floats, Mask, Numbers
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
from histoscribe.section.assembly import describe

_OF_RESTORING = (
    *("scale", "target", "notes", "command", "versions", "model_sha256", "adapted", "overlap"),
    *("model_genes", "restored_values", "hidden_r", "hidden_cover"),
)
"""What the record of a restored table says of how it came about."""


def restore_table(
    bulk: BulkTable, units: UnitTable, restorer: Restorer, card: Card, progress: Progress
) -> AnnData:
    """Restore a table and check it on itself; gives what `Imputer.restore` describes.

    Genes that the whole table lacks are the model's word; in holes of others the table's samples are heard.
    """
    enough, standard = len(units.values) >= LEAST_SAMPLES, units.standard
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
    samples, width = units.raw.shape
    lacking = np.flatnonzero(units.places < 0)
    names = [*map(str, bulk.table.var_names), *(standard.genes[place] for place in lacking)]
    columns = units.places.copy()
    columns[lacking] = width + np.arange(len(lacking))
    values = np.full((samples, len(names)), np.nan, dtype=np.float32)
    values[:, :width] = units.raw
    known = ~np.isnan(values)
    expected, spread = np.full_like(values, np.nan), np.full_like(values, np.nan)
    expected[:, columns], spread[:, columns] = standard.undo(means), spreads * standard.sd
    in_model = np.isin(np.arange(len(names)), columns)
    told = in_model.copy()
    if own is not None:
        kept, filled = own
        told[kept] = True
        lowest = -np.inf if standard.floor is None else standard.floor
        expected[:, kept], spread[:, kept] = np.maximum(filled.mean, lowest), filled.spread
        expected[~known.any(1)] = spread[~known.any(1)] = np.nan
    restored, sd = np.where(known, values, expected), np.where(known, np.float32(0), spread)
    mask = ~known & ~np.isnan(restored)
    training_r = np.full(len(names), np.nan)
    training_r[columns] = [card.held_out.get(gene, {}).get("r", np.nan) for gene in standard.genes]
    check = pd.concat(checks) if checks else pd.DataFrame(columns=["r", "low", "high"], dtype=float)
    check = check[~check.index.duplicated()].reindex(names)
    var = bulk.table.var.reindex(names).assign(
        in_model=in_model,
        measured=known.mean(0),
        restored=mask.mean(0),
        training_r=training_r,
        held_out_r=check["r"],
        held_out_low=check["low"],
        held_out_high=check["high"],
        verdict=verdicts(check["low"]),
    )
    result = AnnData(
        values,
        obs=bulk.table.obs.copy(),
        var=pd.DataFrame(var, index=names),
        obsm=dict(bulk.table.obsm),
        layers={"restored": restored, "mask": mask, "sd": sd},
    )
    notes = (*units.notes, *_left_out(means, told, unchecked=not enough and bool(mask.any())))
    record = _record(bulk, units, card, notes, int(mask.sum()))
    hidden_r, cover = _known(check["r"].dropna().median()), _known(covers[0]) if covers else None
    keep_record(result, replace(record, hidden_r=hidden_r, hidden_cover=cover))
    return result


def _record(bulk: BulkTable, units: UnitTable, card: Card, notes: tuple[str, ...], restored: int) -> Record:
    return Record(
        "restored",
        bulk.name,
        scale=units.standard.scale,
        target=SCALES[units.standard.scale],
        notes=notes,
        command=running_command(),
        versions=card.versions,
        model_sha256=card.sha256,
        adapted=units.adapted,
        overlap=int((units.places >= 0).sum()),
        model_genes=len(units.standard.genes),
        restored_values=restored,
    )


def _left_out(means: Floats, told: Mask, *, unchecked: bool) -> Iterator[str]:
    """What the user is to know of samples and genes that nothing is told of, or that cannot be checked."""
    if empty := int(np.isnan(means).all(1).sum()):
        yield f"{empty} samples have no value of any model gene and were left as they are"
    if foreign := int((~told).sum()):
        yield f"{foreign:,} genes of the table are unknown to the model and were left as they are"
    if unchecked:
        alone = "have no structure of their own and cannot be checked: the model alone answers"
        yield f"{len(means)} samples {alone}"


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _own_structure(
    bulk: BulkTable, units: UnitTable, restorer: Restorer, progress: Progress
) -> tuple[Numbers, Completed] | None:
    """Columns with two values or more, filled; None where no value is missing there."""
    holes = np.isnan(units.raw)
    kept = np.flatnonzero((~holes).sum(0) > 1)
    if not holes[:, kept].any():
        return None
    place = np.full(units.raw.shape[1] + 1, -1)
    place[kept] = np.arange(len(kept))
    genes = np.flatnonzero(place[units.places] >= 0)
    at, standard = place[units.places[genes]], units.standard

    def told(values: Floats) -> Floats:
        given = np.full((len(values), len(standard.genes)), np.nan, dtype=np.float32)
        given[:, genes] = values[:, at]
        found = restore_all(restorer, standard.apply(given), Progress())[0]
        answer = np.full_like(values, np.nan)
        answer[:, at] = standard.undo(np.nan_to_num(found))[:, genes]
        return answer

    names = np.asarray(bulk.table.var_names, dtype=str)[kept].tolist()
    return kept, complete(units.raw[:, kept], told, names, neighbours_of(bulk.table), progress)


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
    describe(section, "restored", table=table)
    amend_record(table, **{name: getattr(own, name) for name in _OF_RESTORING})
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
