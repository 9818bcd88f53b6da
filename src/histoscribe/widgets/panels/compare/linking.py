"""Marks that go both ways between layers of spots and a scatter plot, and a lasso on the tissue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from histoscribe.palette import MARK
from histoscribe.section.registration.transform import through
from histoscribe.widgets.layers.layers import UM, affine_of
from histoscribe.widgets.layers.painting import rim
from histoscribe.widgets.layers.raster import is_raster, mark_bins

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Points, Shapes

LASSO = "lasso on the tissue"


class MarkedSpots:
    """Keeps the marked spots of several layers the same, and tells `changed` the places that the user marks.

    For each layer it is given which of its rows stands for each of the common places. Bins of a raster are
    marked from elsewhere only.
    """

    def __init__(
        self, layers: dict[Points | Image, NDArray[np.intp]], changed: Callable[[NDArray[np.intp]], None]
    ) -> None:
        self._layers = {layer: rows for layer, rows in layers.items() if not is_raster(layer)}
        self._rasters = {layer: rows for layer, rows in layers.items() if is_raster(layer)}
        self._changed = changed
        self._marked: set[int] = set()
        self._busy = False
        for layer in self._layers:
            layer.selected_data.events.items_changed.connect(self._on_marks)

    def mark(self, places: NDArray[np.intp]) -> None:
        """Mark these places on every layer."""
        self._busy = True
        for layer, rows in self._layers.items():
            layer.selected_data = set(rows[places].tolist())
            rim(layer, rows[places])
        for layer, rows in self._rasters.items():
            mark_bins(layer, rows[places])
        self._marked = set(places.tolist())
        self._busy = False

    def forget(self) -> None:
        """Let the layers go."""
        for layer in self._layers:
            layer.selected_data.events.items_changed.disconnect(self._on_marks)

    def _on_marks(self, *_: object) -> None:
        """Follow the layer whose marks are no longer those of all."""
        if self._busy:
            return
        for layer, rows in self._layers.items():
            places = np.flatnonzero(np.isin(rows, list(layer.selected_data)))
            if set(places.tolist()) != self._marked:
                self.mark(places)
                self._changed(places)
                return


def lasso_on_tissue(viewer: ViewerModel, done: Callable[[NDArray[np.float64]], None]) -> Shapes:
    """Let the user draw one outline around tissue; `done` receives its corners in µm, (row, column)."""
    layer = viewer.add_shapes(ndim=2, name=LASSO, units=(UM, UM), face_color="transparent", edge_color=MARK)
    layer.current_edge_width = 6
    layer.mode = "add_polygon_lasso"

    def closed(event: object) -> None:
        if str(getattr(event, "action", "")) == "added":
            QTimer.singleShot(0, lambda: _finish(viewer, layer, done))

    layer.events.data.connect(closed)
    return layer


def _finish(viewer: ViewerModel, layer: Shapes, done: Callable[[NDArray[np.float64]], None]) -> None:
    """Hand over the outline as it is now, and remove the layer; only the first time."""
    if layer in viewer.layers:
        corners = through(affine_of(layer), np.asarray(layer.data[-1])) if layer.nshapes else None
        viewer.layers.remove(layer)
        if corners is not None and len(corners) > 2:
            done(corners)
