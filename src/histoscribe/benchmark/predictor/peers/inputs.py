"""What every peer is given: the same descriptors, standardised per section, and the same target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.graphs.context import context_means
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.target import Target, panel_expression


@dataclass(frozen=True, eq=False)
class Example:
    """One section as a peer sees it.

    Parameters
    ----------
    features : ndarray of float32, shape (spots, d)
        Descriptors, each with mean 0 and standard deviation 1 over the section.
    context : ndarray of float32, shape (spots, 3 d)
        The same, followed by their means within 1.5 and 3 pitches.
    places : ndarray of float32, shape (spots, 2)
        Spot centres in pitches from the section's corner as (row, column).
    log_depth : ndarray of float32, shape (spots, 1)
        log1p of all counts of a spot. Only the leakage probe may look at it on test sections.
    expression : ndarray of float32, shape (spots, genes)
        The target on the panel. No peer may look at it on test sections.
    tiles : ndarray of uint8, shape (spots, side, side, 3), or None
        Pixels around the spots, for the peer that learns from them.
    """

    features: NDArray[np.float32]
    context: NDArray[np.float32]
    places: NDArray[np.float32]
    log_depth: NDArray[np.float32]
    expression: NDArray[np.float32]
    tiles: NDArray[np.uint8] | None = None


def make_example(
    section: EncodedSection,
    panel: Sequence[str],
    *,
    target: Target = "clean",
    tiles: NDArray[np.uint8] | None = None,
) -> Example:
    """Standardise the descriptors of a section and restrict its target to `panel`."""
    raw = section.features.astype(np.float64)
    features = ((raw - raw.mean(axis=0)) / (raw.std(axis=0) + 1e-6)).astype(np.float32)
    means = context_means(features, section.centres_um, section.pitch_um, (1.5, 3.0))
    places = (section.centres_um - section.centres_um.min(axis=0)) / section.pitch_um
    depth = np.asarray(section.counts.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    return Example(
        features=features,
        context=np.concatenate([features, means], axis=1),
        places=places.astype(np.float32),
        log_depth=np.log1p(depth).astype(np.float32),
        expression=panel_expression(section, panel, target),
        tiles=tiles,
    )
