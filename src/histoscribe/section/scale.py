"""How large a pixel of the spots' positions is: what is stated beats a guess, a guess is called one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from histoscribe.arrays import Wide
from histoscribe.errors import SectionError, told_as
from histoscribe.section.lattice import (
    Spacing,
    free_spacing,
    growth_between,
    is_regular,
    is_square,
    mirror_doubts,
    neighbour_distance,
    square_spacing,
    unit_vectors,
    visium_spacing,
)
from histoscribe.section.raster import GAPLESS
from histoscribe.section.readers.visium_hd import BIN_UM, named_bin_um, named_segmented
from histoscribe.slide import Slide

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.record import Record
    from histoscribe.section.model import SectionOptions

PITCH_UM, SPOT_UM = 100.0, 55.0
"""Of Visium."""
LEGACY_PITCH_UM, LEGACY_SPOT_UM = 200.0, 100.0
COSMX_MPP = 0.12028
COSMX_PLACES = ("CenterX_global_px", "CenterY_global_px")
PLACES_IN_UM = {
    ("x_slide_mm", "y_slide_mm"): 1000.0,
    ("CenterX_global_mm", "CenterY_global_mm"): 1000.0,
}
"""µm per unit of columns, across and down, whose names state it."""
DOUBTED, REFUSED = 0.02, 0.1
"""Shares by which a stated scale and the lattice may differ."""
SPOT_RATIO = (0.50, 0.72)
"""Bounds of Visium's spot diameter over pitch: 55 µm / 100 µm; Space Ranger itself writes about 65 / 100."""
_PIXEL_SIZES = (
    "pixel_size_um_embedded", "pixel_size_um_estimated", "pixel_size_um", "pixel_size", "microns_per_pixel",
)  # fmt: skip
_OF_CELLS = ("cell_area", "nucleus_area", "CenterX_global_px", "area_um2", "Area.um2")
_ONE_PLACE = "the µm per pixel cannot be told: fewer than two spots at different places"
_SAME_CELLS, _CELLS_APART = 1.6, (1.0, 500.0)
"""How far a cell's size may be off, in times; µm between neighbouring cells, or beads, of any tissue."""
_CELLS_WIDE, _WIDEST_GUESSED = (3.0, 100.0), 30.0
"""µm that most cells of a tissue may be wide; that cells or beads may be by a scale that is guessed."""
_XENIUM_PLACES = ("x_centroid", "y_centroid")
_STATE_IT = 'write the µm per unit of their places into the table as uns["pixel_size_um"]'
_AREAS_UM2 = ("area_um2", "cell_area", "Area.um2")


@dataclass(frozen=True)
class SpotScale:
    """µm per pixel and sizes of spots."""

    mpp: float
    pitch_um: float | None
    """None for cells and beads, which lie on no lattice."""
    spot_um: float
    warnings: tuple[str, ...] = ()
    """Every guess, and everything doubtful."""


