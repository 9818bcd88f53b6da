"""Sections from Space Ranger folders, versions 1 and later, and from one bin size of Visium HD."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histoscribe.errors import SectionError, SlideError
from histoscribe.section.alignment import check_alignment, opened, rebased
from histoscribe.section.bounded import read_text
from histoscribe.section.describe import finished, section_name
from histoscribe.section.lattice import Spacing, free_spacing, square_spacing, visium_spacing
from histoscribe.section.model import Section
from histoscribe.section.positions import Positions, join, read_positions
from histoscribe.section.table import Counts, spot_table
from histoscribe.section.tenx_h5 import read_tenx_h5
from histoscribe.section.tenx_mtx import read_tenx_mtx
from histoscribe.slide import Slide

PITCH_UM = 100.0
SPOT_UM = 55.0
SPOT_RATIO = (0.50, 0.72)
"""Bounds of spot diameter over pitch: 55 µm / 100 µm; Space Ranger itself writes about 65 / 100."""
_MATRICES = ("filtered_feature_bc_matrix", "raw_feature_bc_matrix")
_POSITIONS = ("tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions.parquet")


@dataclass(frozen=True)
class _Scales:
    """What `scalefactors_json.json` says; None where it does not."""

    hires: float | None = None
    lowres: float | None = None
    spot_px: float | None = None
    bin_um: float | None = None
    mpp: float | None = None


def looks_like_space_ranger(folder: Path) -> bool:
    """Whether a folder, or its `outs/`, has the parts that Space Ranger writes."""
    parts = ("spatial", "binned_outputs", "segmented_outputs")
    return any((root / part).is_dir() for root in (folder, folder / "outs") for part in parts)


def open_space_ranger(
    folder: Path,
    *,
    slide: Slide | str | Path | None = None,
    patient: str | None = None,
    name: str | None = None,
    pitch_um: float | None = None,
    spot_um: float | None = None,
) -> Section:
    """Open a Space Ranger folder: counts, positions, and an image that fits them.

    Parameters
    ----------
    folder : Path
        The run's folder, its `outs/`, or one `square_XXXum/` folder of Visium HD.
    slide : Slide or path, optional
        The full-resolution image; without it the folder's own reduced image is used.
    patient, name : str, optional
        The folder's name where not given.
    pitch_um, spot_um : float, optional
        100 and 55 µm where not given; the bin size on Visium HD.

    Raises
    ------
    SectionError
        If a part is missing or damaged, or the parts do not belong together.
    """
    root = folder / "outs" if (folder / "outs").is_dir() and not (folder / "spatial").is_dir() else folder
    _refuse_several_bins(root)
    counts, counts_path = _read_counts(root)
    positions_path = _positions_path(root / "spatial")
    positions = read_positions(positions_path)
    rows, of_positions, doubts = join(counts, positions, counts_path)
    scales = _read_scales(root / "spatial")
    pitch = pitch_um or scales.bin_um or PITCH_UM
    spacing = _spacing(positions, scales, pitch, positions_path)
    warnings = [*counts.warnings, *doubts, *spacing.warnings]
    if scales.bin_um is None and pitch == PITCH_UM:
        warnings += _spot_doubts(scales, spacing)

    own, own_doubts = _own_image(root / "spatial", scales)
    centres, mpp = positions.centres[of_positions], spacing.mpp
    beneath = own if slide is None else opened(slide)
    if slide is None:
        warnings += own_doubts
    if beneath is not None:
        expected = None if own is None else own.shape
        alignment = check_alignment(centres, beneath, mpp=mpp, expected=expected)
        centres, mpp = centres * alignment.factor, mpp / alignment.factor
        beneath = beneath.with_mpp(mpp)
        warnings += alignment.warnings
    table = spot_table(counts, rows, centres)
    for axis, column in enumerate(("array_row", "array_col")):
        table.obs[column] = positions.array[of_positions, axis].astype(np.int64)
    return finished(
        table,
        kind="measured",
        name=name or section_name(folder),
        patient=patient,
        slide=beneath,
        mpp=mpp,
        spot_um=spot_um or scales.bin_um or SPOT_UM,
        pitch_um=spacing.pitch_um,
        warnings=tuple(warnings),
    )


def _refuse_several_bins(root: Path) -> None:
    if (root / "spatial" / "scalefactors_json.json").exists():
        return
    bins = sorted((root / "binned_outputs").glob("square_*um"))
    if bins:
        names = ", ".join(path.name for path in bins)
        raise SectionError(
            f"this is a Visium HD run with several bin sizes ({names})",
            where=root,
            remedy=f"name one of them, such as {bins[-1]}",
        )
    if (root / "segmented_outputs").is_dir():
        raise SectionError(
            "this run holds segmented cells only, which cannot be read yet",
            where=root,
            remedy="name a square_XXXum folder of binned_outputs",
        )


def _read_counts(root: Path) -> tuple[Counts, Path]:
    for stem in _MATRICES:
        files = sorted(root.glob(f"*{stem}.h5"))
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            raise SectionError(f"several matrices ({names})", where=root, remedy="keep one sample per folder")
        if files:
            return read_tenx_h5(files[0]), files[0]
        if (root / stem).is_dir():
            return read_tenx_mtx(root / stem), root / stem
    raise SectionError(
        "there are no counts",
        where=root,
        remedy="add filtered_feature_bc_matrix.h5, or the folder of that name, from Space Ranger",
    )


def _positions_path(spatial: Path) -> Path:
    for name in _POSITIONS:
        if (spatial / name).is_file():
            return spatial / name
    raise SectionError(
        "there are no spot positions",
        where=spatial,
        remedy=f"add {' or '.join(_POSITIONS)} from Space Ranger",
    )


def _read_scales(spatial: Path) -> _Scales:
    path = spatial / "scalefactors_json.json"
    if not path.is_file():
        return _Scales()
    try:
        content = json.loads(read_text(path, 1 << 20).getvalue())
    except ValueError as error:
        raise SectionError(
            "not a whole JSON file", where=path, remedy="copy it from Space Ranger again"
        ) from error
    if not isinstance(content, dict):
        raise SectionError("holds no scale factors", where=path, remedy="copy it from Space Ranger again")

    def positive(key: str) -> float | None:
        value = content.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise SectionError(
                f"{key} is {value!r}, not a positive number",
                where=path,
                remedy="copy it from Space Ranger again",
            )
        return float(value)

    return _Scales(
        hires=positive("tissue_hires_scalef"),
        lowres=positive("tissue_lowres_scalef"),
        spot_px=positive("spot_diameter_fullres"),
        bin_um=positive("bin_size_um"),
        mpp=positive("microns_per_pixel"),
    )


def _spacing(positions: Positions, scales: _Scales, pitch_um: float, where: Path) -> Spacing:
    if scales.bin_um is not None and scales.mpp is not None:
        return Spacing(scales.mpp, pitch_um)
    lattice = visium_spacing if scales.bin_um is None else square_spacing
    spacing = lattice(positions.array, positions.centres, pitch_um) or free_spacing(
        positions.centres, pitch_um
    )
    if spacing is None:
        raise SectionError(
            "the µm per pixel cannot be told: fewer than two spots at different places",
            where=where,
            remedy="copy the positions from Space Ranger again",
        )
    return spacing


def _spot_doubts(scales: _Scales, spacing: Spacing) -> list[str]:
    if scales.spot_px is None:
        return []
    ratio = scales.spot_px * spacing.mpp / spacing.pitch_um
    if SPOT_RATIO[0] <= ratio <= SPOT_RATIO[1]:
        return []
    return [
        f"spot_diameter_fullres ({scales.spot_px:.1f} pixels) would be {scales.spot_px * spacing.mpp:.0f} µm "
        f"by the spots' lattice, not {SPOT_UM:g} to 65: positions and scale factors of different runs?"
    ]


def _own_image(spatial: Path, scales: _Scales) -> tuple[Slide | None, list[str]]:
    """The folder's reduced image as a slide in full-resolution pixels, if it can be read."""
    doubts = []
    for kind, scale in (("hires", scales.hires), ("lowres", scales.lowres)):
        for path in sorted(spatial.glob(f"*tissue_{kind}_image.*")):
            if scale is None:
                doubts.append(f"{path.name} has no scale factor and was left out")
                continue
            try:
                image = opened(path)
            except SlideError as error:
                doubts.append(f"{path.name} cannot be read ({error.problem})")
                continue
            return rebased(image, 1 / scale), doubts
    return None, [*doubts, "there is no image"]
