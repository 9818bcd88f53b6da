"""What is on screen as a picture for paper: panes, a true scale bar, colour bars, and what is shown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from numpy.typing import NDArray

from histoscribe.arrays import Wide
from histoscribe.errors import SettingError
from histoscribe.files import replacing
from histoscribe.genes import symbol_of
from histoscribe.palette import INK, SOFT, scale_bar
from histoscribe.record import record_of
from histoscribe.widgets.layers.colours import BLEND, DIFFERENCE, UNITS, Limits, table_of
from histoscribe.widgets.layers.layers import UM, affine_of, known_section, section_of
from histoscribe.widgets.layers.maps import Map, class_palette, map_of, strip_of
from histoscribe.widgets.layers.painting import genes_on, paint, painted_layers, seen_layers, told_verdicts
from histoscribe.widgets.layers.regions import class_colours, closed_shapes, drawn_regions, is_region_layer
from histoscribe.widgets.layers.view_state import ViewState

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


KINDS = (".png", ".svg", ".pdf")
_STYLE: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 9.0, "text.parse_math": False}
_INCH = 100
_STRIP, _TITLE, _MARGIN, _NOTE, _LEGEND, _NAME = 0.52, 0.24, 0.12, 0.14, 0.2, 1.0
_LETTERS = 15  # an inch, of the notes beneath
_MOST_PIXELS = 60_000_000
_VECTOR_SPOTS = 20_000


@dataclass(frozen=True)
class Picture:
    """A drawn view."""

    figure: Figure
    um_per_inch: float
    """True scale of every pane; world units where the slide's µm per pixel are unknown."""
    left_out: tuple[str, ...]
    """Names of visible layers of kinds that are not drawn."""


