"""How one tissue lies on another: an affine map in µm, fitted to pairs of places, and what it leaves."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.arrays import Wide
from histoscribe.errors import SettingError

Freedom = Literal["rigid", "similarity", "affine"]
FEWEST: dict[Freedom, int] = {"rigid": 2, "similarity": 2, "affine": 3}
"""How many pairs of landmarks each kind of map needs."""


@dataclass(frozen=True, eq=False)
class Registration:
    """How a moving tissue lies on a fixed one, and how well that is known."""

    affine: Wide
    """From (row, column, 1) in µm of the moving tissue to µm of the fixed one, shape (3, 3)."""
    method: Literal["automatic", "landmarks", "by hand"]
    places: Wide
    """Where it was checked, as (row, column) in µm of the fixed tissue, shape (places, 2)."""
    residuals: Wide
    """What is left there as (row, column) in µm, shape (places, 2)."""
    overlap: float | None = None
    """Share of the smaller tissue that comes to lie on the other; None where not looked at."""
    agreeing: float | None = None
    """Share of the places where the structure of both lies within a spot's radius; None as above."""

    @property
    def residual_um(self) -> float | None:
        """Median length of what is left, in µm; None where it was not checked."""
        return float(np.median(np.hypot(*self.residuals.T))) if len(self.residuals) else None


def through(affine: NDArray[np.floating], places: ArrayLike) -> Wide:
    """Places, shape (n, 2), through a 3 × 3 matrix."""
    found: Wide = np.asarray(places, dtype=np.float64) @ affine[:2, :2].T + affine[:2, 2]
    return found


def fitted(moving: ArrayLike, fixed: ArrayLike, freedom: Freedom = "affine") -> Wide:
    """The map of least squares from places (n, 2) to others, 3 × 3; a rigid one may mirror."""
    source, target = np.asarray(moving, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    before, after = source.mean(axis=0), target.mean(axis=0)
    source, target = source - before, target - after
    if freedom == "affine":
        linear = np.linalg.lstsq(source, target, rcond=None)[0].T
    else:
        left, sizes, right = np.linalg.svd(target.T @ source)
        if len(source) == 2:  # two points do not say whether it is mirrored
            sizes = sizes * (1, np.linalg.det(left @ right))
            left = left * (1, np.linalg.det(left @ right))
        linear = left @ right * (sizes.sum() / (source**2).sum() if freedom == "similarity" else 1.0)
    affine = np.eye(3)
    affine[:2, :2], affine[:2, 2] = linear, after - linear @ before
    return affine


def align_by_landmarks(moving: ArrayLike, fixed: ArrayLike, *, freedom: Freedom = "rigid") -> Registration:
    """Lay one tissue on another by pairs of places that show the same.

    Parameters
    ----------
    moving, fixed : array, shape (pairs, 2)
        As (row, column) in µm of the moving and of the fixed tissue.
    freedom : str
        `rigid` (turns, mirrors and shifts), `similarity` (scales too) or `affine` (shears too).

    Returns
    -------
    Registration
        Its residuals are those of each pair under the map that is fitted to the others, where these are
        enough: a pair that was set amiss cannot hide.

    Raises
    ------
    SettingError
        If there are too few pairs, or they lie on one line where an affine map needs more.
    """
    source, target = (np.asarray(one, dtype=np.float64).reshape(-1, 2) for one in (moving, fixed))
    fewest = FEWEST[freedom]
    flat = freedom == "affine" and len(source) >= 3 and _spread(source) < 0.02
    if len(source) != len(target) or len(source) < fewest or flat or not np.ptp(source, axis=0).any():
        problem = f"{len(source)} landmarks on one tissue and {len(target)} on the other"
        problem = "the landmarks lie on one line" if flat else f"{problem} make no {freedom} alignment"
        raise SettingError(problem, remedy=f"set at least {fewest} pairs, far apart and not on one line")
    affine = fitted(source, target, freedom)
    left = target - through(affine, source)
    if len(source) > fewest:
        for row in range(len(source)):
            others = np.arange(len(source)) != row
            if freedom != "affine" or _spread(source[others]) >= 0.02:
                without = fitted(source[others], target[others], freedom)
                left[row] = target[row] - through(without, source[row])
    return Registration(affine, "landmarks", target, left)


def _spread(places: Wide) -> float:
    """Extent across the longest direction, as a share of that along it."""
    sizes = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
    return float(sizes[1] / sizes[0]) if sizes[0] > 0 else 0.0


def about(
    middle: Wide,
    degrees: float,
    *,
    mirror: bool = False,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Wide:
    """A map about a place (row, column): left and right exchanged, a turn to the left, a scale, a shift."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    affine = np.eye(3)
    affine[:2, :2] = scale * turn * (1.0, -1.0 if mirror else 1.0)
    affine[:2, 2] = middle - affine[:2, :2] @ middle + shift
    return affine
