"""One simulated section: slide, spots, what they express, what a sequencer counts of it, and the truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from histoscribe.arrays import Floats, Pixels, Wide
from histoscribe.errors import SettingError
from histoscribe.progress import Progress
from histoscribe.record import Record, keep_record
from histoscribe.section import Section
from histoscribe.section.model import flip
from histoscribe.simulate.cells import (
    ADIPOCYTE,
    B_CELL,
    KINDS,
    MACROPHAGE,
    T_CELL,
    TUMOUR_CELL,
    CellMap,
    place_cells,
)
from histoscribe.simulate.fields import stream
from histoscribe.simulate.genes import PROGRAMMES, GenePlan, plan_genes
from histoscribe.simulate.render import render, section_stain
from histoscribe.simulate.tissue import REGIONS, Tissue, grow_tissue
from histoscribe.slide import Level, Slide

SPOT_UM, PITCH_UM = 55.0, 100.0
_CHUNK = 512
_MRNA = np.array([2.2, 1.0, 0.6, 0.7, 1.3, 1.6, 2.5, 1.0])
_LEAVING = 0.16
_AMBIENT = 0.02


def simulate_section(
    seed: int = 0,
    *,
    name: str | None = None,
    patient: str | None = None,
    genes: int = 300,
    size_um: float = 2200.0,
    mpp: float = 1.0,
    depth: float = 3000.0,
    progress: Progress | None = None,
) -> Section:
    """Simulate a stained section with Visium spots whose true expression is known.

    Parameters
    ----------
    seed : int
        The section; the same arguments always give the same one.
    name, patient : str, optional
        `simulated-<seed>`, and a patient of its own. Sections of one patient share make-up, stain and
        expression levels.
    size_um : float
        Side of the square slide in µm.
    depth : float
        Median counts per spot.

    Returns
    -------
    Section
        `table.X` CSR float32 counts; `layers["truth"]` log1p of the expected transcripts per 10,000
        without diffusion, depth and noise; `obsm["regions"]` share of each region under a spot, named in
        `uns["regions"]`; `obsm["programmes"]` activity of each programme, named in `uns["programmes"]`;
        `var["programme"]`. The slide is a pyramid in memory.

    Raises
    ------
    SettingError
        If size, resolution, depth or number of genes make no section.
    """
    if not (600 <= size_um <= 20_000 and 0.2 <= mpp <= 4 and depth > 0):
        problem = f"cannot simulate {size_um:g} µm at {mpp:g} µm per pixel with {depth:g} counts per spot"
        remedy = "choose 600 to 20,000 µm, 0.2 to 4 µm per pixel and a positive depth"
        raise SettingError(problem, remedy=remedy)
    name = name or f"simulated-{seed}"
    patient = patient or f"patient of {name}"
    plan = plan_genes(genes).for_patient(patient)
    progress = progress or Progress()
    progress.report(f"{name}: growing tissue", 0, 3)
    tissue = grow_tissue(seed, patient, size_um)
    cells = place_cells(tissue, seed)
    progress.report(f"{name}: staining", 1, 3)
    pixels = render(tissue, cells, section_stain(seed, patient), mpp, seed)
    progress.report(f"{name}: sequencing", 2, 3)
    lattice, spots_um = spot_lattice(tissue)
    rng = stream("sequencing", seed, patient)
    found = express(tissue, cells, plan, spots_um, SPOT_UM, PITCH_UM, depth, rng)
    obs = pd.DataFrame(
        {"in_tissue": True, "array_row": lattice[:, 0], "array_col": lattice[:, 1]},
        index=[barcode(int(row), int(column)) for row, column in lattice],
    )
    var = pd.DataFrame({"programme": [PROGRAMMES[index] for index in plan.programme]}, index=list(plan.names))
    table = AnnData(found.counts, obs=obs, var=var)
    table.layers["truth"] = found.truth
    table.obsm["regions"] = _region_shares(tissue, spots_um)
    table.obsm["programmes"] = found.activity
    table.uns["regions"], table.uns["programmes"] = list(REGIONS), list(PROGRAMMES)
    table.obsm["spatial"] = flip(spots_um / mpp)
    table.uns["spatial"] = {name: {"scalefactors": {"spot_diameter_fullres": SPOT_UM / mpp}}}
    keep_record(table, Record("measured", name, patient, mpp, SPOT_UM, PITCH_UM))
    progress.report(f"{name}: sequencing", 3, 3)
    return Section(name, table, slide_in_memory(pixels, mpp, name), mpp, SPOT_UM, PITCH_UM, patient)


def spot_lattice(tissue: Tissue) -> tuple[NDArray[np.intp], Wide]:
    """Visium's hexagonal lattice where there is tissue: array places, and centres as (row, column) in µm.

    Both have shape (spots, 2); the array columns of one array row are all even or all odd.
    """
    step = np.array([PITCH_UM * np.sqrt(3) / 2, PITCH_UM / 2])
    margin = 0.6 * PITCH_UM
    count = ((tissue.size_um - 2 * margin) / step).astype(int) + 1
    rows, columns = np.meshgrid(*map(np.arange, count), indexing="ij")
    lattice = np.stack([rows, columns], axis=-1)[(rows + columns) % 2 == 0]
    centres = margin + lattice * step
    inside = tissue.inside[tissue.index(centres)] > SPOT_UM / 2
    return lattice[inside], centres[inside]


def barcode(array_row: int, array_col: int) -> str:
    """The barcode at a place of the lattice, the same in every section, as on real slides."""
    mixed = (array_row * 1024 + array_col + 1) * 2_654_435_761 % 2**32
    return "".join("ACGT"[mixed >> shift & 3] for shift in range(0, 32, 2)) + "-1"


def slide_in_memory(pixels: Pixels, mpp: float, name: str) -> Slide:
    """A pyramid over an RGB image of shape (rows, columns, 3), halved down to about 512 px."""
    import zarr

    levels = []
    for level in halved(pixels):
        array: Any = zarr.create_array(
            zarr.storage.MemoryStore(), data=level, chunks=(_CHUNK, _CHUNK, 3), compressors=None
        )
        levels.append(Level(array, pixels.shape[0] / level.shape[0]))
    return Slide(Path(f"{name}.tif"), tuple(levels), mpp=mpp, vendor="simulated")


def halved(pixels: Pixels) -> list[Pixels]:
    """The image and its halves (means of 2 × 2 pixels) while the longest side exceeds 512."""
    levels = [pixels]
    while max(levels[-1].shape) > _CHUNK:
        last = levels[-1][: levels[-1].shape[0] // 2 * 2, : levels[-1].shape[1] // 2 * 2].astype(np.uint16)
        total = last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]
        levels.append(((total + 2) // 4).astype(np.uint8))
    return levels


def _region_shares(tissue: Tissue, spots_um: Wide) -> Floats:
    """Mean share of each region under a spot, shape (spots, regions)."""
    axis = np.linspace(-1, 1, 9) * SPOT_UM / 2
    disc = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    disc = disc[np.hypot(*disc.T) <= SPOT_UM / 2]
    points = (spots_um[:, None] + disc).reshape(-1, 2)
    shares = tissue.share[:, *tissue.index(points)].reshape(len(REGIONS), len(spots_um), len(disc))
    return np.ascontiguousarray(shares.mean(axis=2).T)


@dataclass(frozen=True, eq=False)
class Expression:
    """What the spots of one section express."""

    truth: Floats
    """log1p of the expected transcripts per 10,000: no diffusion, depth or counting noise. Shape (spots,
    genes)."""
    counts: sparse.csr_matrix
    """What was counted, shape (spots, genes)."""
    activity: Floats
    """Of each programme in `PROGRAMMES`, shape (spots, programmes)."""


def express(
    tissue: Tissue,
    cells: CellMap,
    plan: GenePlan,
    spots_um: Wide,
    spot_um: float,
    pitch_um: float,
    depth: float,
    rng: np.random.Generator,
) -> Expression:
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


def _cell_activity(tissue: Tissue, cells: CellMap) -> Wide:
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


def _diffuse(expected: Wide, spots_um: Wide, pitch_um: float) -> Wide:
    """Let a part of every spot's transcripts be caught by its six neighbours."""
    pairs = cKDTree(spots_um).query_pairs(1.1 * pitch_um, output_type="ndarray")
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    moved = sparse.csr_array(
        (np.full(len(rows), _LEAVING / 6), (rows, columns)), shape=(len(spots_um), len(spots_um))
    )
    stay = 1 - np.asarray(moved.sum(axis=0)).reshape(-1)
    return np.asarray(stay[:, None] * expected + moved @ expected)
