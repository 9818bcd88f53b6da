"""Spots drawn as discs in one pass: what napari's own markers draw, at a fraction of the cost.

napari prepares every property of every point at each change, and has each point drawn as an instance of its
own, which a computer without a graphics card does one by one. Spots are round and of one size, so positions
are uploaded once, and only colours at a change. Whatever is not like that (other symbols, spots larger than
the card's largest point, 3D) is left to napari.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Points
from vispy.gloo import VertexBuffer, gl
from vispy.visuals import Visual

from histoscribe.widgets.napari_private.probe import Use, may, reach
from histoscribe.widgets.napari_private.window import canvas_of

_OF_DRAWING = ("_on_data_change()", "reset()", "node", "layer")
_OF_NODE = {
    "points_markers": ("draw()", "antialias", "canvas_size_limits", "_filters"),
    "text": ("draw()", "text"),
}
_OF_LAYER = ("_view_data", "_view_size", "_view_face_color", "_view_border_color", "_slice_input")

_VERTEX = """
attribute vec2 a_position;
attribute vec4 a_colour;
attribute float a_rim;
attribute vec4 a_rim_colour;
uniform float u_size;
uniform float u_soft;
uniform vec2 u_half;
varying vec4 v_colour;
varying vec4 v_rim_colour;
varying float v_rim;
varying float v_side;
varying vec2 v_outside;

void main(void) {
    v_rim = a_rim * u_size;
    v_side = u_size + v_rim + 2.0 * u_soft;
    v_colour = a_colour;
    v_rim_colour = vec4(a_rim_colour.rgb, a_rim_colour.a * min(v_rim, 1.0));
    vec4 place = $framebuffer_to_render($visual_to_framebuffer(vec4(a_position, 0.0, 1.0)));
    // A point whose middle is off the canvas is not drawn at all: it is moved to the edge, its disc is not.
    vec2 inside = clamp(place.xy, -1.0, 1.0);
    v_outside = (place.xy - inside) * u_half;
    if (max(abs(v_outside.x), abs(v_outside.y)) < 0.5 * v_side)
        place.xy = inside;
    gl_Position = place;
    gl_PointSize = v_side;
}
"""

_FRAGMENT = """
uniform float u_size;
uniform float u_soft;
varying vec4 v_colour;
varying vec4 v_rim_colour;
varying float v_rim;
varying float v_side;
varying vec2 v_outside;

float fading(float pixels) {
    return u_soft > 0.0 ? exp(-pixels * pixels / (u_soft * u_soft)) : 0.0;
}

void main(void) {
    vec2 from_middle = (gl_PointCoord - 0.5) * vec2(1.0, -1.0) * v_side - v_outside;
    float beyond = length(from_middle) - 0.5 * u_size;
    if (beyond > 0.5 * v_rim + u_soft)
        discard;
    if (v_rim == 0.0) {
        float share = beyond > -u_soft ? fading(beyond + u_soft) : 1.0;
        gl_FragColor = vec4(v_colour.rgb, v_colour.a * share);
    } else {
        float off = abs(beyond) - max(0.5 * v_rim - u_soft, 0.0);
        float share = off < 0.0 ? 1.0 : fading(off);
        vec4 outwards = vec4(v_rim_colour.rgb, v_rim_colour.a * share);
        gl_FragColor = beyond > 0.0 ? outwards : mix(v_colour, v_rim_colour, share);
    }
}
"""


class Discs(Visual):
    """Discs of one size, each with its colour, its rim, and a soft edge as napari draws it."""

    def __init__(self) -> None:
        super().__init__(_VERTEX, _FRAGMENT)
        self.unfreeze()
        self.size = 1.0
        self._buffers: dict[str, VertexBuffer] = {}
        self._widest = 0.0
        self._largest: float | None = None
        self._draw_mode = "points"
        self.freeze()

    def place(self, centres: np.ndarray) -> None:
        """Upload centres, shape (spots, 2), as (x, y)."""
        self._upload("a_position", centres)

    def paint(self, colours: np.ndarray) -> None:
        """Upload colours, shape (spots, 4), RGBA in 0 to 1."""
        self._upload("a_colour", colours)

    def rim(self, widths: np.ndarray, colours: np.ndarray) -> None:
        """Upload widths of rims, shape (spots,), as shares of the diameter, and their colours."""
        self._widest = float(widths.max())
        self._upload("a_rim", widths)
        self._upload("a_rim_colour", colours)

    def fit(self, limits: tuple[float, float], soft: float) -> bool:
        """Take the size on the screen from the transforms of now; False where a point cannot be that large.

        `limits` are the least and greatest diameter, `soft` the width of the soft rim, in pixels.
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
        return pixels * (1 + self._widest) + 2 * soft <= self._largest

    def draw(self) -> None:
        """Nothing where napari's compound draws its parts in turn: `draw_now` comes in the markers' turn."""

    def draw_now(self) -> None:
        """Draw, with the transforms, filters and blending that the compound keeps for its parts."""
        super().draw()

    def _upload(self, name: str, values: np.ndarray) -> None:
        buffer = self._buffers.setdefault(name, VertexBuffer())
        buffer.set_data(np.ascontiguousarray(values, dtype=np.float32))
        self.shared_program[name] = buffer

    def _prepare_transforms(self, view: Any) -> None:
        for name in ("visual_to_framebuffer", "framebuffer_to_render"):
            start, end = name.split("_to_")
            view.view_program.vert[name] = view.get_transform(start, end)


