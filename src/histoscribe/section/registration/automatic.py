"""Registration by looking: every turn and both faces by their outline, then pieces of tissue near where they
should lie, and one map that most support."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.errors import SectionError
from histoscribe.progress import Progress
from histoscribe.section.registration.transform import Registration, fitted, through
from histoscribe.slide import Slide, Window
from histoscribe.slide.tissue import tissue_mask

SPOT_RADIUS_UM = 27.5
LEAST_OVERLAP, LEAST_AGREEING, FEWEST_AGREEING = 0.6, 0.45, 12
"""Both witnesses must speak for a map: outlines that cover each other, and pieces whose structure agrees."""
_FINER = 0.7  # share of pieces that must agree at a finer scale, or the coarser map is kept
_RUNNER_UP = (
    0.7  # of the best map's agreeing share: another way that comes so near leaves it open which is right
)
_STRETCH = 1.2  # the most that one direction may be longer
_PIECES, _GUESSES = 150, 500
_COARSE_PX, _FINE_PX, _FINEST_UM = 112, 1000, 4.0
_COVERED, _PLAIN = 0.6, 1e-3  # of a piece by tissue; the least standard deviation of its density
_HALF, _STEPS = 12, (8, 4, 2, 1)  # pixels of a piece to each side; how many times coarser than the finest
_LEAST_REACH = (
    10  # pixels in which a piece is looked for; three radii of a spot where that is more: by chance 9 % agree
)
_REMEDY = "set three pairs of landmarks by hand"
_MASK_UM = 16.0
_DARKEST = 1.5  # optical density: more is dirt
_TURNS = 36
_LEAST_SHARED = 0.5  # of the smaller tissue
_TRIED = 6  # ways that are looked at more closely


def align(moving: Slide, fixed: Slide, *, progress: Progress | None = None) -> Registration:
    """Find how one tissue lies on another: the same section on another image, or a neighbouring section.

    All turns and both faces are tried by outline and density; then pieces of the tissue are looked for, more
    and more finely, and an affine map is fitted to most of them.

    Parameters
    ----------
    moving, fixed : Slide
        With known µm per pixel.
    progress : Progress, optional
        Told of each step.

    Returns
    -------
    Registration
        Its residuals are what is left between pieces of both tissues.

    Raises
    ------
    SectionError
        If outlines or structure do not speak for one map and against all others: nothing is guessed.
    SlideError
        If a slide cannot be read, or its µm per pixel are unknown.
    """
    told = progress or Progress()
    told.report("reading both tissues", 0, 6)
    longest = max(max(slide.shape) * (slide.mpp or 1.0) for slide in (moving, fixed))
    pixel_um = max(_FINEST_UM, longest / _FINE_PX)
    read = [TissuePicture.of(slide, pixel_um) for slide in (moving, fixed)]
    pair = [one.coarser(max(1, round(longest / _COARSE_PX / pixel_um))) for one in read]
    for slide, picture in zip((moving, fixed), pair, strict=True):
        if picture.tissue.sum() < 50:
            raise SectionError("no tissue is found", where=slide.name, remedy=_REMEDY)
    told.report("turning by outline", 1, 6)
    ways, best = outline_ways(*pair), None
    doubts: list[str] = []
    rival: list[str] = []
    for step, factor in enumerate(_STEPS):
        told.report("comparing structure", 2 + step, 6)
        pair = [one.coarser(factor) for one in read]
        found = sorted((_refined(way, *pair) for way in ways), key=lambda one: -(one.agreeing or 0.0))
        distinct = _distinct(found, longest / 10)
        doubts, rival = _doubts(*distinct)
        worse = best is not None and (distinct[0].agreeing or 0.0) < _FINER
        if doubts or (rival and best is not None) or worse:
            break  # neighbouring sections are alike in the large, not cell by cell
        best = None if rival else distinct[0]
        ways = [one.affine for one in distinct[:2]]
    told.report("comparing structure", 6, 6)
    if best is None:
        problem = f"they cannot be aligned with confidence: {'; '.join([*doubts, *rival])}"
        raise SectionError(problem, where=f"{moving.name} on {fixed.name}", remedy=_REMEDY)
    return best


def _refined(affine: Wide, moving: TissuePicture, fixed: TissuePicture) -> Registration:
    """The map that pieces support which were looked for under this one."""
    found = _looked_at(affine, moving, fixed)
    enough = len(found.places) >= FEWEST_AGREEING
    return _looked_at(_supported(found), moving, fixed) if enough else found


def _looked_at(affine: Wide, moving: TissuePicture, fixed: TissuePicture) -> Registration:
    """Where pieces of the moving tissue are found around their place on the fixed one."""
    laid = moving.warped(affine, fixed)
    both = laid.tissue & fixed.tissue
    overlap = float(both.sum() / max(1, min(laid.tissue.sum(), fixed.tissue.sum())))
    step = max(4, int(np.sqrt(both.sum() / _PIECES)))
    pixel_um = float(fixed.to_um[0, 0])
    reach = max(_LEAST_REACH, int(np.ceil(3 * SPOT_RADIUS_UM / pixel_um)))
    grid = np.mgrid[tuple(slice(step // 2, end, step) for end in both.shape)]
    rows, columns = (one.ravel() for one in grid)

    def around(image: NDArray[Any], half: int) -> NDArray[Any]:
        views = np.lib.stride_tricks.sliding_window_view(np.pad(image, half), (2 * half + 1,) * 2)
        return np.asarray(views[rows, columns])

    pieces = around(laid.density, _HALF)
    told = (around(both, _HALF).mean(axis=(1, 2)) >= _COVERED) & (pieces.std(axis=(1, 2)) > _PLAIN)
    pieces, rows, columns = pieces[told], rows[told], columns[told]
    left_um = (_best_shifts(around(fixed.density, _HALF + reach), pieces) - reach) * pixel_um
    agree = np.hypot(*left_um.T) <= max(SPOT_RADIUS_UM, 1.5 * pixel_um)
    share = float(agree.mean()) if len(agree) else 0.0
    at = through(fixed.to_um, np.column_stack([rows, columns]))
    return Registration(affine, "automatic", at, left_um, overlap, share)


def _best_shifts(around: Floats, pieces: Floats) -> Wide:
    """Where in each surrounding its piece correlates best, to a fraction of a pixel; shape (pieces, 2)."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    if not len(pieces):
        return np.empty((0, 2))
    wide, side = around.shape[1], pieces.shape[1]
    room, shape = wide - side + 1, [next_fast_len(wide, real=True)] * 2
    centred = pieces - pieces.mean(axis=(1, 2), keepdims=True)
    product = irfft2(rfft2(around, s=shape) * np.conj(rfft2(centred, s=shape)), s=shape)[:, :room, :room]

    def sums(values: Floats) -> Wide:
        total = np.pad(values.astype(np.float64).cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
        found: Wide = (
            total[:, side:, side:]
            - total[:, :-side, side:]
            - total[:, side:, :-side]
            + total[:, :-side, :-side]
        )
        return found

    spread = (sums(around**2) - sums(around) ** 2 / side**2).clip(_PLAIN**2 * side**2)
    response = np.pad(product / np.sqrt(spread), ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    each = np.arange(len(pieces))
    best = np.stack(
        np.unravel_index(response.reshape(len(pieces), -1).argmax(axis=1), response.shape[1:]), axis=1
    )
    found = best.astype(np.float64) - 1
    for axis, by in enumerate(np.eye(2, dtype=np.int64)):
        low, mid, high = (response[each, *(best + way * by).T] for way in (-1, 0, 1))
        bend = np.where(np.isfinite(low + high), low - 2 * mid + high, np.inf)
        found[:, axis] += np.where(bend < 0, (low - high) / np.where(bend < 0, 2 * bend, 1), 0.0)
    return found


def _supported(found: Registration) -> Wide:
    """The map after the one that was looked at, by the pieces that support one another."""
    before, after = found.places, found.places + found.residuals
    tolerance = max(SPOT_RADIUS_UM, float(np.median(np.hypot(*found.residuals.T))) / 2)
    rng = np.random.default_rng(0)
    threes = rng.permuted(np.tile(np.arange(len(before)), (_GUESSES, 1)), axis=1)[:, :3]
    corners = np.concatenate([before[threes], np.ones((_GUESSES, 3, 1))], axis=2)
    known = np.abs(np.linalg.det(corners)) > 1e-3 * np.ptp(before, axis=0).prod()
    guesses = np.linalg.solve(corners[known], after[threes[known]])
    left = np.einsum("pi,gij->gpj", np.column_stack([before, np.ones(len(before))]), guesses) - after
    supported = np.hypot(left[..., 0], left[..., 1]) <= tolerance
    kept = supported[supported.sum(axis=1).argmax()] if len(supported) else np.zeros(len(before), np.bool_)
    if kept.sum() < FEWEST_AGREEING:
        return found.affine
    further = fitted(before[kept], after[kept]) @ found.affine
    sizes = np.linalg.svd(further[:2, :2], compute_uv=False)
    return further if sizes.min() > 1 / _STRETCH and sizes.max() < _STRETCH else found.affine


def _distinct(found: list[Registration], far: float) -> list[Registration]:
    """Without those that lay the tissue nearly where a better one does."""
    kept: list[Registration] = []
    for one in found:
        apart = one.affine @ np.array([np.linalg.inv(other.affine) for other in kept]).reshape(-1, 3, 3)
        away = [through(way, other.places) - other.places for way, other in zip(apart, kept, strict=True)]
        if all(np.median(np.hypot(*by.T)) > far for by in away if len(by)):
            kept.append(one)
    return kept


def _doubts(best: Registration, *others: Registration) -> tuple[list[str], list[str]]:
    """Which of the witnesses denies a map, and whether it is not the only one."""
    agreeing, overlap = best.agreeing or 0.0, best.overlap or 0.0
    problems, rival = [], []
    if overlap < LEAST_OVERLAP:
        problems.append(f"only {overlap:.0%} of the smaller tissue would lie on the other")
    if agreeing < LEAST_AGREEING or agreeing * len(best.places) < FEWEST_AGREEING:
        problems.append(f"the structure of only {agreeing:.0%} of {len(best.places)} pieces agrees")
    second = max((one.agreeing or 0.0 for one in others), default=0.0)
    if second > _RUNNER_UP * agreeing:
        rival.append(f"another way fits nearly as well ({second:.0%} of the pieces against {agreeing:.0%})")
    return problems, rival


@dataclass(frozen=True, eq=False)
class TissuePicture:
    """One tissue at one scale."""

    density: Floats
    """Optical density in red, which haematoxylin absorbs in every stain; shape (rows, columns)."""
    tissue: Mask
    """Shape (rows, columns)."""
    to_um: Wide
    """From (row, column) of its pixels to µm, shape (3, 3)."""

    @classmethod
    def of(cls, slide: Slide, pixel_um: float) -> TissuePicture:
        """Read a slide with known µm per pixel."""
        mask, factor = tissue_mask(slide, mpp=max(pixel_um, _MASK_UM))
        mpp = slide.known_mpp
        image = slide.read(Window(0, 0, *slide.shape), pixel_um)[..., 0].astype(np.float32)
        within = [
            np.minimum(((np.arange(length) + 0.5) * pixel_um / mpp / factor).astype(int), most - 1)
            for length, most in zip(image.shape, mask.shape, strict=True)
        ]
        tissue = mask[np.ix_(*within)]
        glass = np.median(image[~tissue]) if not tissue.all() else np.float32(255)
        density = np.where(tissue, np.log10((glass + 1) / (image + 1)).clip(0, _DARKEST), 0)
        return cls(density.astype(np.float32), tissue, _pixels(pixel_um, (pixel_um - mpp) / 2))

    def coarser(self, factor: int) -> TissuePicture:
        """The same with pixels that many times as wide."""
        rows, columns = (length // factor for length in self.tissue.shape)
        density, tissue = (
            one[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).mean(axis=(1, 3))
            for one in (self.density, self.tissue)
        )
        pixel_um, first = self.to_um[0, 0], self.to_um[0, 2]
        to_um = _pixels(factor * pixel_um, first + (factor - 1) / 2 * pixel_um)
        return TissuePicture(density, tissue > 0.5, to_um)

    def warped(self, affine: Wide, onto: TissuePicture) -> TissuePicture:
        """The same tissue, mapped by `affine` in µm, on the pixels of another picture."""
        from scipy.ndimage import affine_transform

        back = np.linalg.inv(affine @ self.to_um) @ onto.to_um
        shape = onto.density.shape
        density, tissue = (
            affine_transform(one, back[:2, :2], back[:2, 2], output_shape=shape, order=1)
            for one in (self.density, self.tissue.astype(np.float32))
        )
        return TissuePicture(density, tissue > 0.5, onto.to_um)


def _pixels(pixel_um: float, first: float) -> Wide:
    """From pixels of this width to µm, which count from the centre of the first full-resolution pixel."""
    return np.array([(pixel_um, 0, first), (0, pixel_um, first), (0, 0, 1)])


def outline_ways(moving: TissuePicture, fixed: TissuePicture) -> list[Wide]:
    """Rigid maps in µm, 3 × 3, best first: of outline (intersection over union) and density (correlation)."""
    from scipy.fft import irfft2, next_fast_len, rfft2
    from scipy.ndimage import gaussian_filter

    pixel_um = float(fixed.to_um[0, 0])
    side = int(np.ceil(np.hypot(*moving.density.shape)))
    canvas = TissuePicture(np.zeros((side, side), np.float32), np.zeros((side, side), np.bool_), fixed.to_um)
    shape = [next_fast_len(side + length, real=True) for length in fixed.density.shape]

    def parts(one: TissuePicture) -> list[NDArray[np.complex64]]:
        density = gaussian_filter(one.density, 1.5) * one.tissue
        return [rfft2(part, s=shape) for part in (one.tissue.astype(np.float32), density, density**2)]

    own, own_area = parts(fixed), float(fixed.tissue.sum())
    middle = moving.to_um[:2, :2] @ ((np.array(moving.density.shape) - 1) / 2) + moving.to_um[:2, 2]
    centre = np.full(2, (side - 1) / 2 * pixel_um) + fixed.to_um[:2, 2]
    found: list[tuple[float, Wide]] = []
    for mirror in (1.0, -1.0):
        for angle in np.arange(_TURNS) * (2 * np.pi / _TURNS):
            turn = np.eye(3)
            turn[:2, :2] = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            turn[:2, :2] *= (1.0, mirror)
            turn[:2, 2] = centre - turn[:2, :2] @ middle
            turned = moving.warped(turn, canvas)
            area = float(turned.tissue.sum())
            other = [np.conj(part) for part in parts(turned)]

            def product(mine: int, theirs: int, other: list[NDArray[np.complex64]] = other) -> Wide:
                return np.asarray(irfft2(own[mine] * other[theirs], s=shape), dtype=np.float64)

            shared = product(0, 0).clip(1e-3)
            mine, theirs = product(1, 0), product(0, 1)
            spread = (product(2, 0) - mine**2 / shared).clip(0) * (product(0, 2) - theirs**2 / shared).clip(0)
            alike = (product(1, 1) - mine * theirs / shared) / np.sqrt(spread + 1e-6 * shared**2)
            score = shared / (own_area + area - shared) + alike.clip(-1, 1)
            score[shared < _LEAST_SHARED * min(area, own_area)] = -2
            place = np.array(np.unravel_index(int(score.argmax()), score.shape))
            shift = np.where(place > np.array(shape) - side, place - shape, place) * pixel_um
            turn[:2, 2] += shift
            found.append((float(score.max()), turn))
    found.sort(key=lambda one: -one[0])
    return [turn for _, turn in found[:_TRIED]]
