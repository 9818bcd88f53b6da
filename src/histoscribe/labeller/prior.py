"""What is known of labels beforehand, as a graph: which of them go together."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.errors import TableError, told_as
from histoscribe.genes import read_gene_sets, shipped_gene_sets
from histoscribe.labeller.labels import Label, columns_of

Prior = Callable[[Numbers], Wide]
"""From the rows that may be learned from to how far labels go together, from -1 to 1 (labels, labels)."""
_STRENGTH, _FEWEST = 4.0, 8


def prior_named(name: str, labels: Sequence[Label]) -> Prior:
    """The graph of labels by `cooccurrence`, by gene `sets` that come along, a GMT file, or a CSV of edges.

    A line of edges is two labels and, if there is a third cell, their weight from -1 to 1. Raises
    `TableError` if it links no two labels.
    """
    if name == "cooccurrence":
        return lambda rows: cooccurrence(labels, rows)
    names = [label.name for label in labels]
    if name == "sets" or Path(name).suffix.lower() == ".gmt":
        found = shared_sets(names, shipped_gene_sets() if name == "sets" else read_gene_sets(name))
    else:
        found = _edges(Path(name), names)
    if not np.any(found):
        remedy = "its names must be those of labels"
        raise TableError("this prior links no two of the labels", where=name, remedy=remedy)
    return lambda rows: found


def cooccurrence(labels: Sequence[Label], rows: Numbers) -> Wide:
    """Correlation of labels over slides that know both, shrunk as if eight more had none; 0 for labels of
    more than two classes."""
    values = np.column_stack([label.values for label in labels])[rows]
    known = np.isfinite(values)
    known[:, [len(label.classes) > 2 for label in labels]] = False
    centred = np.where(
        known, values - np.nanmean(np.where(known, values, 0), 0, where=known | ~known.any(0)), 0
    )
    both = known.T.astype(float) @ known
    spread = np.sqrt((centred**2).T @ known)
    r = centred.T @ centred / np.maximum(spread * spread.T, 1e-9)
    found = r * both / (both + _FEWEST)
    np.fill_diagonal(found, 0)
    return np.asarray(found, dtype=np.float64)


def shared_sets(names: Sequence[str], sets: Mapping[str, Sequence[str]]) -> Wide:
    """Cosine of the sets that genes are in; labels that are no gene go with none."""
    member = np.array([[name in own for own in map(set, sets.values())] for name in names], dtype=np.float64)
    length = np.linalg.norm(member, axis=1)
    found = member @ member.T / np.maximum(np.outer(length, length), 1e-9)
    np.fill_diagonal(found, 0)
    return np.asarray(found, dtype=np.float64)


def smoothing_of(graph: Wide, labels: Sequence[Label]) -> Floats:
    """How much each output borrows from each, (I + 4 L)⁻¹ with L the graph's normalised signed Laplacian."""
    degree = np.abs(graph).sum(1)
    root = 1 / np.sqrt(np.maximum(degree, 1e-9))
    laplacian = np.diag((degree > 0).astype(np.float64)) - graph * root[:, None] * root
    between = np.linalg.inv(np.eye(len(graph)) + _STRENGTH * laplacian)
    columns = columns_of(labels)
    full = np.eye(columns[-1].stop)
    single = [place for place, own in enumerate(columns) if own.stop - own.start == 1]
    outputs = [columns[place].start for place in single]
    full[np.ix_(outputs, outputs)] = between[np.ix_(single, single)]
    return full.astype(np.float32)


def _edges(path: Path, names: Sequence[str]) -> Wide:
    remedy = "write two labels and a weight from -1 to 1 a line, with commas between"
    place, found = {name: number for number, name in enumerate(names)}, np.zeros((len(names), len(names)))
    with told_as(TableError, "the edges cannot be read", OSError, ValueError, where=path, remedy=remedy):
        table = pd.read_csv(path, sep=None, engine="python", dtype=str, header=None).fillna("1")
        for one, other, *weight in table.itertuples(index=False):
            if {one, other} <= place.keys() and one != other:
                value = float(weight[0]) if weight else 1.0
                if not -1 <= value <= 1:
                    raise ValueError(f"{value:g} is no weight")
                found[place[one], place[other]] = found[place[other], place[one]] = value
    return found
