"""The lattice that spots are printed on, and the µm per pixel that follow from it."""

from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Wide

_ROW_PER_COLUMN = np.sqrt(3.0)
"""Length of one Visium array row in units of one array column: rows of a hexagonal lattice."""


@dataclass(frozen=True)
class Spacing:
    """How far apart spots are."""

    mpp: float
    """µm per full-resolution pixel."""
    pitch_um: float
    """Distance of neighbouring spots in µm."""
    warnings: tuple[str, ...] = ()
    """Everything doubtful about it, in plain words."""


def neighbour_distance(centres: Wide) -> float:
    """Median distance from a spot to its nearest neighbour, in the units of `centres`.

    `centres` (spots, 2): at least two spots; NaN is returned for fewer.
    """
    from scipy.spatial import cKDTree

    if len(centres) < 2:
        return float("nan")
    distances, _ = cKDTree(centres).query(centres, k=2)
    return float(np.median(distances[:, 1]))


def unit_vectors(array: Wide, centres: Wide) -> Wide | None:
    """Pixels per array unit by least squares over all spots, outliers left out once.

    `array` and `centres` (spots, 2): array coordinates and pixels of the same spots. Returns (2, 2): row i is
    the step in pixels for one unit along array axis i; None where the spots do not span both axes.
    """
    if len(array) < 3 or not np.ptp(centres, axis=0).max() > 0:
        return None
    design = np.column_stack([array - array.mean(axis=0), np.ones(len(array))])
    if np.linalg.matrix_rank(design) < 3:
        return None
    fit = np.linalg.lstsq(design, centres, rcond=None)[0]
    apart = np.linalg.norm(centres - design @ fit, axis=1)
    kept = apart <= 5 * max(float(np.median(apart)), 1e-6)
    if 3 <= kept.sum() < len(kept) and np.linalg.matrix_rank(design[kept]) == 3:
        fit = np.linalg.lstsq(design[kept], centres[kept], rcond=None)[0]
    units = np.asarray(fit[:2], dtype=np.float64)
    return units if np.linalg.norm(units, axis=1).min() > 0 else None


def growth_between(one: Wide, other: Wide) -> float | None:
    """How many times longer lengths between places are in another system of coordinates.

    `one` and `other` (spots, 2): the same spots in both. None where they differ by more than shift, turn and
    scale, or do not span both axes.
    """
    known = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    one, other = one[known], other[known]
    units = unit_vectors(one, other)
    if units is None:
        return None
    away = other - one @ units
    away -= np.median(away, axis=0)
    apart = np.hypot(*away.T) > 0.01 * np.ptp(other, axis=0).max()
    return None if np.mean(apart) > 0.01 else float(np.sqrt(abs(np.linalg.det(units))))


def stray_doubts(array: Wide, centres: Wide, units: Wide, pitch_px: float) -> list[str]:
    """Whether spots lie further than their pitch from where all others say that they belong."""
    away = centres - array @ units
    away -= np.median(away, axis=0)
    strays = int(np.count_nonzero(np.hypot(*away.T) > pitch_px))
    return [f"{strays} spots lie elsewhere than the lattice of all others says: misplaced?"] if strays else []


def visium_spacing(array: Wide, centres: Wide, pitch_um: float) -> Spacing | None:
    """Spacing of a Visium lattice, whose odd rows are shifted by half a pitch.

    `array` (spots, 2): `array_row` and `array_col`; neighbours within a row are two columns apart. `centres`
    (spots, 2): pixels as (row, column). `pitch_um`: distance of neighbouring spots: 100 µm on Visium. None
    where the spots do not span the lattice.
    """
    found = units = unit_vectors(array, centres)
    if found is None or units is None:
        return None
    along_row, along_column = np.linalg.norm(units, axis=1)
    warnings = []
    ratio = along_row / along_column
    if abs(ratio * _ROW_PER_COLUMN - 1) < 0.15:
        along_row, along_column = along_column, along_row
        units = units[::-1]
        warnings.append("array_row and array_col are swapped in the positions; they were swapped back")
    elif abs(ratio / _ROW_PER_COLUMN - 1) > 0.15:
        warnings.append(
            f"the spots do not form a Visium lattice (one array row is {ratio:.2f} columns long, "
            f"not {_ROW_PER_COLUMN:.2f}): are these its pixel columns?"
        )
    warnings += mirror_doubts(units)
    pitch_px = float(np.sqrt(2 * along_column * along_row * 2 / _ROW_PER_COLUMN))
    warnings += stray_doubts(array, centres, found, pitch_px)
    return Spacing(pitch_um / pitch_px, pitch_um, tuple(warnings))