def picture_of(viewer: ViewerModel, state: ViewState, *, dpi: int = 300) -> Picture:
    """Draw what the viewer shows now, on white: the same panes, camera, colours and limits.

    Raises `SettingError` if nothing is visible, the view is three-dimensional, or the picture would be too
    large.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panes = _panes(viewer)
    if viewer.dims.ndisplay != 2 or not any(panes.values()):
        raise SettingError("there is nothing to draw", remedy="show a slide or a section in two dimensions")
    rows, columns = (1 + max(place[axis] for place in panes) for axis in (0, 1))
    high, wide = (float(side) / _INCH for side in viewer.canvas.viewbox_size(viewer.layers))
    strips, classes = _strips(viewer, state), _classes(viewer)
    letters = int(_LETTERS * columns * wide)
    lines = [(line, colour) for words, colour in _notes(viewer) for line in wrap(words, letters)]
    in_a_row = max(1, int(columns * wide / _NAME))
    foot = _NOTE * len(lines) + _LEGEND * math.ceil(len(classes) / in_a_row)
    title = _TITLE if len(panes) > 1 else 0.0
    size = (
        columns * (wide + _MARGIN) + _MARGIN,
        rows * (high + title + _MARGIN) + _MARGIN + _STRIP * bool(strips) + foot,
    )
    if size[0] * size[1] * dpi**2 > _MOST_PIXELS:
        raise SettingError(f"a picture of {dpi} dpi would be too large", remedy="choose fewer dots per inch")
    um_per_inch = _INCH / float(viewer.scene.camera.zoom)
    window = _window(viewer, high * um_per_inch, wide * um_per_inch, um_per_inch / dpi)
    left_out: list[str] = []
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, facecolor="white", dpi=dpi)
        FigureCanvasAgg(figure)
        for (row, column), layers in panes.items():
            left = _MARGIN + column * (wide + _MARGIN)
            top = _MARGIN + row * (high + title + _MARGIN) + title
            box = (left / size[0], 1 - (top + high) / size[1], wide / size[0], high / size[1])
            axes = figure.add_axes(box, facecolor="white")
            left_out += [
                layer.name for place, layer in enumerate(layers) if not draw(axes, layer, window, place)
            ]
            _frame(axes, window, _title(layers) if title else "")
            left, height = window.left + 0.03 * window.width, window.top + 0.955 * window.height
            units = {str(unit) for layer in layers for unit in layer.units[-2:]}
            unit = "µm" if units <= {UM, "micrometer"} else "pixels"
            scale_bar(axes, left, height, window.width / 4, unit=unit, inside=True)
        for place, strip in enumerate(strips):
            _colour_bar(figure, strip, (place, len(strips)), foot, size)
        for place, (line, colour) in enumerate(reversed(lines)):
            height = (_MARGIN / 2 + _NOTE * place) / size[1]
            figure.text(_MARGIN / size[0], height, line, fontsize=7.5, color=colour, va="bottom")
        if classes:
            _legend(figure, classes, in_a_row, _MARGIN / 2 + _NOTE * len(lines), size)
    return Picture(figure, um_per_inch, tuple(left_out))


def save_picture(picture: Picture, path: Path) -> None:
    """Write a picture as PNG, SVG or PDF, which the ending chooses; `SettingError` if that is another one."""
    import matplotlib

    kind = path.suffix.lower()
    if kind not in KINDS:
        raise SettingError("pictures are PNG, SVG or PDF", where=path, remedy=f"end its name in {KINDS}")
    metadata = {"Software" if kind == ".png" else "Creator": "Histoscribe"}
    with replacing(path) as fresh, matplotlib.rc_context(_STYLE):
        picture.figure.savefig(fresh, format=kind[1:], dpi=picture.figure.dpi, metadata=metadata)


def _panes(viewer: ViewerModel) -> dict[tuple[int, int], list[Layer]]:
    """Row and column of each pane, and its visible layers from bottom to top."""
    grid = viewer.canvas.grid
    if not grid.enabled:
        return {(0, 0): [layer for layer in viewer.layers if layer.visible]}
    panes: dict[tuple[int, int], list[Layer]] = {}
    for index, layer in enumerate(viewer.layers):
        if layer.visible:
            panes.setdefault(grid.position(index, viewer.layers), []).append(layer)
    return panes


def _title(layers: list[Layer]) -> str:
    """The name of the uppermost layer of spots, else of the uppermost layer."""
    spots = [layer for layer in layers if section_of(layer) is not None]
    return str((spots or layers)[-1].name)


def _window(viewer: ViewerModel, height: float, width: float, fineness: float) -> Extent:
    row, column = (float(place) for place in viewer.scene.camera.center[-2:])
    down, right = (int(axis) - viewer.dims.ndim + 2 for axis in viewer.dims.order[-2:])
    return Extent(row - height / 2, column - width / 2, height, width, fineness, (down, right))


def _notes(viewer: ViewerModel) -> Iterator[tuple[str, str]]:
    """What is said beneath: whose each layer of spots is, what made it, how far to trust it, its rims."""
    for layer in painted_layers(viewer):
        if not layer.visible:
            continue
        section = known_section(layer)
        own = record_of(section.table)
        made = "measured" if own.measured else f"{own.kind} by {own.model_name or 'a model'}, not measured"
        if DIFFERENCE in layer.metadata:
            made = DIFFERENCE
        yield f"{section.name}, patient {section.patient or 'not stated'}: {made}.", INK
        yield from ((one.words, one.colour) for one in told_verdicts([section]))
        if (rims := int((np.asarray(layer.border_width) > 0).sum())) and layer.visible:
            yield f"{rims:,} chosen spots of {layer.name} have a rim.", INK


def _classes(viewer: ViewerModel) -> dict[str, Any]:
    """Visible classes of maps and regions and their colours, layers without classes by their own name."""
    known: dict[str, Any] = {}
    for _, one in _maps(viewer):
        known |= zip(one.classes, class_palette(len(one.classes))[:, :3].tolist(), strict=True)
    drawn = [layer for layer in viewer.layers if is_region_layer(layer) and layer.visible]
    found = [(name or layer.name, colour) for layer in drawn for name, colour in class_colours(layer).items()]
    return known | {name: tuple(part / 255 for part in colour) for name, colour in found}


def _maps(viewer: ViewerModel) -> list[tuple[Layer, Map]]:
    """The maps that are visible."""
    return [(layer, one) for layer in viewer.layers if layer.visible and (one := map_of(layer)) is not None]


def _legend(
    figure: Figure, classes: dict[str, Any], in_a_row: int, foot: float, size: tuple[float, float]
) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=(*colour, 0.3), edgecolor=colour, label=name) for name, colour in classes.items()
    ]
    figure.legend(
        handles=patches,
        loc="lower left",
        bbox_to_anchor=(_MARGIN / size[0], foot / size[1]),
        ncols=min(len(patches), in_a_row),
        fontsize=7.5,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
    )


def _frame(axes: Axes, window: Extent, title: str) -> None:
    axes.set(
        xlim=(window.left, window.left + window.width),
        ylim=(window.top + window.height, window.top),
        xticks=[],
        yticks=[],
    )
    axes.spines[:].set(color=SOFT, linewidth=0.6)
    axes.set_title(title, fontsize=9, color=INK, pad=3)


def _strips(viewer: ViewerModel, state: ViewState) -> list[tuple[str, Any, Limits]]:
    """Words, colours and limits of every colour scale in view, each once."""
    bounds = paint(viewer, state) if state.genes else {}
    found: dict[tuple[str, Any, Limits], list[str]] = {}
    for layer in seen_layers(viewer):
        shown = genes_on(layer, state)
        for place, gene in enumerate(shown):
            limits = bounds.get(layer.name, {}).get(gene)
            if limits is None:
                continue
            differs = DIFFERENCE in layer.metadata
            colours = DIFFERENCE if differs else place if len(shown) > 1 else state.colour_map
            words = f"{symbol_of(gene)}, {DIFFERENCE if differs else UNITS}"
            found.setdefault((words, colours, limits), []).append(layer.name)
    for layer, one in _maps(viewer):
        if not one.classes:
            found.setdefault((*strip_of(one)[:2], one.limits), []).append(layer.name)
    alike = [words for words, _, _ in found]
    return [
        (words if alike.count(words) == 1 else f"{words} ({', '.join(names)})", colours, limits)
        for (words, colours, limits), names in found.items()
    ]


def _colour_bar(
    figure: Figure,
    strip: tuple[str, Any, Limits],
    which: tuple[int, int],
    foot: float,
    size: tuple[float, float],
) -> None:
    """Draw the bar of one strip, the first of `which` of so many, above a foot of so many inches."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    words, colours, limits = strip
    place, count = which
    ink = isinstance(colours, int)
    table = np.linspace((1, 1, 1), BLEND[colours][:3], 256) if ink else table_of(colours)
    room = (size[0] - 2 * _MARGIN) / count
    wide = min(room - 2 * _MARGIN, 3.2)
    box = (
        (_MARGIN + place * room) / size[0],
        (_MARGIN + 0.2 + foot) / size[1],
        wide / size[0],
        0.11 / size[1],
    )
    mapped = ScalarMappable(Normalize(*limits), ListedColormap(table))
    bar = figure.colorbar(mapped, cax=figure.add_axes(box), orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, length=2, colors=INK)
    bar.ax.set_title(words, fontsize=8, color=INK, pad=2, loc="left")


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

    def shown(self, layer: Layer) -> Wide:
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
    colours = (layer.face_color, layer.edge_color)
    faces, edges = (np.asarray(one[closed], float) * (1, 1, 1, float(layer.opacity)) for one in colours)
    outlines = [outline[:, window.axes[::-1]] for outline in drawn_regions(layer)]
    axes.add_collection(
        PolyCollection(outlines, facecolors=faces, edgecolors=edges, linewidths=1.4, zorder=order)
    )
