"""The Quality panel: pen, blur, folds and bubbles as a layer, and the spots that they spoil."""

from __future__ import annotations

from collections.abc import Generator

import napari
import numpy as np
from napari.layers import Layer
from napari.utils import CyclicLabelColormap
from numpy.typing import NDArray

from histoscribe.errors import SectionError
from histoscribe.progress import Progress
from histoscribe.record import record_of
from histoscribe.section import Section
from histoscribe.section.outliers import MOST_AWAY, outlying_spots
from histoscribe.slide import Slide
from histoscribe.slide.quality.artefacts import CELL_UM, CLASSES, PEN, SlideQuality, slide_quality
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.layers import DERIVED, UM, lying_under, placed_like, section_of
from histoscribe.widgets.parts.fields import LayerField
from histoscribe.widgets.parts.panel import Panel, Words

QUALITY = "quality"
"""The column of `obs` that says of each spot `tissue`, `glass`, an artefact or `outlier`."""
INKS = {"pen": "#600000", "blur": "#80bfff", "fold": "#4020ff", "bubble": "#606000"}
"""Colours of the classes. They lie on spots: none is in a colour map of genes, and all are far from H&E."""
OPACITY = 0.7
_SQUARE = "<span style='color: {}'>■</span>&nbsp;{}&nbsp;({:.1%})"

Asked = tuple["Layer", "Slide", "Section | None"]
Told = tuple["SlideQuality", "NDArray[np.str_] | None"]


class QualityPanel(Panel):
    """Looks for what is no clean tissue."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        meaning = "The slide, or the spots and their slide, that are looked at"
        self.tissue = self.add(LayerField("tissue", self.viewer, _has_slide, "Tissue", meaning))
        meaning = "Find pen, blur, folds and bubbles, and spots unlike their neighbours"
        undo = "Take the layer away"
        self.add_run("Look for artefacts", meaning, ready=lambda: self.tissue.value is not None, undo=undo)
        self.words = self.add(Words())
        self.finish()

    def start(self) -> None:
        """Look at the slide."""
        self.launch(self._asked, _looked, self._show)

    def forget(self) -> None:
        """Drop what was said."""
        self.words.setText("")

    def _asked(self) -> Asked:
        layer, slide = self.tissue.value, lying_under(self.tissue.value)
        if slide is None:
            raise SectionError("there is no slide", remedy="open a slide, or a section with one")
        return layer, slide, section_of(layer)

    def _show(self, asked: Asked, told: Told) -> Generator[None, None, None]:
        (layer, slide, section), (found, spots) = asked, told
        colours = ["transparent", *(INKS[name] for name in CLASSES[PEN:])]
        described = {
            "name": f"{slide.name} quality",
            "scale": (CELL_UM, CELL_UM),
            "translate": (CELL_UM / 2,) * 2,
            "units": (UM, UM),
            "colormap": CyclicLabelColormap(colors=colours),
            "opacity": OPACITY,
            "metadata": {DERIVED: QUALITY},
        }
        shown = np.where(found.classes >= PEN, found.classes - PEN + 1, 0).astype(np.uint16)
        yield from self.show_layer(placed_like((shown, described, "labels"), layer))
        shares = found.shares
        squares = (_SQUARE.format(ink, name, shares[name]) for name, ink in INKS.items())
        said = ["  ".join(squares) + " of the tissue."]
        if section is not None and spots is not None:
            section.table.obs[QUALITY] = spots
            kinds, numbers = np.unique(spots, return_counts=True)
            counted = ", ".join(f"{number:,} {kind}" for kind, number in zip(kinds, numbers, strict=True))
            said.append(f"Of {len(spots):,} spots: {counted}. Kept in the column {QUALITY}.")
        self.words.setText("<br>".join(said))


def _has_slide(layer: Layer) -> bool:
    return DERIVED not in layer.metadata and lying_under(layer) is not None


def _looked(asked: Asked, progress: Progress) -> Told:
    progress.report("loading libraries")
    load_libraries("skimage.filters", "scipy.ndimage", "torch")

    _, slide, section = asked
    found = slide_quality(slide, progress=progress)
    if section is None:
        return found, None
    spots = np.array(CLASSES, dtype="<U8")[found.at(section.centres)]
    if record_of(section.table).measured:
        spots[(spots == "tissue") & (outlying_spots(section) > MOST_AWAY)] = "outlier"
    return found, spots