def mirror_doubts(units: Wide | None) -> list[str]:
    """Whether an array, by its `unit_vectors`, runs the other way round than pixel rows and columns."""
    if units is None or np.linalg.det(units) > 0:
        return []
    return ["the lattice is mirrored: a flipped image, or pixel row and column swapped"]


def square_spacing(array: Wide, centres: Wide, pitch_um: float) -> Spacing | None:
    """Spacing of a legacy square array, full or with every other spot (a checkerboard).

    `array` (spots, 2): array coordinates, whole or adjusted; `centres` (spots, 2): pixels of the same spots,
    in any axis order; `pitch_um`: distance of two spots within a row of the array. None where the
    spots do not span the array. On a checkerboard, spots within a row are two units apart, and the nearest
    neighbour is the diagonal one, at `pitch_um` / √2.
    """
    units = unit_vectors(array, centres)
    if units is None:
        return None
    first, second = np.linalg.norm(units, axis=1)
    warnings = []
    if not 1 / 1.2 < first / second < 1.2:
        warnings.append(
            f"the array is stretched: {first:.1f} pixels per unit one way, {second:.1f} the other"
        )
    whole = np.rint(array)
    parity = whole.sum(axis=1) % 2
    checkerboard = len(array) >= 10 and np.ptp(parity) == 0 and np.ptp(whole[:, 0] % 2) == 1
    unit_px = float(np.sqrt(first * second))
    warnings += stray_doubts(array, centres, units, unit_px * (2 if checkerboard else 1))
    if not checkerboard:
        return Spacing(pitch_um / unit_px, pitch_um, tuple(warnings))
    nearest = pitch_um / np.sqrt(2)
    warnings.append(
        f"the array is a checkerboard: {pitch_um:g} µm is the distance within a row, "
        f"neighbouring spots are {nearest:.0f} µm apart"
    )
    return Spacing(pitch_um / (2 * unit_px), float(nearest), tuple(warnings))


def free_spacing(centres: Wide, pitch_um: float) -> Spacing | None:
    """Spacing from nearest neighbours alone, where no array coordinates are known."""
    distance = neighbour_distance(centres)
    if not np.isfinite(distance) or distance <= 0:
        return None
    return Spacing(pitch_um / distance, pitch_um)


def is_square(array: Wide | None, centres: Wide) -> bool:
    """Whether array coordinates step equally far both ways: legacy arrays and bins, unlike Visium's.

    Where none are known, whether most spots have four nearest neighbours and not six.
    """
    if array is None:
        from scipy.spatial import cKDTree

        if len(centres) < 10:
            return False
        apart = cKDTree(centres).query(centres, k=7)[0][:, 1:]
        near = (apart < 1.2 * apart[:, :1]).sum(axis=1)
        return float(np.mean(near > 4)) < 0.2 < float(np.mean(near == 4))
    units = unit_vectors(array, centres)
    if units is None:
        return False
    first, second = np.linalg.norm(units, axis=1)
    return bool(1 / 1.2 < first / second < 1.2)


def is_regular(centres: Wide) -> bool:
    """Whether most spots are equally far from their nearest neighbour, as on any lattice."""
    from scipy.spatial import cKDTree

    if len(centres) < 10:
        return True
    nearest = cKDTree(centres).query(centres, k=2)[0][:, 1]
    return bool(np.mean(np.abs(nearest / max(float(np.median(nearest)), 1e-9) - 1) < 0.1) > 0.5)