def scale_of(
    table: AnnData,
    centres: Wide,
    own: Record,
    options: SectionOptions,
    entry: Mapping[str, Any],
    mpp: float | None,
    path: Path,
) -> SpotScale:
    """Find the scale of a table's positions.

    `centres` (spots, 2): in pixels as (row, column); `own`: what our own file says; `options`: pitch and
    diameter that are known better; `entry`: one section's part of `uns["spatial"]`; `mpp`: what the reader
    found elsewhere. Raises `SectionError` if nothing tells the scale, or what is stated contradicts itself.
    """
    factors = _mapping(entry.get("scalefactors"))
    bin_um = number_in(factors, "bin_size_um", path) or _bin_of(table)
    stated = own.mpp or mpp or number_in(factors, "microns_per_pixel", path)
    stated = stated or _pixel_size(table, entry, path)
    pitch = options.pitch_um or own.pitch_um or bin_um
    spot = options.spot_um or own.spot_um or bin_um
    spot_px = number_in(factors, "spot_diameter_fullres", path)
    array = _array(table, path)
    if own.mpp is not None and pitch is not None and not own.cells:
        if array is not None and options.pitch_um is None:
            _refuse_moved(array, centres, own.mpp, pitch, path)
        return SpotScale(own.mpp, pitch, spot or SPOT_UM)
    if options.pitch_um is None and (own.cells or _are_points(table, own, array, centres)):
        return _of_points(table, centres, stated, options.spot_um or own.spot_um, spot_px, options, path)
    square = is_square(array, centres)
    guess, size, said = _guessed(centres, square, spot_px)
    apart = pitch or guess
    lattice = square_spacing if square else visium_spacing
    spacing = None if array is None else lattice(array, centres, apart)
    if spacing is not None and array is not None and square:
        mirrored = mirror_doubts(unit_vectors(array, centres))
        spacing = replace(spacing, warnings=(*spacing.warnings, *mirrored))
    spacing = spacing or free_spacing(centres, apart)
    if spacing is None and stated is not None and pitch is not None:
        return SpotScale(stated, pitch, spot or size)
    if spacing is None:
        raise SectionError(_ONE_PLACE, where=path)
    if stated is not None and pitch is None:
        found = spacing.pitch_um * stated / spacing.mpp
        unlike = not square and abs(found / PITCH_UM - 1) > REFUSED
        doubt = f"by {stated:.4g} µm per pixel, as stated, spots lie {found:.3g} µm apart, not {PITCH_UM:g}"
        return SpotScale(stated, found, spot or size * found / guess, (doubt,) if unlike else ())
    if stated is not None:
        off = abs(spacing.mpp / stated - 1)
        words = _unlike(stated, apart, spacing.mpp)
        if off > REFUSED:
            remedy = "mend the one that is wrong: they contradict each other"
            raise SectionError(words, where=path, remedy=remedy)
        differ = (f"{words}: positions and scale factors of different runs?",) if off > DOUBTED else ()
        return SpotScale(stated, spacing.pitch_um, spot or size, differ)
    if pitch is None:
        spacing = replace(spacing, warnings=(said, *spacing.warnings))
    reduced = {kind: factors.get(f"tissue_{kind}_scalef") for kind in ("hires", "lowres")}
    visium = spacing.pitch_um == PITCH_UM and not square
    doubts = spot_doubts(spot_px, spacing, reduced, path) if visium else []
    return SpotScale(spacing.mpp, spacing.pitch_um, spot or size, (*spacing.warnings, *doubts))


def _refuse_moved(array: Wide, centres: Wide, mpp: float, pitch_um: float, path: Path) -> None:
    """Refuse positions that were scaled after our file stated their scale."""
    spacing = (square_spacing if is_square(array, centres) else visium_spacing)(array, centres, pitch_um)
    if spacing is None:
        return
    found = spacing.mpp * pitch_um / spacing.pitch_um
    if abs(found / mpp - 1) > REFUSED:
        words = _unlike(mpp, pitch_um, found)
        remedy = "scale the positions back, or state the µm per pixel that they have now"
        raise SectionError(words, where=path, remedy=remedy)


def _unlike(stated: float, pitch_um: float, found: float) -> str:
    return f"the file states {stated:.4g} µm per pixel, its lattice of {pitch_um:g} µm says {found:.4g}"


def spot_doubts(spot_px: float | None, spacing: Spacing, reduced: Mapping[str, Any], path: Path) -> list[str]:
    """Whether a stated diameter is that of Visium's spots by the lattice.

    `reduced`: scale of each reduced image. Raises `SectionError` if it is by one of these: positions are
    pixels of that image.
    """
    ratio = 0.0 if spot_px is None else spot_px * spacing.mpp / spacing.pitch_um
    if spot_px is None or SPOT_RATIO[0] <= ratio <= SPOT_RATIO[1]:
        return []
    for kind in reduced:
        if SPOT_RATIO[0] <= ratio * (number_in(reduced, kind, path) or 0) <= SPOT_RATIO[1]:
            problem = f"by spot_diameter_fullres its positions are pixels of the {kind} image"
            raise SectionError(problem, where=path, remedy=f"divide them by tissue_{kind}_scalef")
    return [
        f"spot_diameter_fullres ({spot_px:.1f} pixels) would be {spot_px * spacing.mpp:.0f} µm "
        f"by the spots' lattice, not {SPOT_UM:g} to 65: positions and scale factors of different runs?"
    ]


