"""Visium HD runs: which bin size or segmented cells to open, and what each folder is called."""

import re
from collections.abc import Sequence
from pathlib import Path

from histoscribe.errors import SectionError

BIN_UM = 8.0
"""The bin size that is opened where none is named: 10x Genomics' own choice for analysis."""
CELL_MATRIX = "filtered_feature_cell_matrix.h5"
CELL_OUTLINES = "cell_segmentations.geojson"
_BIN = re.compile(r"square_(\d{3})um")
_BARCODE = re.compile(r"s_(\d{3})um_\d+_\d+(-\d+)?")
_CELL = re.compile(r"cellid_\d+(-\d+)?")
_PARTS = ("outs", "binned_outputs", "segmented_outputs")


def bin_folders(root: Path) -> dict[float, Path]:
    """The bin sizes in µm that a run holds, with their folders, finest first."""
    folders = sorted([*root.glob("square_*um"), *root.glob("binned_outputs/square_*um")])
    found = ((_BIN.fullmatch(folder.name), folder) for folder in folders if folder.is_dir())
    return {float(match[1]): folder for match, folder in found if match is not None}


def named_bin_um(barcodes: Sequence[str]) -> float | None:
    """The bin size in µm that barcodes of Visium HD begin with; None where they are others."""
    sizes = {float(found[1]) if found else None for found in map(_BARCODE.fullmatch, barcodes[:100])}
    return sizes.pop() if len(sizes) == 1 else None


def named_segmented(names: Sequence[str]) -> bool:
    """Whether spots are called as Space Ranger calls segmented cells, which lie in pixels."""
    return bool(names) and all(map(_CELL.fullmatch, names))


def holds_cells(root: Path) -> bool:
    """Whether a folder is Space Ranger's `segmented_outputs`."""
    return (root / CELL_OUTLINES).is_file() or (root / CELL_MATRIX).is_file()


def choose_part(root: Path, bin_um: float | None) -> Path:
    """The folder to read of a run: one bin size, else its segmented cells, else the run itself.

    `root`: a run's `outs`, or any other Space Ranger folder, which comes back as it is. `bin_um`: the bin
    size wanted; 8 µm where the run has them and none is named, else the finest. Raises `SectionError` if the
    run has no bins of that size.
    """
    bins = bin_folders(root)
    if not bins:
        own = _BIN.fullmatch(root.resolve().name)
        if bin_um is not None and (own is None or float(own[1]) != bin_um):
            problem = f"this folder holds no bins of {bin_um:g} µm"
            raise SectionError(problem, where=root, remedy="name a Visium HD run, or leave the bin size out")
        cells, scaled = root / "segmented_outputs", root / "spatial" / "scalefactors_json.json"
        return cells if cells.is_dir() and not scaled.is_file() else root
    wanted = bin_um if bin_um is not None else BIN_UM if BIN_UM in bins else min(bins)
    if wanted not in bins:
        known = ", ".join(f"{size:g}" for size in bins)
        raise SectionError(
            f"this run holds no bins of {wanted:g} µm", where=root, remedy=f"choose from {known} µm"
        )
    return bins[wanted]


def run_folder(folder: Path) -> Path:
    """The folder that a run is named after: above `outs`, `binned_outputs` and the like."""
    folder = folder.resolve()
    while folder.name in _PARTS or _BIN.fullmatch(folder.name):
        folder = folder.parent
    return folder
