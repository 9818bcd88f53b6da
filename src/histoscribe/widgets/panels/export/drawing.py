"""One layer drawn by matplotlib in the world of the viewer: pixels, spots and outlines at their true size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from numpy.typing import NDArray

from histoscribe.widgets.layers.layers import affine_of
from histoscribe.widgets.layers.regions import closed_shapes, drawn_regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from napari.layers import Layer

_VECTOR_SPOTS = 20_000


@dataclass(frozen=True)
class Extent:
    """The part of the world that one pane shows."""

    top: float
    left: float
    height: float
    width: float
    """`top`, `left`, `height` and `width`: in world units (µm): rows downwards, columns to the right."""
    fineness: float
    """World units per pixel of the picture."""
    axes: tuple[int, int] = (0, 1)
    """Which of the world's last two axes goes downwards, and which to the right."""

    def shown(self, layer: Layer) -> NDArray[np.float64]:
        """From (row, column) of a layer's data to what is shown, 3 × 3."""
        return affine_of(layer)[[*self.axes, 2]]


def draw(axes: Axes, layer: Layer, window: Extent, order: int) -> bool:
    """Draw what a pane shows of a layer; False where it is of a kind that is not drawn."""
    if isinstance(layer, Image | Labels):
        _draw_pixels(axes, layer, window, order)
    elif isinstance(layer, Points):
        _draw_spots(axes, layer, window, order)
    elif isinstance(layer, Shapes):
        _draw_outlines(axes, layer, window, order)
    else:
        return False
    return True


def _draw_pixels(axes: Axes, layer: Image | Labels, window: Extent, order: int) -> None:
    """Show the coarsest level that is as fine as the picture, cut to the window."""
    from matplotlib.transforms import Affine2D

    affine = window.shown(layer)
    levels = list(layer.data) if layer.multiscale else [layer.data]
    shape = np.asarray(levels[0].shape[:2], dtype=float)
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)]) * (window.height, window.width)
    corners += np.array([window.top, window.left]) - affine[:2, 2]
    places = corners @ np.linalg.inv(affine[:2, :2]).T
    low = np.clip(np.floor(places.min(axis=0)), 0, shape)
    high = np.clip(np.ceil(places.max(axis=0)) + 1, 0, shape)
    if (high <= low).any():
        return
    finest = float(np.sqrt(abs(np.linalg.det(affine[:2, :2]))))
    wanted = max(1.0, window.fineness / finest)
    factors = [float(shape[0] / level.shape[0]) for level in levels]
    chosen = max(
        (place for place, factor in enumerate(factors) if factor <= wanted * 1.01),
        key=lambda place: factors[place],
    )
    level, factor = levels[chosen], factors[chosen]
    limit = np.asarray(level.shape[:2])
    start = np.minimum(np.floor(low / factor).astype(int), limit - 1)
    stop = np.clip(np.ceil(high / factor).astype(int), start + 1, limit)
    step = max(1, int(wanted / factor))
    cut = np.asarray(level[start[0] : stop[0] : step, start[1] : stop[1] : step])
    stop = start + np.asarray(cut.shape[:2]) * step
    (top, left), (bottom, right) = start * factor - 0.5, stop * factor - 0.5
    image = axes.imshow(
        _coloured(layer, cut),
        extent=(left, right, bottom, top),
        interpolation="nearest" if getattr(layer, "interpolation2d", "") == "nearest" else "antialiased",
        alpha=float(layer.opacity),
        zorder=order,
        aspect="auto",
    )
    across = affine[[1, 0, 2]][:, [1, 0, 2]]
    image.set_transform(Affine2D(across) + axes.transData)


def _coloured(layer: Image | Labels, pixels: NDArray[Any]) -> NDArray[Any]:
    if getattr(layer, "rgb", False):
        return pixels
    if isinstance(layer, Labels):
        return np.asarray(layer.colormap.map(pixels)).reshape(*pixels.shape, 4)
    low, high = layer.contrast_limits
    share = (pixels.astype(np.float32) - low) / ((high - low) or 1)
    colours = np.array(layer.colormap.map(np.clip(np.nan_to_num(share), 0, 1)).reshape(*pixels.shape, 4))
    colours[~np.isfinite(share), 3] = 0
    return colours


def _draw_spots(axes: Axes, layer: Points, window: Extent, order: int) -> None:
    from matplotlib.collections import EllipseCollection

    affine = window.shown(layer)
    shown = np.asarray(layer.shown, dtype=bool)
    size = np.asarray(layer.size, dtype=float) * float(np.sqrt(abs(np.linalg.det(affine[:2, :2]))))
    centres = np.asarray(layer.data, dtype=float)[:, -2:] @ affine[:2, :2].T + affine[:2, 2]
    ends = np.array([(window.top, window.left), (window.top + window.height, window.left + window.width)])
    inside = ((centres > ends[0] - size[:, None]) & (centres < ends[1] + size[:, None])).all(axis=1) & shown
    if not inside.any():
        return
    colours = np.array(layer.face_color[inside], dtype=float)
    colours[:, 3] *= float(layer.opacity)
    spots = EllipseCollection(
        size[inside],
        size[inside],
        0,
        units="xy",
        offsets=centres[inside][:, ::-1],
        transOffset=axes.transData,
        facecolors=colours,
        edgecolors=np.asarray(layer.border_color[inside]),
        linewidths=1.2 * (np.asarray(layer.border_width)[inside] > 0),
        zorder=order,
        rasterized=int(inside.sum()) > _VECTOR_SPOTS,
    )
    axes.add_collection(spots)


def _draw_outlines(axes: Axes, layer: Shapes, window: Extent, order: int) -> None:
    from matplotlib.collections import PolyCollection

    closed = closed_shapes(layer)
    if not closed:
        return
    faces, edges = (
        np.array(colours[closed], dtype=float) for colours in (layer.face_color, layer.edge_color)
    )
    faces[:, 3] *= float(layer.opacity)
    edges[:, 3] *= float(layer.opacity)
    outlines = [outline[:, window.axes[::-1]] for outline in drawn_regions(layer)]
    axes.add_collection(
        PolyCollection(outlines, facecolors=faces, edgecolors=edges, linewidths=1.4, zorder=order)
    )
