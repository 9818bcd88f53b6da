"""Which gene to paint first: the one known best, or the one with the clearest pattern on the tissue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.widgets.layers.layers import kind_of
from histoscribe.widgets.layers.painting import expression, held_out_scores

if TYPE_CHECKING:
    from histoscribe.section import Section

_CANDIDATES = 60
_NEIGHBOURS = 6


def suggested_gene(sections: Sequence[Section]) -> str:
    """Choose a gene that all sections have.

    Where something is predicted and its model states scores on held-out tissue, it is the gene with
    the best one. Otherwise it is the gene, of the 60 most variable ones of the first measured section
    (else the first), whose values follow those of the six nearest spots most closely (Pearson r of a
    spot with its neighbours' mean). How measured and predicted agree here has no say in it.

    Returns
    -------
    str
        Empty where the sections share no gene or have too few spots.
    """
    shared = set(sections[0].genes).intersection(*(one.genes for one in sections))
    scores = {gene: r for one in sections for gene, r in held_out_scores(one).items() if gene in shared}
    if scores:
        return max(scores, key=lambda gene: scores[gene])
    judge = next((one for one in sections if kind_of(one) == "measured"), sections[0])
    columns = np.array([place for place, gene in enumerate(judge.genes) if gene in shared], dtype=int)
    if not columns.size:
        return ""
    if judge.table.n_obs <= _NEIGHBOURS:
        return str(judge.genes[columns[0]])
    variable = columns[np.argsort(-_spread(judge.table.X)[columns], kind="stable")[:_CANDIDATES]]
    around = _neighbours(judge)
    names = [str(judge.genes[place]) for place in variable]
    return max(names, key=lambda gene: _follows(expression(judge, gene), around))


def _spread(x: Any) -> NDArray[np.float64]:
    """Variance over mean of every column: what varies more than its level explains."""
    square = x.multiply(x) if hasattr(x, "multiply") else np.square(x)
    mean = np.asarray(x.mean(axis=0), dtype=np.float64).ravel()
    variance = np.asarray(square.mean(axis=0), dtype=np.float64).ravel() - mean**2
    return np.divide(variance, mean, out=np.zeros_like(mean), where=mean > 0)


def _neighbours(section: Section) -> NDArray[np.intp]:
    from scipy.spatial import cKDTree

    centres = section.centres_um
    found: NDArray[np.intp] = cKDTree(centres).query(centres, k=_NEIGHBOURS + 1)[1]
    return found[:, 1:]


def _follows(values: NDArray[np.float32], around: NDArray[np.intp]) -> float:
    mean = values[around].mean(axis=1)
    if not (values.std() > 0 and mean.std() > 0):
        return -1.0
    return float(np.corrcoef(values, mean)[0, 1])
