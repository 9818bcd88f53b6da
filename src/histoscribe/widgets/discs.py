"""Spots drawn as plain discs in one pass: what napari's own markers draw, at a fraction of the cost.

napari prepares every property of every point at each change, and has each point drawn as an instance of its
own, which a computer without a graphics card does one by one. Spots are round, of one size and without a
border, so positions are uploaded once, and only colours at a change. Whatever is not like that (marked spots,
other symbols, spots larger than the card's largest point, 3D) is left to napari.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from vispy.gloo import VertexBuffer, gl
from vispy.visuals import Visual

from histoscribe.widgets.canvas import canvas_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Points

_OF_DRAWING = ("_on_data_change", "reset", "node", "layer")
_OF_MARKERS = ("draw", "antialias", "canvas_size_limits", "_filters")
_OF_TEXT = ("draw", "text")
_OF_LAYER = ("_view_data", "_view_size", "_view_face_color", "_slice_input")

_VERTEX = """
attribute vec2 a_position;
attribute vec4 a_colour;
uniform float u_size;
uniform float u_soft;
uniform vec2 u_half;
varying vec4 v_colour;
varying vec2 v_outside;

void main(void) {
    float side = u_size + 2.0 * u_soft;
    vec4 place = $framebuffer_to_render($visual_to_framebuffer(vec4(a_position, 0.0, 1.0)));
    vec2 inside = clamp(place.xy, -1.0, 1.0);
    v_outside = (place.xy - inside) * u_half;
    if (max(abs(v_outside.x), abs(v_outside.y)) < 0.5 * side)
        place.xy = inside;
    v_colour = a_colour;
    gl_Position = place;
    gl_PointSize = side;
}
"""

_FRAGMENT = """
uniform float u_size;
uniform float u_soft;
varying vec4 v_colour;
varying vec2 v_outside;

