"""From cells to counts: what every spot expresses, and what a sequencer would count of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from histoscribe.simulate.cells import ADIPOCYTE, B_CELL, KINDS, MACROPHAGE, T_CELL, TUMOUR_CELL, CellMap
from histoscribe.simulate.genes import PROGRAMMES, GenePlan
from histoscribe.simulate.tissue import Tissue

_MRNA = np.array([2.2, 1.0, 0.6, 0.7, 1.3, 1.6, 2.5, 1.0])
_LEAVING = 0.16
_AMBIENT = 0.02


@dataclass(frozen=True, eq=False)
class Expression:
    """What the spots of one section express."""

    truth: NDArray[np.float32]
    """log1p of the expected transcripts per 10,000: no diffusion, depth or counting noise. Shape (spots,
    genes)."""
    counts: sparse.csr_matrix
    """What was counted, shape (spots, genes)."""
    activity: NDArray[np.float32]
    """Of each programme in `PROGRAMMES`, shape (spots, programmes)."""


def express(
    tissue: Tissue, cells: CellMap, plan: GenePlan, spots_um: NDArray[np.float64], spot_um: float,
    pitch_um: float, depth: float, rng: np.random.Generator,
) -> Expression:  # fmt: skip
    """Count the transcripts under every spot.

    `spots_um` (spots, 2): centres as (row, column); `spot_um` and `pitch_um`: their diameter and the distance
    of neighbours; `depth`: median counts per spot over all genes.
    """
    reach = spot_um / 2 + 6  # a cell counts half at a spot's rim
    pairs = cKDTree(spots_um).sparse_distance_matrix(cKDTree(cells.centres), reach, output_type="ndarray")
    within = np.clip((reach - pairs["v"]) / 12, 0, 1)
    under = sparse.csr_array((within, (pairs["i"], pairs["j"])), shape=(len(spots_um), len(cells.centres)))
    activity = under @ _cell_activity(tissue, cells)
    activity += _AMBIENT * activity.mean(axis=0)
    activity[:, PROGRAMMES.index("noise")] = activity[:, PROGRAMMES.index("housekeeping")]
    expected = activity @ plan.loading
    share = expected / expected.sum(axis=1, keepdims=True)
    truth = np.log1p(1e4 * share).astype(np.float32)

    captured = _diffuse(expected, spots_um, pitch_um)
    captured_share = captured / captured.sum(axis=1, keepdims=True)
    yielded = np.sqrt(captured.sum(axis=1)) * rng.lognormal(0, 0.3, len(captured))
    library = depth * yielded / np.median(yielded)
    mean = captured_share * library[:, None]
    shape = 1 / plan.dispersion
    counts = rng.poisson(mean * rng.gamma(shape, 1 / shape, size=mean.shape))
    return Expression(truth, sparse.csr_matrix(counts.astype(np.float32)), activity.astype(np.float32))


def _cell_activity(tissue: Tissue, cells: CellMap) -> NDArray[np.float64]:
    """Activity of every programme in every cell, shape (cells, programmes)."""
    here = tissue.index(cells.centres)
    mrna = _MRNA[cells.kind]
    immune = np.isin(cells.kind, (T_CELL, B_CELL, MACROPHAGE))
    tree = cKDTree(cells.centres[immune])
    nearby = tree.query_ball_point(cells.centres, 60.0, return_length=True) if immune.any() else 0
    crowd = np.minimum(np.asarray(nearby, dtype=float) / 45, 1.5)
    tumour = cells.kind == TUMOUR_CELL
    activity = np.zeros((len(cells.kind), len(PROGRAMMES)))
    activity[np.arange(len(cells.kind)), cells.kind] = mrna
    division, hypoxia, interferon, hidden, housekeeping = range(len(KINDS), len(PROGRAMMES) - 1)
    activity[:, division] = mrna * np.where(tumour, 1.4 * tissue.grade[here] ** 1.5, 0.04)
    activity[:, hypoxia] = mrna * tissue.hypoxia[here] * np.where(tumour, 1.3, 0.5)
    activity[:, interferon] = mrna * crowd * np.where(immune, 1.0, 0.7)
    activity[:, hidden] = mrna * tissue.hidden[here]
    activity[:, housekeeping] = mrna * np.where(cells.kind == ADIPOCYTE, 0.5, 1.0)
    return activity


def _diffuse(
    expected: NDArray[np.float64], spots_um: NDArray[np.float64], pitch_um: float
) -> NDArray[np.float64]:
    """Let a part of every spot's transcripts be caught by its six neighbours."""
    pairs = cKDTree(spots_um).query_pairs(1.1 * pitch_um, output_type="ndarray")
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    moved = sparse.csr_array(
        (np.full(len(rows), _LEAVING / 6), (rows, columns)), shape=(len(spots_um), len(spots_um))
    )
    stay = 1 - np.asarray(moved.sum(axis=0)).reshape(-1)
    return np.asarray(stay[:, None] * expected + moved @ expected)