class DiscDrawing:
    """Stands between a layer of spots and napari's drawing of it, three of whose calls are taken over."""

    def __init__(self, drawn: Any) -> None:
        self._drawn = drawn
        self._markers = drawn.node.points_markers
        self._discs = Discs()
        drawn.node.add_subvisual(self._discs)
        for kept in self._markers._filters:
            self._discs.attach(kept, self._discs)
        self._text = drawn.node.text
        self._follow, self._draw, self._write = drawn._on_data_change, self._markers.draw, self._text.draw
        self._placed, self._rims = np.empty((0, 2)), (np.empty(0), np.empty((0, 4)))
        self._plain = self._behind = False
        drawn._on_data_change, self._markers.draw, self._text.draw = self.follow, self.draw, self.write
        self.follow()

    def follow(self) -> None:
        """Upload what has changed; leave all to napari where these are no such discs."""
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
        rims = layer._view_border_width, layer._view_border_color
        if not all(map(np.array_equal, rims, self._rims)):
            self._rims = rims
            self._discs.rim(*rims)
        self._discs.size = float(layer._view_size[0] * abs(layer.scale[-1]))
        self._discs.paint(layer._view_face_color)
        self._drawn.reset()

    def draw(self) -> None:
        """Draw the discs; where they are too large for that, let napari catch up and draw."""
        if self._plain and self._discs.fit(self._markers.canvas_size_limits, self._markers.antialias):
            self._discs.draw_now()
            return
        if self._behind:
            self._behind = False
            self._follow()
        self._draw()

    def write(self) -> None:
        """Draw the text where there is any: napari prepares a program for an empty one too."""
        if any(np.atleast_1d(self._text.text)):
            self._write()


def are_plain(layer: Points) -> bool:
    """Whether every point of a layer is a disc of the same size without shading, in 2D."""
    sizes, symbols = layer._view_size, layer.symbol.tolist()
    return (
        len(sizes) > 0
        and layer._slice_input.ndisplay == 2
        and layer.shading == "none"
        and (layer.border_width_is_relative or not layer.border_width.any())
        and bool(np.all(sizes == sizes[0]))
        and symbols.count(type(symbols[0])("disc")) == len(symbols)
    )


def draw_as_discs(viewer: ViewerModel, layer: Points) -> None:
    """Have a layer of spots drawn as discs from now on; by napari where that is not possible or wished."""
    drawn = getattr(canvas_of(viewer), "layer_to_visual", {}).get(layer)
    if drawn is None or isinstance(reach(drawn, "_on_data_change.__self__"), DiscDrawing):
        return
    of_node = [(reach(drawn, f"node.{part}"), names) for part, names in _OF_NODE.items()]
    if may(Use.DISCS, (drawn, _OF_DRAWING), (reach(drawn, "layer"), _OF_LAYER), *of_node):
        DiscDrawing(drawn)