void main(void) {
    vec2 from_middle = (gl_PointCoord - 0.5) * vec2(1.0, -1.0) * (u_size + 2.0 * u_soft) - v_outside;
    float beyond = length(from_middle) - 0.5 * u_size;
    if (beyond > u_soft)
        discard;
    float inside = u_soft > 0.0 ? max(1.0 + beyond / u_soft, 0.0) : 0.0;
    gl_FragColor = vec4(v_colour.rgb, v_colour.a * exp(-inside * inside));
}
"""


class Discs(Visual):
    """Discs of one size, each with its colour and a soft rim as napari draws it."""

    def __init__(self) -> None:
        super().__init__(_VERTEX, _FRAGMENT)
        self.unfreeze()
        self.size = 1.0
        self._positions, self._colours = VertexBuffer(), VertexBuffer()
        self._largest: float | None = None
        self._draw_mode = "points"
        self.freeze()

    def place(self, centres: np.ndarray) -> None:
        """Upload centres, shape (spots, 2), as (x, y)."""
        self._positions.set_data(np.ascontiguousarray(centres, dtype=np.float32))
        self.shared_program["a_position"] = self._positions

    def paint(self, colours: np.ndarray) -> None:
        """Upload colours, shape (spots, 4), RGBA in 0 to 1."""
        self._colours.set_data(np.ascontiguousarray(colours, dtype=np.float32))
        self.shared_program["a_colour"] = self._colours

    def fit(self, limits: tuple[float, float], soft: float) -> bool:
        """Take the size on the screen from the transforms of now; False where a point cannot be that large.

        Parameters
        ----------
        limits : (float, float)
            Least and greatest diameter in pixels.
        soft : float
            Width of the soft rim in pixels.
        """
        corners = self.get_transform("visual", "framebuffer").map(np.eye(3)[:, :2])
        corners = corners[:, :2] / corners[:, 3:]
        along_x = np.linalg.solve((corners[:2] - corners[2]).T, (1.0, 0.0))
        pixels = float(np.clip(self.size / np.linalg.norm(along_x), *limits))
        if self._largest is None:
            self._largest = float(np.max(gl.glGetParameter(gl.GL_ALIASED_POINT_SIZE_RANGE)))
        ends = self.get_transform("framebuffer", "render").map(np.eye(3)[:, :2])
        self.shared_program["u_half"] = 1 / np.abs(ends[:2] - ends[2]).max(axis=0)[:2]
        self.shared_program["u_size"], self.shared_program["u_soft"] = pixels, soft
        return pixels + 2 * soft <= self._largest

    def draw(self) -> None:
        """Nothing where napari's compound draws its parts in turn: `draw_now` comes in the markers' turn."""

    def draw_now(self) -> None:
        """Draw, with the transforms, filters and blending that the compound keeps for its parts."""
        super().draw()

    def _prepare_transforms(self, view: Any) -> None:
        for name in ("visual_to_framebuffer", "framebuffer_to_render"):
            start, end = name.split("_to_")
            view.view_program.vert[name] = view.get_transform(start, end)


class DiscDrawing:
    """Stands between a layer of spots and napari's drawing of it.

    Parameters
    ----------
    drawn : VispyPointsLayer
        napari's drawing of the layer. Three of its calls are taken over: the one that follows the layer's
        data, and those that draw the markers and the text.
    """

    def __init__(self, drawn: Any) -> None:
        self._drawn = drawn
        self._markers = drawn.node.points_markers
        self._discs = Discs()
        drawn.node.add_subvisual(self._discs)
        for kept in self._markers._filters:
            self._discs.attach(kept, self._discs)
        self._text = drawn.node.text
        self._follow, self._draw, self._write = drawn._on_data_change, self._markers.draw, self._text.draw
        self._placed = np.empty((0, 2))
        self._plain = self._behind = False
        drawn._on_data_change, self._markers.draw, self._text.draw = self.follow, self.draw, self.write
        self.follow()

    def follow(self) -> None:
        """Upload what has changed; leave the rest to napari where these are no plain discs."""
        layer = self._drawn.layer
        self._plain = are_plain(layer)
        if not self._plain:
            self._behind = False
            self._follow()
            return
        self._behind = True
        centres = layer._view_data[:, ::-1]
        if not np.array_equal(centres, self._placed):
            self._placed = centres
            self._discs.place(centres)
        self._discs.size = float(layer._view_size[0] * abs(layer.scale[-1]))
        self._discs.paint(layer._view_face_color)
        self._drawn.reset()

    def draw(self) -> None:
        """Draw the discs; where they are too large for that, let napari catch up and draw."""
        if self._plain and self._draw_discs():
            return
        if self._behind:
            self._behind = False
            self._follow()
        self._draw()

    def write(self) -> None:
        """Draw the text where there is any: napari prepares a program for an empty one too."""
        if any(np.atleast_1d(self._text.text)):
            self._write()

    def _draw_discs(self) -> bool:
        fits = self._discs.fit(self._markers.canvas_size_limits, self._markers.antialias)
        if fits:
            self._discs.draw_now()
        return fits


def are_plain(layer: Points) -> bool:
    """Whether every point of a layer is a disc of the same size without border or shading, in 2D."""
    sizes = layer._view_size
    return (
        len(sizes) > 0
        and layer._slice_input.ndisplay == 2
        and layer.shading == "none"
        and not layer.border_width.any()
        and bool(np.all(sizes == sizes[0]))
        and _all_discs(layer.symbol.tolist())
    )


def draw_as_discs(viewer: ViewerModel, layer: Points) -> None:
    """Have a layer of spots drawn as discs from now on.

    Without a window, or where another napari lacks what is used of it here, nothing changes.
    """
    drawn = getattr(canvas_of(viewer), "layer_to_visual", {}).get(layer)
    node = getattr(drawn, "node", None)
    used = {"points_markers": _OF_MARKERS, "text": _OF_TEXT}
    parts = [(drawn, _OF_DRAWING), (layer, _OF_LAYER)]
    parts += [(getattr(node, part, None), names) for part, names in used.items()]
    if not all(hasattr(part, name) for part, names in parts for name in names):
        return
    if not isinstance(getattr(drawn._on_data_change, "__self__", None), DiscDrawing):
        DiscDrawing(drawn)


def _all_discs(symbols: list[Any]) -> bool:
    return symbols.count(type(symbols[0])("disc")) == len(symbols)
