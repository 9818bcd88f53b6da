"""The Align panel: one tissue laid on another, by itself, by pairs of clicks or by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import napari
import numpy as np
import pandas as pd
from magicgui.widgets import PushButton
from napari.layers import Layer, Points

from histoscribe.arrays import Wide
from histoscribe.errors import SectionError, SettingError
from histoscribe.progress import Progress
from histoscribe.record import AlignedTo, amend_record, record_of
from histoscribe.section import Registration, Section, align, align_by_landmarks, keep_alignment, lay_on
from histoscribe.section.registration.transform import FEWEST, about, through
from histoscribe.slide import Slide
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.colours import colours_of
from histoscribe.widgets.layers.layers import (
    DERIVED,
    UM,
    has_own_spots,
    lying_under,
    moved,
    placed_like,
    section_of,
    slide_of,
    tissue_of,
)
from histoscribe.widgets.layers.making import Recipe, made
from histoscribe.widgets.layers.opened import shown_spots
from histoscribe.widgets.layers.rescaling import Places, lay_tissue, lies_on, put_back, sections_on
from histoscribe.widgets.layers.strips import show_scale
from histoscribe.widgets.parts.dialogs import telling
from histoscribe.widgets.parts.fields import LayerField, number_field, words_field
from histoscribe.widgets.parts.panel import Panel, Words, beside
from histoscribe.widgets.parts.tables import TableModel, table_view

_MAP, _MARKS = "residual of the alignment", "landmarks"
_SIDES = ("#E69F00", "#56B4E9")  # of Okabe and Ito: on the moving, on the fixed tissue
_QUICK: tuple[tuple[str, str, float, bool], ...] = (
    ("⟲", "A quarter turn to the left", 90, False),
    ("⟳", "A quarter turn to the right", -90, False),
    ("↔", "Exchange left and right", 0, True),
    ("↕", "Exchange top and bottom", 180, True),
)
_BY_NUMBERS = (
    ("down", 0, -1e5, 1e5, "µm", "Down by so much"),
    ("right", 0, -1e5, 1e5, "µm", "To the right by so much"),
    ("turn", 0, -180, 180, "°", "To the left about the middle of the tissue"),
    ("scale", 100, 50, 200, "%", "About the middle of the tissue"),
)
_NOWHERE = np.empty((0, 2))


class AlignPanel(Panel):
    """Lays the tissue of one layer on that of another; all that shows it, or is drawn on it, goes along."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.pairs: list[list[Wide]] = []
        """For each pair its place in µm of the moving and, once clicked, of the fixed tissue."""
        self.numbers: list[Any] = []
        """The fields down, right, turn and scale."""
        self._before: tuple[Places, list[tuple[Section, AlignedTo | None]]] = ([], [])
        self._places: Registration | None = None
        self._laid: tuple[Layer, ...] = ()
        meaning = "The tissue that is moved, with all that lies on it"
        self.moving = self.add(LayerField("moving", self.viewer, _shows_tissue, "Move", meaning))
        meaning = "The tissue that stays: another image of the same section, or a neighbouring section"
        self.fixed = self.add(LayerField("fixed", self.viewer, _shows_tissue, "Onto", meaning))
        meaning = "Every turn and both faces by outline, then by structure; refused where these do not agree"
        self.add_run("Align", meaning, ready=self._ready, undo="Lay the tissue where it lay before")
        self.words = self.add(Words())
        with self.group("By landmarks"):
            meaning = "Click a place on the tissue that moves, then the same place on the other; and again"
            self.click_button = self.toggle("Set pairs", meaning, self.refresh, enabled=self._ready)
            meaning = "Remove the chosen pair"
            drop = self.button("Remove", meaning, self.drop, enabled=lambda: bool(self.pairs))
            self.add(beside(self.click_button, drop))
            meaning = "rigid: turn, mirror, shift; similarity: scale too; affine: shear too"
            self.freedom = self.add(words_field("freedom", FEWEST, "Allow", meaning))
            meaning = "Lay the tissue so that the pairs come together"
            self.pairs_button = self.button("Align by pairs", meaning, self.by_pairs, enabled=self._enough)
            self.add(self.pairs_button)
            self.table = TableModel()
            self.view = self.add(table_view(self.table, "How far each pair is from where the others put it"))
            self.view.setFixedHeight(110)
        with self.group("By hand"):
            quick = [
                self.button(sign, meaning, partial(self.nudge, by, mirror=mirror), enabled=self._ready)
                for sign, meaning, by, mirror in _QUICK
            ]
            self.add(beside(*quick, wide=-1))
            for name, value, low, high, unit, meaning in _BY_NUMBERS:
                box = number_field(name, value, low, high, unit, label=name.title(), tooltip=meaning)
                self.numbers.append(self.add(box))
            self.move_button = PushButton(text="Move", tooltip="Move the tissue by these numbers")
            self.add(self.move_button, enabled=self._ready)
        meaning = "Show how far structure, or pairs, still lie apart at each place, in colours"
        self.map_button = self.button(
            "Map of what is left", meaning, self.show_map, enabled=lambda: self._left is not None
        )
        meaning = "A new layer of the spots on that slide: predictions and exports take it"
        self.lay_button = self.button("Lay spots on this slide", meaning, self.lay, enabled=self._can_lay)
        self.add(self.map_button)
        self.add(self.lay_button)
        self.move_button.changed.connect(self.move)
        self.hear_clicks(self._on_click)
        for field in (self.moving, self.fixed):
            field.changed.connect(self._forget_pairs)
        self.finish()

    @property
    def undoable(self) -> bool:
        """Whether a tissue was moved, or spots were laid on a slide."""
        return bool(self._before[0]) or super().undoable

    def forget(self) -> None:
        """Lay the tissue where it lay, with the alignment that was kept before."""
        put_back(self._before[0])
        for section, kept in self._before[1]:
            amend_record(section.table, aligned=kept)
        self._before, self._places = ([], []), None
        self.words.setText("")
        self._drop_layer(_MAP)
        self._mark()

    def refresh(self, *_: object) -> None:
        """Ask every rule again; the scale of the map goes with the map."""
        super().refresh()
        there = [layer for layer in self.viewer.layers if layer.name == _MAP and layer.visible]
        strips = [("what is left, µm", "viridis", tuple(one.metadata["limits"])) for one in there[:1]]
        show_scale(self.viewer, strips, _MAP)

    def kept(self) -> dict[str, Any]:
        """What a session keeps: the pairs."""
        return {"pairs": [[place.tolist() for place in pair] for pair in self.pairs]}

    def take_back(self, kept: dict[str, Any]) -> None:
        """Set the pairs of a session again."""
        self.pairs = [[np.asarray(place, dtype=float) for place in pair] for pair in kept.get("pairs", [])]
        self._mark()

    def start(self) -> None:
        """Look for the alignment by itself."""
        self.launch(self._slides, _found, lambda _, found: self.apply(found))

    def apply(self, found: Registration) -> None:
        """Lay the tissue as was found, and keep it with its sections."""
        moving, fixed = self.moving.value, self.fixed.value
        name = tissue_of(fixed).name
        sections = sections_on(self.viewer, moving)
        records = [(one, record_of(one.table).aligned) for one in sections]
        self._before = lay_tissue(self.viewer, moving, fixed, found.affine), records
        for section in sections:
            keep_alignment(section, name, found)
        self._places, self._laid = found if len(found.places) else None, (moving, fixed)
        said = [f"{tissue_of(moving).name} lies on {name}, {found.method}."]
        if found.residual_um is not None:
            said.append(f"Median of what is left: {found.residual_um:.1f} µm at {len(found.places)} places.")
        if found.agreeing is not None:
            said.append(
                f"{found.overlap:.0%} of the tissue overlaps; {found.agreeing:.0%} of its structure agrees."
            )
        self.words.setText(" ".join(said))
        self._drop_layer(_MAP)
        self._mark()

    def by_pairs(self) -> None:
        """Lay the tissue so that the pairs come together."""
        with telling():
            self.apply(self._by_pairs())

    def move(self, *_: object) -> None:
        """Shift, turn and scale by the fields."""
        down, right, turn, scale = (field.value for field in self.numbers)
        self.nudge(turn, scale=scale / 100, shift=(down, right))

    def nudge(self, angle: float, **more: Any) -> None:
        """Turn (degrees, to the left) about the middle of the tissue; `more`: as `about` takes it."""
        moving, fixed = self.moving.value, self.fixed.value
        middle = through(np.linalg.inv(moved(fixed)), [moving.extent.world[:, -2:].mean(axis=0)])[0]
        lies = about(middle, angle, **more) @ lies_on(moving, fixed)
        self.apply(Registration(lies, "by hand", _NOWHERE, _NOWHERE))

    def drop(self) -> None:
        """Remove the chosen pair, else the last."""
        row = self.view.currentIndex().row()
        del self.pairs[row if 0 <= row < len(self.pairs) else -1]
        self._mark()

    def show_map(self) -> None:
        """Show what is left at each place, as points in colours."""
        assert self._left is not None
        found, lies = self._left, moved(self.fixed.value)
        left = np.hypot(*found.residuals.T)
        limits = (0.0, max(1.0, float(np.percentile(left, 95))))
        apart = np.sqrt(np.ptp(found.places, axis=0).prod() / len(left))
        self._drop_layer(_MAP)
        layer = self.viewer.add_points(
            through(lies, found.places),
            name=_MAP,
            size=max(20.0, float(apart) * 0.6),
            border_width=0,
            face_color=colours_of(left, limits, "viridis"),
            features={"µm": left.round(1)},
            units=(UM, UM),
            metadata={DERIVED: _MAP, "limits": limits},
        )
        self.hear(layer.events.visible, self.refresh)
        self.refresh()

    def lay(self) -> None:
        """Add the spots in the pixels of the slide below."""
        with telling():
            section, slide = section_of(self.moving.value), slide_of(self.fixed.value)
            if section is None or slide is None:
                raise SectionError("there are no spots", remedy="choose spots to move, and a slide")
            lies = lies_on(self.moving.value, self.fixed.value)
            found = self._left or Registration(lies, "by hand", _NOWHERE, _NOWHERE)
            laid = lay_on(section, slide, found)
            if found.method == "automatic":  # what was laid by hand is kept as a table
                made(self.viewer, laid, Recipe("align", {"source": section, "fixed": slide}))
            described = placed_like(shown_spots(laid), self.fixed.value)
            described[1]["name"] += f" on {slide.name}"
            for _ in self.show_layer(described):
                pass
        self.refresh()

    @property
    def _left(self) -> Registration | None:
        """What was found of the two layers that are chosen now, and checked at places."""
        return self._places if self._laid == (self.moving.value, self.fixed.value) else None

    def _slides(self) -> tuple[Slide, Slide]:
        found = []
        for layer in (self.moving.value, self.fixed.value):
            slide = lying_under(layer)
            if slide is None:
                remedy = "set pairs of landmarks"
                raise SectionError("this section has no image", where=layer.name, remedy=remedy)
            found.append(slide)
        return found[0], found[1]

    def _by_pairs(self) -> Registration:
        whole = [pair for pair in self.pairs if len(pair) == 2]
        if not whole:
            raise SettingError("no pair is set", remedy="press Set pairs and click on both tissues")
        sides = np.array(whole)
        return align_by_landmarks(sides[:, 0], sides[:, 1], freedom=self.freedom.value)

    def _on_click(self, place: Wide) -> None:
        if self.click_button.isChecked() and self._ready():
            self.set_place(place[-2:])

    def set_place(self, world: Wide) -> None:
        """Set the next place at (row, column) of the world: on the moving tissue, then on the fixed one."""
        open_pair = bool(self.pairs) and len(self.pairs[-1]) == 1
        layer = self.fixed.value if open_pair else self.moving.value
        low, high = layer.extent.world[:, -2:]
        with telling():
            if not ((low <= world) & (world <= high)).all():
                raise SettingError(f"this is not on {layer.name}", remedy=f"click the place on {layer.name}")
            place = through(np.linalg.inv(moved(layer)), [world])[0]
            if open_pair:
                self.pairs[-1].append(place)
            else:
                self.pairs.append([place])
            self._mark()

    def _mark(self) -> None:
        """Show the pairs in the canvas, and in the table what each leaves."""
        self._drop_layer(_MARKS)
        shown = [
            (through(moved(layer), [pair[side]])[0], number, _SIDES[side])
            for number, pair in enumerate(self.pairs, 1)
            for side, layer in enumerate((self.moving.value, self.fixed.value))
            if side < len(pair) and layer is not None
        ]
        left: list[float] = []
        if self._enough():
            with telling():
                left = np.hypot(*self._by_pairs().residuals.T).tolist()
        if shown:
            places, numbers, colours = (list(one) for one in zip(*shown, strict=True))
            size = 0.02 * float(np.ptp(self.fixed.value.extent.world[:, -2:], axis=0).max())
            layer: Points = self.viewer.add_points(
                np.array(places),
                name=_MARKS,
                size=size,
                symbol="cross",
                face_color=colours,
                border_width=0,
                features={"pair": numbers},
                units=(UM, UM),
                metadata={DERIVED: _MARKS},
                text={"string": "{pair}", "color": "black", "translation": (size, 0)},
            )
            layer.editable = False
        rows = [left[row] if row < len(left) else float("nan") for row in range(len(self.pairs))]
        index = pd.Index(np.arange(1, len(rows) + 1).astype(str), name="pair")
        self.table.show_frame(pd.DataFrame({"left": rows}, index=index), {"left": "what is left, µm"})
        self.refresh()

    def _drop_layer(self, name: str) -> None:
        for layer in [one for one in self.viewer.layers if one.name == name and DERIVED in one.metadata]:
            self.viewer.layers.remove(layer)

    def _forget_pairs(self, *_: object) -> None:
        if self.pairs:
            self.pairs = []
            self._mark()

    def _ready(self) -> bool:
        moving, fixed = self.moving.value, self.fixed.value
        return moving is not None and fixed is not None and moving is not fixed and self.free

    def _enough(self) -> bool:
        whole = sum(len(pair) == 2 for pair in self.pairs)
        return self._ready() and whole >= FEWEST[self.freedom.value]

    def _can_lay(self) -> bool:
        known = section_of(self.moving.value) is not None and slide_of(self.fixed.value) is not None
        return known and self._ready()


def _shows_tissue(layer: Layer) -> bool:
    return DERIVED not in layer.metadata and (has_own_spots(layer) or slide_of(layer) is not None)


def _found(slides: tuple[Slide, Slide], progress: Progress) -> Registration:
    progress.report("loading libraries")
    load_libraries("skimage.filters", "scipy.fft")
    return align(*slides, progress=progress)
