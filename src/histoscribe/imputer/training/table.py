"""What an imputer learns from: a table alone, or a table beside what an earlier model remembers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Floats
from histoscribe.bulk.table import BulkTable
from histoscribe.imputer.restorer import ImputerState
from histoscribe.imputer.units import aliases_of, groups_of, learn_standard, standard_of, standardise
from histoscribe.models import Card, TrainingSection
from histoscribe.models.standard import Standard


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """A training table in its own units."""

    values: Floats
    """Standardised; NaN where not known. Shape (samples, genes)."""
    groups: tuple[str, ...]
    """The patient of each sample."""
    training: tuple[TrainingSection, ...]
    standard: Standard
    aliases: dict[str, str]
    notes: tuple[str, ...]
    own: int
    """So many genes, the first ones, are the table's; the others are known to the earlier model alone."""
    old: int = 0
    """So many samples, the first ones, are remembered from an earlier model."""


def prepare(bulk: BulkTable, patients: Sequence[str] | str | None) -> TrainingTable:
    """Standardise a table by itself; raises `TableError` if there is too little to learn from."""
    groups = groups_of(bulk, patients)
    standard, values, kept, notes = learn_standard(bulk)
    rows = np.flatnonzero(kept)
    own = tuple(groups[row] for row in rows)
    names = [str(bulk.table.obs_names[row]) for row in rows]
    training = tuple(TrainingSection(name, group) for name, group in zip(names, own, strict=True))
    return TrainingTable(
        values, own, training, standard, aliases_of(bulk, standard), tuple(notes), len(standard.genes)
    )


def extend(
    bulk: BulkTable, patients: Sequence[str] | str | None, model: ImputerState, card: Card
) -> TrainingTable:
    """Put a table below what a model remembers, in the table's units.

    The genes are those of the table that vary, then those that only the model knows. A gene that goes by
    another name in the model is the same gene. Raises `TableError` if there is too little to learn from, or
    no gene is shared.
    """
    own, samples = prepare(bulk, patients), model.restorer.memory.samples.numpy()
    units = standardise(bulk, model.standard, card.settings.get("aliases", {}), adapt=None)
    place = {gene: number for number, gene in enumerate(own.standard.genes)}
    names = np.asarray(bulk.table.var_names, dtype=str)
    ours = np.array([place.get(names[at], -1) if at >= 0 else -1 for at in units.places])
    lacking = np.flatnonzero(units.places < 0)
    genes = (*own.standard.genes, *(model.standard.genes[gene] for gene in lacking))
    count, width = len(own.standard.genes), len(genes)
    old = np.full((len(samples), width), np.nan, dtype=np.float32)
    shared = np.flatnonzero(ours >= 0)
    old[:, ours[shared]] = samples[:, shared]
    old[:, count:] = samples[:, lacking]
    new = np.full((len(own.values), width), np.nan, dtype=np.float32)
    new[:, :count] = own.values
    mean = np.concatenate([own.standard.mean, units.standard.mean[lacking]])
    sd = np.concatenate([own.standard.sd, units.standard.sd[lacking]])
    standard = standard_of(genes, mean, sd, own.standard.scale)
    known = set(genes)
    aliases = {**card.settings.get("aliases", {}), **own.aliases}
    note = f"tuned from the model {card.sha256[:12]}: {len(shared):,} genes shared"
    groups = (*(f"remembered {number}" for number in range(len(old))), *own.groups)
    training, notes = (*card.training, *own.training), (*own.notes, f"{note}, {len(lacking):,} from it alone")
    aliases = {other: gene for other, gene in aliases.items() if gene in known}
    values = np.concatenate([old, new])
    return TrainingTable(values, groups, training, standard, aliases, notes, count, len(old))
