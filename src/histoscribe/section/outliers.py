"""Spots that differ from their neighbours by more than others do."""

import numpy as np

from histoscribe.arrays import Wide
from histoscribe.section.model import Section

MOST_AWAY = 5.0
"""Robust standard deviations; of normal values one in a million lies further."""
_NEIGHBOURS = 6


def outlying_spots(section: Section) -> Wide:
    """How far counts, or genes that were found, of each spot lie from the median of its six nearest spots.

    Returns
    -------
    ndarray of float64, shape (spots,)
        In robust standard deviations (1.4826 times the median absolute deviation) of all spots' differences
        on a log scale, the larger of the two; beyond `MOST_AWAY` a spot is called an outlier.
    """
    from scipy.spatial import cKDTree

    counts = section.table.X
    told = [np.asarray(counts.sum(axis=1)).ravel(), np.asarray((counts > 0).sum(axis=1)).ravel()]
    if len(told[0]) <= _NEIGHBOURS:
        return np.zeros(len(told[0]))
    _, near = cKDTree(section.centres).query(section.centres, _NEIGHBOURS + 1)
    away = []
    for values in np.log1p(np.array(told, dtype=np.float64)):
        left = values - np.median(values[near[:, 1:]], axis=1)
        left -= np.median(left)
        away.append(np.abs(left) / max(1.4826 * float(np.median(np.abs(left))), 1e-9))
    found: Wide = np.max(away, axis=0)
    return found