def cell_doubts(wide_um: float) -> list[str]:
    """Whether cells by their outlines, in pixels, are as wide as cells can be; `wide_um`: of most of them."""
    if _CELLS_WIDE[0] <= wide_um <= _CELLS_WIDE[1]:
        return []
    unit = "µm" if wide_um < _CELLS_WIDE[0] else "another unit"
    return [f"its cells would be {wide_um:.2g} µm wide: are their outlines in {unit}, not in pixels?"]


def number_in(mapping: Mapping[str, Any], key: str, path: Path) -> float | None:
    """A positive number; None where there is none.

    Raises `SectionError` if there is something else.
    """
    value = mapping.get(key)
    if value is None:
        return None
    wrong = f"{key} is {value!r}, not a positive number"
    with told_as(SectionError, wrong, TypeError, ValueError, where=path, reason=False):
        number = float(np.asarray(value).item())
    if not 0 < number < 1e9:
        raise SectionError(f"{key} is {number:g}, not a positive number", where=path)
    return number


def _are_points(table: AnnData, own: Record, array: Wide | None, centres: Wide) -> bool:
    """Whether spots are cells or beads on no lattice, whatever a scale beside them says of bins."""
    if own.kind is not None:
        return False
    if any(name in table.obs for name in _OF_CELLS):
        return True
    on_array = array is not None and np.array_equal(array, np.rint(array))
    return not on_array and not is_regular(centres)


def _of_points(
    table: AnnData,
    centres: Wide,
    mpp: float | None,
    spot: float | None,
    spot_px: float | None,
    options: SectionOptions,
    path: Path,
) -> SpotScale:
    """Cells and beads: points without a pitch, as wide as their areas, else as far apart as they lie.

    Where no scale is stated, that of the slide they are laid on is taken, then one by their areas, then µm;
    at which they must lie as far apart as cells may. Raises `SectionError` if they do not.
    """
    areas = next((table.obs[name] for name in _AREAS_UM2 if name in table.obs), None)
    median = float("nan") if areas is None else _median(areas)
    wide = 2 * float(np.sqrt(median / np.pi)) if median > 0 else None
    warnings: tuple[str, ...] = ()
    for names, um in PLACES_IN_UM.items():
        if found := _per_unit(table, names, centres):
            if mpp is not None and abs(found * um / mpp - 1) > REFUSED:
                problem = f"the file states {mpp:.4g} µm per pixel, its {names[0]} says {found * um:.4g}"
                remedy = "mend the one that is wrong: they contradict each other"
                raise SectionError(problem, where=path, remedy=remedy)
            mpp = mpp or found * um
    if mpp is None and (found := _per_unit(table, _XENIUM_PLACES, centres)) and abs(found - 1) > REFUSED:
        words = f"{_XENIUM_PLACES[0]}, in µm as Xenium's, says {found:.4g}"
        mpp, warnings = found, (f"the file states no µm per pixel: {words}, a guess",)
    per_pixel = _per_unit(table, COSMX_PLACES, centres) or 1.0
    if mpp is None and {"Area", "Area.um2"} <= set(table.obs.columns):
        share = _median(table.obs["Area.um2"]) / _median(table.obs["Area"])
        mpp = float(np.sqrt(share)) * per_pixel if share > 0 else None
    if mpp is None and COSMX_PLACES[0] in table.obs:
        words = f"the file states no µm per pixel: CosMx' usual {COSMX_MPP:.4g} was taken, a guess"
        mpp, warnings = COSMX_MPP * per_pixel, (words,)
    if mpp is None and isinstance(options.slide, Slide) and options.slide.mpp is not None:
        mpp = options.slide.mpp
        warnings = (f"the file states no µm per pixel: its slide's {mpp:.4g} was taken, a guess",)
    if mpp is None and named_segmented([str(name) for name in table.obs_names[:100]]):
        problem = "its cells lie in pixels, of which the file does not state the µm"
        raise SectionError(problem, where=path, remedy=_STATE_IT)
    if mpp is None:
        by_area = wide / spot_px if wide and spot_px else 1.0
        mpp = 1.0 if 1 / _SAME_CELLS < by_area < _SAME_CELLS else by_area
        taken, told = "places of its cells or beads were taken for µm", f"areas of its cells say {mpp:.3g}"
        warnings = (f"the file states no µm per pixel: the {taken if mpp == 1 else told}, a guess",)
        if len(centres) > 1 and not np.ptp(centres, axis=0).any():
            raise SectionError(_ONE_PLACE, where=path)
        would = "the file states no µm per pixel, and its cells or beads would"
        apart = neighbour_distance(centres) * mpp
        if not _CELLS_APART[0] <= apart <= _CELLS_APART[1] and apart > 0:
            problem = f"{would} lie {apart:.3g} µm apart"
            raise SectionError(problem, where=path, remedy=_STATE_IT)
        if spot_px is not None and spot_px * mpp > _WIDEST_GUESSED:
            problem = f"{would} be {spot_px * mpp:.3g} µm wide"
            raise SectionError(problem, where=path, remedy=_STATE_IT)
    distance = neighbour_distance(centres) * mpp
    if not distance > 0:
        raise SectionError(_ONE_PLACE, where=path)
    return SpotScale(mpp, None, spot or wide or (spot_px or 0) * mpp or distance, warnings)


