"""Whether a slide's µm per pixel can be true: other witnesses of its scale, and where they disagree."""

from dataclasses import dataclass

import numpy as np

from histoscribe.errors import SlideError
from histoscribe.slide import Slide
from histoscribe.tiles import Tiles, read_crops
from histoscribe.tiles.crops import finest_pixel, repeated_pixels

_NOMINAL = 10.0  # µm per pixel times objective magnification of an ordinary scanner
_SIZES_MM = (0.3, 100.0)
_NUCLEUS_UM = 8.0
_TIMES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0, 16.0)
_FAR = 3.0
_CLEAR, _SHOWN = 1.3, 2.5  # µm per pixel beyond which nuclei may not be seen
_SIDE, _WINDOWS, _LEAST = 256, 16, 20
_BLURRED = 3.0  # pixels that the finest detail may take, or nuclei cannot be told from what is blurred


@dataclass(frozen=True)
class ScaleDoubt:
    """What the witnesses that disagree with the µm per pixel say, and whether they contradict it together."""

    sentence: str = ""
    contradicted: bool = False


def checked_scale(slide: Slide) -> str:
    """What speaks against the µm per pixel, in a sentence; raises `SlideError` where it is contradicted."""
    doubt = scale_doubt(slide)
    if doubt.contradicted:
        remedy = "state the true µm per pixel (--mpp, or in the panel)"
        raise SlideError(doubt.sentence.removesuffix("."), where=slide.path, remedy=remedy)
    return doubt.sentence


def scale_doubt(slide: Slide) -> ScaleDoubt:
    """Ask the objective, the size of the image and its nuclei whether the µm per pixel can be true.

    Nothing is doubted where they are unknown. Contradicted is the scale where two witnesses find it wrong by
    more than three times, in the same direction.
    """
    if slide.mpp is None:
        return ScaleDoubt()
    told: list[tuple[float, str]] = []
    if slide.objective:
        words = f"its objective of {slide.objective:g}x does not fit"
        told.append((slide.mpp * slide.objective / _NOMINAL, words))
    side = max(slide.shape) * slide.mpp / 1000
    off = side / float(np.clip(side, *_SIZES_MM))
    # A size that cannot be is far off, by however little it passes the bound.
    off = off * _FAR * 1.01 if off > 1 else off / _FAR if off < 1 else 1.0
    told.append((off, f"it would be {_short(side)} mm wide"))
    times = nuclear_scale(slide)
    if times is not None:
        hidden = ", unless it is too coarse to show them" if times > 1 and slide.mpp > _SHOWN else ""
        told.append((times, f"its nuclei would be about {_short(_NUCLEUS_UM * times)} µm across{hidden}"))
    against = [(off, words) for off, words in told if not 1 / _FAR <= off <= _FAR]
    if not against:
        return ScaleDoubt()
    listed = ", and ".join(words for _, words in against)
    large = sum(off > 1 for off, _ in against)
    sentence = f"The scale of {slide.name} is doubtful: at {slide.mpp:.4g} µm per pixel {listed}."
    return ScaleDoubt(sentence, max(large, len(against) - large) > 1)


def nuclear_scale(slide: Slide) -> float | None:
    """How many times too large the µm per pixel are by the size of nuclei; None where they cannot tell.

    Hematoxylin inside of blobs as large as nuclei varies most where these are nuclei: crops are looked at as
    if the scale were 16 times finer to 16 times coarser than stated.
    """
    from histoscribe.features.builtin.nuclei import find_nuclei
    from histoscribe.features.builtin.stain_scales import stain_scales

    steps = (np.arange(_WINDOWS**0.5) + 0.5) / _WINDOWS**0.5
    centres = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2) * slide.shape
    tiles = Tiles(centres, 1.0, tuple(map(str, range(len(centres)))), 1.0)
    pixel = slide.known_mpp * slide.levels[0].downsample
    blurred = finest_pixel(next(read_crops(slide, tiles, crop_um=_SIDE * pixel, mpp=pixel)))
    if max(blurred, repeated_pixels(slide.levels[0], centres)) > _BLURRED:
        return None
    found = {}
    for times in _TIMES:
        if times * _SIDE / slide.known_mpp > min(slide.shape) or times < pixel / 16:
            continue
        crops = next(read_crops(slide, tiles, crop_um=_SIDE * times, mpp=times))
        (view,) = stain_scales(crops, 1.0, levels=1, core_um=_SIDE / 2)
        nuclei = find_nuclei(view)
        found[times] = float(nuclei.contrast.mean()) if len(nuclei.tile) >= _LEAST else 0.0
    if not found or not max(found.values()) > 0.05:
        return None
    best = max(found, key=lambda times: found[times])
    return best if found[best] > _CLEAR * found.get(1.0, 0.0) else 1.0


def _short(length: float) -> str:
    return f"{length:,.0f}" if length >= 10 else f"{length:.2g}"
