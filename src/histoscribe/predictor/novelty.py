"""Novelty: how far a tile lies from all tiles that the model has seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Floats, Numbers
from histoscribe.predictor.inputs import standardised
from histoscribe.predictor.linear import pooled, principal_axes
from histoscribe.rows import Held, runs_of, squared_distances

NEAREST = 5
_AXES = 24
_MOST = 2000
_MOST_SEEN = 20_000
_USUAL = 0.99
_BLOCK = 2048
_SAME = 0.05


@dataclass(frozen=True, eq=False)
class NoveltyReference:
    """Training tiles in two coordinate systems, and how far apart they usually are.

    The first is absolute (stain and texture in the units of all training tiles): it tells glass, pen, folds
    or a foreign stain. The second is the network's own, in units of the slide: it tells unknown structures.
    """

    mean: Floats
    deviation: Floats
    """`mean` and `deviation`: units of the absolute system, shape (d,)."""
    axes: Floats
    """Shape (d, k)."""
    appearance: Floats
    """Training tiles on these axes, shape (n, k)."""
    structure: Floats
    """The same tiles as reduced image inputs, shape (n, components)."""
    limits: Floats
    """The distance that 99 % of the training tiles keep to tiles of other sections, per system, shape
    (2,)."""

    def novelty(self, raw: Floats, reduced: Floats) -> Floats:
        """The larger of both distances in units of what is usual: above 1, a tile is unlike what was seen.

        `raw` (tiles, d): descriptors as the encoder gave them; `reduced` (tiles, components).
        """
        looks = distance_to(self._seen(raw), self.appearance) / self.limits[0]
        built = distance_to(reduced, self.structure) / self.limits[1]
        return np.asarray(np.maximum(looks, built), dtype=np.float32)

    def share_seen(self, raw: Held) -> float:
        """Share of tiles of the training: the same pixels, whatever their section is called."""
        return float((distance_to(self._seen(raw), self.appearance, nearest=1) < _SAME).mean())

    def shift(self, raw: Held) -> float:
        """Distance of the mean tile from that of the training, in units of what is usual between tiles."""
        away = self._seen(raw).mean(axis=0) - self.appearance.mean(axis=0)
        return float(np.linalg.norm(away) / self.limits[0])

    def _seen(self, raw: Held) -> Floats:
        units = (standardised(raw[rows], (self.mean, self.deviation)) for rows in runs_of(raw))
        return np.concatenate([values @ self.axes for values in units])


def shapes_of_familiar(width: int, axes: int, tiles: int, inputs: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a saved reference's arrays: of so many descriptors, axes, tiles and reduced inputs."""
    shapes = {"mean": (width,), "deviation": (width,), "limits": (2,)}
    wide = {"axes": (width, axes), "appearance": (tiles, axes), "structure": (tiles, inputs)}
    return {f"familiar.{name}": shape for name, shape in (shapes | wide).items()}


def learn_familiar(features: Sequence[Floats], reduced: Sequence[Held], seed: int) -> NoveltyReference:
    """Remember the training tiles (at most 2,000) and how far they are from tiles of other sections.

    A single section is compared with itself, each tile with all others.

    `features` and `reduced`: per section: descriptors (spots, d) and reduced image inputs (spots,
    components); `seed`: of the choice among more tiles.
    """
    mean, deviation = pooled(features)
    starts = np.cumsum([0, *map(len, features)])
    drawn = np.random.default_rng(seed).permutation(starts[-1])
    seen, rows = (np.sort(drawn[:most]) for most in (_MOST_SEEN, _MOST))

    def some(parts: Sequence[Held], rows: Numbers) -> Floats:
        own = np.split(rows, np.searchsorted(rows, starts[1:-1]))
        return np.concatenate(
            [part[mine - start] for part, mine, start in zip(parts, own, starts[:-1], strict=True)]
        )

    units = standardised(some(features, seen), (mean, deviation))
    axes = principal_axes(units, _AXES)
    kept = [np.ascontiguousarray((units @ axes)[np.isin(seen, rows)]), some(reduced, rows)]
    owner = np.searchsorted(starts, rows, side="right") - 1
    limits = []
    for chosen in kept:
        far = [
            distance_to(chosen[owner == number], chosen[owner != number])
            for number in range(len(features))
            if (owner == number).any() and (owner != number).any()
        ]
        usual = np.concatenate(far) if far else distance_to(chosen, chosen, skip=1)
        limits.append(max(float(np.quantile(usual, _USUAL)), 1e-6))
    return NoveltyReference(mean, deviation, axes, kept[0], kept[1], np.asarray(limits, dtype=np.float32))


def distance_to(rows: Floats, known: Floats, *, skip: int = 0, nearest: int = NEAREST) -> Floats:
    """Mean distance of each row to its nearest known rows; `skip` leaves out so many nearest of all."""
    count = min(nearest + skip, len(known))
    out = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        squared = squared_distances(rows[start : start + _BLOCK], known)
        near = np.sort(np.partition(squared, count - 1, axis=1)[:, :count], axis=1)[:, min(skip, count - 1) :]
        out[start : start + _BLOCK] = np.sqrt(near).mean(axis=1)
    return out
