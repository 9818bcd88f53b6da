"""What the networks see of a tile: its descriptor in units of its slide, or of all training slides."""

import numpy as np
from numpy.typing import NDArray

from histoscribe.predictor.inputs import Scale, scale_of, standardised


def own_units(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Z-scores within one slide, which take its staining out."""
    return standardised(features, scale_of(features))


def inputs_of(features: NDArray[np.float32], pooling: str, scale: Scale) -> NDArray[np.float32]:
    """Units of the slide where tiles are weighed; the mean of those is nothing, so pooling by it takes those
    of the training."""
    return standardised(features, scale) if pooling == "mean" else own_units(features)