def numbers_of(table: AnnData, names: tuple[str, str]) -> Wide | None:
    """Two columns about the spots, shape (spots, 2), NaN where they hold no number; None without them."""
    if not set(names) <= set(table.obs.columns):
        return None
    columns = (table.obs[name] for name in names)
    plain = (each if each.dtype.kind in "fiu" else each.astype(object) for each in columns)
    return np.column_stack([pd.to_numeric(each, errors="coerce") for each in plain]).astype(np.float64)


def _per_unit(table: AnnData, names: tuple[str, str], centres: Wide) -> float | None:
    """Units of columns of places, across and down, per unit of the spots' own places, if both are alike."""
    named = numbers_of(table, names)
    return None if named is None else growth_between(centres, named[:, ::-1])


def _median(values: Any) -> float:
    """The median of what is a number in a column; NaN where nothing is."""
    return float(pd.to_numeric(pd.Series(values).astype(object), errors="coerce").dropna().median())


def _guessed(centres: Wide, square: bool, spot_px: float | None) -> tuple[float, float, str]:
    """Pitch and diameter in µm where the file states neither, and how that guess is said."""
    says = "the file does not say how far apart spots are"
    distance = neighbour_distance(centres)
    if square and spot_px is not None and spot_px > GAPLESS * distance:
        return BIN_UM, BIN_UM, f"{says}: {BIN_UM:g} µm were guessed, as bins of Visium HD usually are"
    if square:
        words = f"{says}: {LEGACY_PITCH_UM:g} µm were guessed, as on legacy arrays"
        return LEGACY_PITCH_UM, LEGACY_SPOT_UM, words
    return PITCH_UM, SPOT_UM, f"{says}: Visium's {PITCH_UM:g} µm were assumed"


def _array(table: AnnData, path: Path) -> Wide | None:
    if not {"array_row", "array_col"} <= set(table.obs.columns):
        return None
    with told_as(SectionError, "array_row and array_col are no numbers", TypeError, ValueError, where=path):
        array = table.obs[["array_row", "array_col"]].to_numpy(dtype=np.float64)
    return array if np.isfinite(array).all() else None


def _bin_of(table: AnnData) -> float | None:
    """The bin size that barcodes of Visium HD begin with, or that Stereo-seq states in its unit."""
    if table.uns.get("bin_type") == "bins" and {"resolution", "bin_size"} <= set(table.uns):
        return float(table.uns["bin_size"]) * float(table.uns["resolution"]) / 1000
    return named_bin_um([str(name) for name in table.obs_names[:100]])


def _pixel_size(table: AnnData, entry: Mapping[str, Any], path: Path) -> float | None:
    """µm per pixel as HEST, Xenium and others state it, in the section's part of `uns` or beside it.

    Stereo-seq states its unit in nm, `resolution`, beside the `bin_size` in units.
    """
    if {"resolution", "bin_size"} <= set(table.uns):
        return (number_in(table.uns, "resolution", path) or 0) / 1000
    for holder in (_mapping(entry.get("metadata")), entry, table.uns):
        for key in _PIXEL_SIZES:
            if isinstance(holder.get(key), float | int | np.number):
                return number_in(holder, key, path)
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
