"""What an imputer learns from: a table alone, or a table beside what an earlier model remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk.reading import BulkTable
from histoscribe.imputer.standard import Standard, learn_standard, standardise
from histoscribe.imputer.tables import aliases_of, groups_of
from histoscribe.models import Card, TrainingSection


@dataclass(frozen=True, eq=False)
class Material:
    """A training table in its own units.

    Parameters
    ----------
    values : ndarray of float32, shape (samples, genes)
        Standardised; NaN where not known.
    groups : tuple of str
        The patient of each sample.
    training : tuple of TrainingSection
    standard : Standard
    aliases : dict of str to str
    notes : tuple of str
    old : int
        So many samples, the first ones, are remembered from an earlier model.
    own : int
        So many genes, the first ones, are the table's; the others are known to the earlier model alone.
    """

    values: NDArray[np.float32]
    groups: tuple[str, ...]
    training: tuple[TrainingSection, ...]
    standard: Standard
    aliases: dict[str, str]
    notes: tuple[str, ...]
    own: int
    old: int = 0


@dataclass(frozen=True, eq=False)
class Remembered:
    """The samples that a model keeps, shape (references, its genes), with its units and its card."""

    samples: NDArray[np.float32]
    standard: Standard
    card: Card


def prepare(bulk: BulkTable, patients: Sequence[str] | str | None) -> Material:
    """Standardise a table by itself.

    Raises
    ------
    TableError
        If there is too little to learn from.
    """
    groups = groups_of(bulk, patients)
    standard, values, kept, notes = learn_standard(bulk)
    rows = np.flatnonzero(kept)
    own = tuple(groups[row] for row in rows)
    names = [str(bulk.table.obs_names[row]) for row in rows]
    training = tuple(TrainingSection(name, group) for name, group in zip(names, own, strict=True))
    return Material(
        values, own, training, standard, aliases_of(bulk, standard), tuple(notes), len(standard.genes)
    )


def extend(bulk: BulkTable, patients: Sequence[str] | str | None, known: Remembered) -> Material:
    """Put a table below what a model remembers, in the table's units.

    The genes are those of the table that vary, then those that only the model knows. A gene that goes by
    another name in the model is the same gene.

    Raises
    ------
    TableError
        If there is too little to learn from, or no gene is shared.
    """
    own = prepare(bulk, patients)
    units = standardise(bulk, known.standard, known.card.settings.get("aliases", {}), adapt=None)
    place = {gene: number for number, gene in enumerate(own.standard.genes)}
    names = np.asarray(bulk.table.var_names, dtype=str)
    ours = np.array([place.get(names[at], -1) if at >= 0 else -1 for at in units.places])
    lacking = np.flatnonzero(units.places < 0)
    genes = (*own.standard.genes, *(known.standard.genes[gene] for gene in lacking))
    count, width = len(own.standard.genes), len(genes)
    old = np.full((len(known.samples), width), np.nan, dtype=np.float32)
    shared = np.flatnonzero(ours >= 0)
    old[:, ours[shared]] = known.samples[:, shared]
    old[:, count:] = known.samples[:, lacking]
    new = np.full((len(own.values), width), np.nan, dtype=np.float32)
    new[:, :count] = own.values
    standard = Standard(
        genes,
        np.concatenate([own.standard.mean, units.mean[lacking]]).astype(np.float32),
        np.concatenate([own.standard.sd, units.sd[lacking]]).astype(np.float32),
        own.standard.scale,
    )
    aliases = {**known.card.settings.get("aliases", {}), **own.aliases}
    notes = (
        *own.notes,
        f"tuned from the model {known.card.sha256[:12]}: {len(shared):,} genes shared, {len(lacking):,} from "
        "it alone",
    )
    return Material(
        np.concatenate([old, new]),
        (*(f"remembered {number}" for number in range(len(old))), *own.groups),
        (*known.card.training, *own.training),
        standard,
        {other: gene for other, gene in aliases.items() if gene in set(genes)},
        notes,
        count,
        len(old),
    )
