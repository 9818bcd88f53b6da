"""What the Generate panel chooses from: parents with or without a drawn region, and generators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QVBoxLayout, QWidget

from histoscribe.errors import HistoscribeError, SettingError
from histoscribe.widgets.layers.regions import drawn_regions
from histoscribe.widgets.panels.generate.generation import Parent
from histoscribe.widgets.panels.impute.choosers import SourceChooser
from histoscribe.widgets.parts.choosers import ModelChooser, RegionChooser

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from histoscribe.models import Card
    from histoscribe.widgets.panels.impute.imputation import Source

DEFAULT = "generator-tcga11"


class ParentChooser(QWidget):
    """A layer of spots or a table, whole or inside drawn regions."""

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.source = SourceChooser(viewer)
        self.inside = QCheckBox("Only spots in a drawn region")
        self.region = RegionChooser(viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.source, self.inside, self.region):
            layout.addWidget(widget)
        self.source.changed.connect(self._show_what_applies)
        self.inside.toggled.connect(self._show_what_applies)
        self._show_what_applies()

    def refill(self) -> None:
        """Offer the layers of now."""
        self.source.refill()
        self.region.refill()
        self._show_what_applies()

    def parent_of(self, role: str) -> Parent:
        """The choice.

        Raises
        ------
        HistoscribeError
            If nothing is chosen, or no region is drawn though one was asked for.
        """
        source = self.source.source
        if source is None:
            raise SettingError(f"there is no {role}", remedy="open a section or a table of samples first")
        if not hasattr(source, "slide") or not self.inside.isChecked():
            return Parent(source)
        shapes = self.region.combo.layer
        if shapes is None:
            raise SettingError(
                f"no region is drawn for the {role}", remedy="press Draw and outline the spots"
            )
        return Parent(source, tuple(drawn_regions(shapes, source.mpp, self.region.name)))

    def _show_what_applies(self, *_: object) -> None:
        is_section = hasattr(self.source.source, "slide")
        self.inside.setVisible(is_section)
        self.region.setVisible(is_section and self.inside.isChecked())
        self.changed.emit()


class GeneratorChooser(ModelChooser):
    """A generator's folder, the bundled one first; says what it knows."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        from histoscribe.models import bundled, bundled_names

        recent = [self.combo.itemText(place) for place in range(self.combo.count())]
        self.combo.clear()
        ready = [str(bundled(name)) for name in bundled_names() if name.startswith("generator")]
        self.combo.addItems([*ready, *(path for path in recent if self._card_of(Path(path)))])
        self.combo.editTextChanged.connect(self.changed)

    @property
    def card(self) -> Card | None:
        """The card of the chosen generator, None where there is none."""
        return self._card_of(self.folder)

    @staticmethod
    def _card_of(folder: Path) -> Card | None:
        from histoscribe.models import read_card

        try:
            card = read_card(folder)
        except HistoscribeError:
            return None
        return card if card.kind == "generator" else None


def what_is_lacking(card: Card | None, source: Source | None, restored: bool) -> str:
    """Plain words where a primary lacks too many of a model's genes; empty where it has enough."""
    from histoscribe.generator.parents import MOST_MISSING
    from histoscribe.genes import match_genes

    if card is None or source is None:
        return ""
    names = [str(name) for name in source.table.var_names]
    there = len(match_genes(card.genes, names, card.settings.get("aliases", {})))
    if there >= (1 - MOST_MISSING) * len(card.genes):
        return ""
    has = f"{source.name} has {there:,} of the model's {len(card.genes):,} genes"
    if restored:
        return f"{has}. The imputer restores the others; the fewer were measured, the rougher the profiles."
    return f"{has}, too few. Tick “Restore missing genes first”, or choose another primary."


def refill_names(combo: QComboBox, names: list[str]) -> None:
    """Offer names, keeping the choice; emits nothing."""
    chosen = combo.currentText()
    combo.blockSignals(True)
    combo.clear()
    combo.addItems(names)
    combo.setCurrentIndex(max(combo.findText(chosen), 0) if names else -1)
    combo.blockSignals(False)
