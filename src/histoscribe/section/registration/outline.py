"""The coarse step: every turn and both faces tried, each at the shift where outline and density fit best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.slide import Slide, Window
from histoscribe.slide.tissue import tissue_mask

_MASK_UM = 16.0
_DARKEST = 1.5  # optical density: more is dirt
_TURNS = 36
_LEAST_SHARED = 0.5  # of the smaller tissue
_TRIED = 6  # ways that are looked at more closely


@dataclass(frozen=True, eq=False)
class TissuePicture:
    """One tissue at one scale."""

    density: NDArray[np.float32]
    """Optical density in red, which haematoxylin absorbs in every stain; shape (rows, columns)."""
    tissue: NDArray[np.bool_]
    """Shape (rows, columns)."""
    to_um: NDArray[np.float64]
    """From (row, column) of its pixels to µm, shape (3, 3)."""

    @classmethod
    def of(cls, slide: Slide, pixel_um: float) -> TissuePicture:
        """Read a slide with known µm per pixel."""
        mask, factor = tissue_mask(slide, mpp=max(pixel_um, _MASK_UM))
        assert slide.mpp is not None  # reading has checked it
        image = slide.read(Window(0, 0, *slide.shape), pixel_um)[..., 0].astype(np.float32)
        within = [
            np.minimum(((np.arange(length) + 0.5) * pixel_um / slide.mpp / factor).astype(int), most - 1)
            for length, most in zip(image.shape, mask.shape, strict=True)
        ]
        tissue = mask[np.ix_(*within)]
        glass = np.median(image[~tissue]) if not tissue.all() else np.float32(255)
        density = np.where(tissue, np.log10((glass + 1) / (image + 1)).clip(0, _DARKEST), 0)
        return cls(density.astype(np.float32), tissue, _pixels(pixel_um, (pixel_um - slide.mpp) / 2))

    def coarser(self, factor: int) -> TissuePicture:
        """The same with pixels that many times as wide."""
        rows, columns = (length // factor for length in self.tissue.shape)
        density, tissue = (
            one[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).mean(axis=(1, 3))
            for one in (self.density, self.tissue)
        )
        pixel_um, first = self.to_um[0, 0], self.to_um[0, 2]
        return TissuePicture(
            density, tissue > 0.5, _pixels(factor * pixel_um, first + (factor - 1) / 2 * pixel_um)
        )

    def warped(self, affine: NDArray[np.float64], onto: TissuePicture) -> TissuePicture:
        """The same tissue, mapped by `affine` in µm, on the pixels of another picture."""
        from scipy.ndimage import affine_transform

        back = np.linalg.inv(affine @ self.to_um) @ onto.to_um
        shape = onto.density.shape
        density, tissue = (
            affine_transform(one, back[:2, :2], back[:2, 2], output_shape=shape, order=1)
            for one in (self.density, self.tissue.astype(np.float32))
        )
        return TissuePicture(density, tissue > 0.5, onto.to_um)


def _pixels(pixel_um: float, first: float) -> NDArray[np.float64]:
    """From pixels of this width to µm, which count from the centre of the first full-resolution pixel."""
    return np.array([(pixel_um, 0, first), (0, pixel_um, first), (0, 0, 1)])


def outline_ways(moving: TissuePicture, fixed: TissuePicture) -> list[NDArray[np.float64]]:
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
    found: list[tuple[float, NDArray[np.float64]]] = []
    for mirror in (1.0, -1.0):
        for angle in np.arange(_TURNS) * (2 * np.pi / _TURNS):
            turn = np.eye(3)
            turn[:2, :2] = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            turn[:2, :2] *= (1.0, mirror)
            turn[:2, 2] = centre - turn[:2, :2] @ middle
            turned = moving.warped(turn, canvas)
            area = float(turned.tissue.sum())
            other = [np.conj(part) for part in parts(turned)]

            def product(
                mine: int, theirs: int, other: list[NDArray[np.complex64]] = other
            ) -> NDArray[np.float64]:
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
