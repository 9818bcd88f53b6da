"""What a comparison shows in the viewer: which layers can be compared, and the layer of their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import DERIVED, kind_of, section_of
from histoscribe.widgets.layers.raster import like

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from histoscribe.widgets.layers.layers import LayerData
    from histoscribe.widgets.panels.compare.comparing import Compared

_COMPARED = "compared"


def is_kind(kind: str, layer: Layer) -> bool:
    """Whether a layer was opened or predicted, and is of this kind: `measured` or `predicted`."""
    section = section_of(layer)
    return section is not None and DERIVED not in layer.metadata and kind_of(section) == kind


def difference_layer(viewer: ViewerModel, compared: Compared, beside: Layer) -> Layer:
    """The layer of predicted − measured of a comparison; made like `beside` where it is not there."""
    for layer in viewer.layers:
        if layer.metadata.get(_COMPARED) is compared:
            return layer
    data, described, kind = described_difference(compared, beside)
    return getattr(viewer, f"add_{kind}")(data, **described)


def described_difference(compared: Compared, beside: Layer) -> LayerData:
    """Describe the layer of predicted − measured, shaped like `beside`."""
    section = compared.measured
    data, described, kind = like(beside, section, f"{section.name} difference")
    described["metadata"] |= {
        DERIVED: DIFFERENCE,
        DIFFERENCE: compared.difference(),
        _COMPARED: compared,
    }
    return data, described, kind
