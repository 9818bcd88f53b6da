"""How alike two tiles of one slide are: in what is seen of them, in what a model says of them, in place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.graphs import context_means
from histoscribe.predictor.inputs import MIN_TILES, Scale, scale_of, standardised
from histoscribe.rows import squared_distances

Rows = Numbers
Kernel = Callable[[Rows, Rows], Wide]

REACHES = (1.5, 3.0)
_SAMPLE = 500
_WIDE = 4.0


@dataclass(frozen=True, eq=False)
class SlideView:
    """Tiles of one slide, those with given spots among them."""

    features: Floats
    """Descriptors as the encoder gave them, or some of them, shape (tiles, d)."""
    centres_um: Wide
    """Shape (tiles, 2)."""
    pitch_um: float
    """Of the given spots."""
    whole: Floats
    """Descriptors all over the slide, whose units are used, shape (other tiles, d)."""
    fallback: Scale | None = None
    """Units where `whole` has too few tiles to know the slide by."""
    embedding: Floats | None = None
    """What a model's networks make of the tiles, shape (tiles, width)."""
    prior: Floats | None = None
    """What a model says of them, in standardised expression, shape (tiles, genes)."""


def kernels_of(view: SlideView) -> dict[str, Kernel]:
    """The kernels that given spots speak along, by name; 1 on average between a tile and itself.

    `near` and `wide` compare what is seen: descriptors, descriptors with their surroundings, and a model's
    embedding, a functional graph with an edge between any two tiles. `joined` adds what the model says and
    the place, a spatial graph. Without a model the place takes more parts, by itself and together with what
    is seen, to tell what lies between spots.
    """
    too_few = len(view.whole) < MIN_TILES
    units = view.fallback if too_few and view.fallback is not None else scale_of(view.whole)
    plain = standardised(view.features, units)
    around = [context_means(plain, view.centres_um, view.pitch_um, (reach,)) for reach in REACHES]
    wholly = np.concatenate([plain, *(standardised(part, scale_of(part)) for part in around)], axis=1)
    seen = [gaussian(plain), gaussian(wholly)]
    wide = [gaussian(plain, _WIDE), gaussian(wholly, _WIDE)]
    if view.embedding is not None:
        learned = gaussian(view.embedding)
        seen, wide = [*seen, learned], [*wide, learned]
    near, far = mean_of(seen), mean_of(wide)
    places = view.centres_um / view.pitch_um
    if view.prior is not None:
        joined = mean_of([*seen, linear(view.prior), falling(places, 5.0)])
        return {"near": near, "wide": far, "joined": joined}
    return {
        "near": near,
        "wide": far,
        "joined": mean_of([near, falling(places, 5.0)]),
        "closer": mean_of([near, falling(places, 1.5)]),
        "both": lambda a, b: near(a, b) * falling(places, 5.0)(a, b),
        "place": falling(places, 5.0),
        "closest place": falling(places, 1.5),
    }


def gaussian(values: NDArray[np.floating], width: float = 1.0) -> Kernel:
    """exp(-d² / (width × median d²)) between rows."""
    some = values[:: max(1, len(values) // _SAMPLE)]
    among = squared_distances(some, some)
    median = float(np.median(among[~np.eye(len(some), dtype=bool)])) if len(some) > 1 else 1.0
    scale = width * max(median, 1e-12)
    return lambda a, b: np.exp(-squared_distances(values[a], values[b]).astype(np.float64) / scale)


def linear(values: NDArray[np.floating]) -> Kernel:
    """Products of centred rows, 1 on average between a row and itself."""
    centred = values - values.mean(axis=0)
    scale = max(float((centred**2).sum(axis=1).mean()), 1e-12)
    return lambda a, b: np.asarray(centred[a] @ centred[b].T, dtype=np.float64) / scale


def falling(places: Wide, length: float) -> Kernel:
    """exp(-distance / length), both in pitches."""
    from scipy.spatial.distance import cdist

    return lambda a, b: np.exp(-cdist(places[a], places[b]) / length)


def mean_of(kernels: Sequence[Kernel]) -> Kernel:
    """Their mean."""
    return lambda a, b: np.mean([kernel(a, b) for kernel in kernels], axis=0)
