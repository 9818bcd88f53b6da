"""A simulated Visium HD run: counts on 2 µm bins, and the cells that they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from histoscribe.errors import SettingError
from histoscribe.simulate.cells import place_cells
from histoscribe.simulate.fields import stream
from histoscribe.simulate.genes import plan_genes
from histoscribe.simulate.render import render, section_stain
from histoscribe.simulate.section import slide_in_memory
from histoscribe.simulate.tissue import grow_tissue
from histoscribe.slide import Slide

BIN_UM = 2.0
BINS_UM = (2, 8, 16)
_REACH_UM = 5.0
_PER_BIN = 1.6
_MARGIN_UM = 12.0


@dataclass(frozen=True, eq=False)
class HdRun:
    """One run on bins of 2 µm."""

    name: str
    slide: Slide
    """The H&E image, with its µm per pixel."""
    genes: tuple[str, ...]
    extent: tuple[int, int]
    """Rows and columns of 2 µm bins, multiples of 8."""
    counts: Any
    """Row by row, shape (bins, genes)."""
    in_tissue: NDArray[np.bool_]
    """Shape (bins,)."""
    to_pixels: NDArray[np.float64]
    """From (column, row, 1) of a bin's centre to (x, y, 1) in full-resolution pixels, shape (3, 3)."""
    cell_of: NDArray[np.int64]
    """Number of the cell that a bin belongs to, from 1; 0 between the cells. Shape (bins,)."""
    cell_centres: NDArray[np.float64]
    """(row, column) in full-resolution pixels, of the cells from 1 on, shape (cells, 2)."""

    def binned(self, bin_um: int) -> tuple[Any, NDArray[np.bool_]]:
        """Sums of counts on larger bins, CSR (bins, genes), and whether any bin within lies on tissue."""
        which, bins = self.larger_bin(bin_um)
        pooling = sparse.csr_array(
            (np.ones(len(which), int), (which, np.arange(len(which)))), shape=(bins, len(which))
        )
        return pooling @ self.counts, np.asarray(pooling @ self.in_tissue > 0)

    def larger_bin(self, bin_um: int) -> tuple[NDArray[np.intp], int]:
        """The bin of `bin_um` that each 2 µm bin lies in, row by row, and how many there are."""
        step = round(bin_um / BIN_UM)
        row, column = np.divmod(np.arange(self.extent[0] * self.extent[1]), self.extent[1])
        columns = self.extent[1] // step
        return row // step * columns + column // step, self.extent[0] // step * columns


def simulate_hd(
    seed: int = 0, *, name: str = "hd", genes: int = 60, size_um: float = 600.0, mpp: float = 0.5
) -> HdRun:
    """Simulate a small Visium HD run whose capture area lies slightly turned on the slide.

    Parameters
    ----------
    seed : int
        The same arguments always give the same run.
    name : str
    genes : int
    size_um : float
        Side of the square slide in µm.
    mpp : float
        µm per pixel.

    Raises
    ------
    SettingError
        If size or resolution make no section.
    """
    if not (600 <= size_um <= 4000 and 0.2 <= mpp <= 4):
        raise SettingError(
            f"cannot simulate {size_um:g} µm at {mpp:g} µm per pixel",
            remedy="choose 600 to 4,000 µm and 0.2 to 4 µm per pixel",
        )
    patient = f"patient of {name}"
    plan = plan_genes(genes).for_patient(patient)
    tissue = grow_tissue(seed, patient, size_um)
    cells = place_cells(tissue, seed)
    rng = stream("bins", seed, name)
    slide = slide_in_memory(render(tissue, cells, section_stain(seed, patient), mpp, seed), mpp, name)

    side = int((size_um - 2 * _MARGIN_UM) / BIN_UM) // 8 * 8
    angle = rng.uniform(0.004, 0.012)  # about the middle of the slide
    turn = BIN_UM * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to_um = np.eye(3)
    to_um[:2, :2], to_um[:2, 2] = turn, size_um / 2 - turn @ np.full(2, (side - 1) / 2)
    to_pixels = np.diag([1 / mpp, 1 / mpp, 1]) @ to_um
    row, column = np.divmod(np.arange(side * side), side)
    places = np.column_stack([column, row, np.ones(len(row))]) @ to_pixels.T * mpp
    centres_um = places[:, 1::-1]
    in_tissue = tissue.inside[tissue.index(centres_um)] > 0

    distance, nearest = cKDTree(cells.centres).query(centres_um, distance_upper_bound=_REACH_UM)
    held = np.isfinite(distance) & in_tissue
    loading = plan.loading[cells.kind] + 0.3 * plan.loading.mean(axis=0)
    amount = rng.poisson(np.where(held, _PER_BIN, 0.05 * in_tissue))
    cell = np.where(held, nearest, rng.integers(0, len(cells.kind), len(row)))
    share = np.cumsum(loading / loading.sum(axis=1, keepdims=True), axis=1)
    bins = np.repeat(np.arange(len(row)), amount)
    lot = rng.random(len(bins))
    caught = np.minimum((lot[:, None] >= share[cell[bins]]).sum(axis=1), genes - 1)
    counts = sparse.csr_array((np.ones(len(bins), int), (bins, caught)), shape=(len(row), genes))
    counts.sum_duplicates()

    numbers, cell_of = np.unique(np.where(held, nearest, -1), return_inverse=True)
    numbers = numbers[numbers >= 0]
    cell_of = cell_of if not held.all() else cell_of + 1
    return HdRun(
        name, slide, plan.names, (side, side), counts, in_tissue, to_pixels, cell_of.astype(np.int64),
        cells.centres[numbers] / mpp,
    )  # fmt: skip
