"""Which predicted tile belongs to which measured spot, and which genes both sides have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import TableError
from histoscribe.evaluation.guards import FEWEST, finite_places
from histoscribe.genes import symbol_of
from histoscribe.section import Section, flip

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, eq=False)
class Match:
    """Rows of two tables that show the same place."""

    measured: NDArray[np.intp]
    predicted: NDArray[np.intp]
    """`measured` and `predicted`: rows of each table, shape (matched,)."""
    by: Literal["barcode", "position"]
    """How they were matched."""


def as_section(table: Section | AnnData) -> Section:
    """A section as it is; a bare table as a section without slide, its geometry read from `uns`.

    Raises `TableError` if the table has no positions.
    """
    if isinstance(table, Section):
        return table
    from histoscribe.record import record_of
    from histoscribe.section.lattice import neighbour_distance

    if "spatial" not in table.obsm:
        raise TableError("the table has no positions", remedy='give spots with obsm["spatial"]')
    own = record_of(table)
    mpp, name = own.mpp or 1.0, own.name or "section"
    apart = own.pitch_um or float(neighbour_distance(flip(table.obsm["spatial"])) * mpp)
    pitch = None if own.cells else apart
    return Section(name, table, None, mpp, own.spot_um or 0.55 * apart, pitch, own.patient or name)


def match_spots(measured: Section, predicted: Section) -> Match:
    """Match by barcode where the tables share them; else each spot with the nearest tile within half a pitch.

    A prediction of a part of the section, or of more than it, is taken: what lies beside measured spots must
    be half of the prediction, or half of those spots must have one. Raises `TableError` if it is less, fewer
    than three spots match, barcodes are not unique, or equal barcodes lie in different places.
    """
    from scipy.spatial import cKDTree

    for section in (measured, predicted):
        finite_places(section.centres)
        if not section.table.obs_names.is_unique:
            raise TableError("some barcodes occur twice", where=section.name, remedy="make them unique")
    counts, apart = (measured.table.n_obs, predicted.table.n_obs), measured.spacing_um
    remedy = f"predict {measured.name} and compare with that"
    rows = predicted.table.obs_names.get_indexer(measured.table.obs_names)
    if 2 * np.count_nonzero(rows >= 0) >= min(counts):
        match = Match(np.flatnonzero(rows >= 0), rows[rows >= 0], "barcode")
        away = measured.centres_um[match.measured] - predicted.centres_um[match.predicted]
        if np.median(np.hypot(*away.T)) > apart:
            problem = "the same barcodes lie in different places, so the prediction is of another section"
            raise TableError(problem, where=predicted.name, remedy=remedy)
    else:
        places, reach = measured.centres_um, apart / 2
        distance, nearest = cKDTree(predicted.centres_um).query(places, distance_upper_bound=reach)
        match = Match(np.flatnonzero(np.isfinite(distance)), nearest[np.isfinite(distance)], "position")
    found = len(match.measured)
    beside = np.isfinite(
        cKDTree(measured.centres_um).query(predicted.centres_um, distance_upper_bound=apart)[0]
    ).mean()
    if found < FEWEST or (2 * found < counts[0] and beside < 0.5):
        problem = (
            f"{found:,} of the {counts[0]:,} spots of {measured.name} have a prediction within "
            f"{apart / 2:.3g} µm, and {beside:.0%} of the prediction lies beside them: it is of another place"
        )
        raise TableError(problem, where=predicted.name, remedy=f"{remedy}; a region of it is enough")
    return match


def common_genes(
    measured: Section, predicted: Section
) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp]]:
    """Genes of the prediction that were also measured, in its order, and their columns in both tables.

    Where no name is shared, Ensembl identifiers are matched by their symbols. Raises `TableError` if there is
    none, or a name occurs twice.
    """
    for section in (measured, predicted):
        names = section.table.var_names
        if not names.is_unique:
            twice = names[names.duplicated()][0]
            raise TableError(f"gene {twice} occurs twice", where=section.name, remedy="make names unique")
    pairs: list[tuple[int, int]] = []
    for named in (str, symbol_of):
        known = {named(gene): place for place, gene in reversed(list(enumerate(measured.genes)))}
        wanted = [(known.get(named(gene), -1), column) for column, gene in enumerate(predicted.genes)]
        pairs = pairs or [pair for pair in wanted if pair[0] >= 0]
    if not pairs:
        raise TableError(
            f"no gene in common: {measured.name} has {_some(measured.genes)}, the prediction has "
            f"{_some(predicted.genes)}",
            where=predicted.name,
            remedy="use tables with the same kind of gene names (symbols or Ensembl ids) and species",
        )
    own, theirs = np.array(pairs, dtype=np.intp).T
    return [predicted.genes[column] for column in theirs], own, theirs


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:3])} … ({len(names)})" if len(names) > 3 else ", ".join(names)
