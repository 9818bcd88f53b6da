"""Which panels were open, where they were docked, and what was chosen in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from magicgui.widgets import PushButton
from magicgui.widgets.bases import ValueWidget
from napari.layers import Layer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QDoubleSpinBox,
    QLineEdit,
    QMainWindow,
    QSpinBox,
    QTabWidget,
    QWidget,
)

from histoscribe.widgets.napari_private.window import panels_of
from histoscribe.widgets.parts.choosers import LayerCombo
from histoscribe.widgets.parts.panel import Panel
from histoscribe.widgets.session.schema import KeptPanel
from histoscribe.widgets.state.panels import open_panel

if TYPE_CHECKING:
    from napari.components import ViewerModel


_AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "top": Qt.DockWidgetArea.TopDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}
_ALONG = (Qt.Orientation.Horizontal, Qt.Orientation.Vertical)
_BEFORE = {
    "Genes": {"shown.layout_choice": "layout"},
    "Evidence": {
        **{f"maps.{name}": name for name in ("novelty", "interval", "spatial", "functional", "types")},
        "trace.model.combo": "model",
        "trace.behind": "behind",
    },
    "Regions": {"analysis.first": "first", "analysis.second": "second"},
    "Predict": {"model.combo": "model", "region.combo": "region", "region.only": "region_class"},
    "Impute": {
        "source.combo": "source",
        "model.combo": "model",
        "genes.which": "which",
        "genes.search": "search",
    },
    "Generate": {
        "model.combo": "model",
        "primary.source.combo": "primary",
        "primary.inside": "primary_inside",
        "primary.region.combo": "primary_region",
        "primary.region.only": "primary_region_class",
        "normal.source.combo": "normal",
        "normal.inside": "normal_inside",
        "normal.region.combo": "normal_region",
        "normal.region.only": "normal_region_class",
        "imputer.combo": "imputer",
    },
}
"""Names of fields in sessions that were saved before fields had names of their own, by panel."""
_OURS = "histoscribe.widgets."


def capture_panels(viewer: ViewerModel, layers: Sequence[Layer]) -> tuple[KeptPanel, ...]:
    """What is open in a viewer's window, in the order in which it was opened.

    Parameters
    ----------
    viewer : ViewerModel
        One without a window has no panels.
    layers : sequence of Layer
        Those that the session keeps; a panel's choice of a layer is kept as its place in here.
    """
    found: dict[str, QDockWidget] = {}
    kept = []
    for name, panel in panels_of(viewer).items():
        dock = panel.parent()
        if dock.isHidden():
            continue
        main = dock.parent()
        with_it = [one for one, other in found.items() if other in main.tabifiedDockWidgets(dock)]
        found[name] = dock
        box, area = dock.geometry(), main.dockWidgetArea(dock)
        kept.append(
            KeptPanel.of(
                name=name,
                area=next((words for words, one in _AREAS.items() if one == area), "right"),
                floating=dock.isFloating(),
                tabbed_with=with_it[0] if with_it else "",
                front=not dock.visibleRegion().isEmpty(),
                box=(box.x(), box.y(), box.width(), box.height()),
                choices=_choices(panel, layers),
                own=panel.kept() if hasattr(panel, "kept") else {},
            )
        )
    return tuple(kept)


def open_panels(viewer: ViewerModel, kept: Sequence[KeptPanel], layers: Sequence[Layer | None]) -> list[str]:
    """Open panels where they were and choose in them what was chosen; returns the names of those unknown.

    Parameters
    ----------
    viewer : ViewerModel
    kept : sequence of KeptPanel
        As `capture_panels` gave them.
    layers : sequence of Layer or None
        The layers that came back, in the order of the session; None for those that did not.
    """
    if getattr(viewer, "window", None) is None:
        return []
    docks: dict[str, QDockWidget] = {}
    unknown = []
    for one in kept:
        try:
            dock, panel = open_panel(viewer, one.name)
        except KeyError:
            unknown.append(one.name)
            continue
        _place(dock, one, docks.get(one.tabbed_with))
        docks[one.name] = dock
        if isinstance(panel, Panel):
            chosen = _restore(panel, one, layers)
        else:
            inputs = dict(_inputs(panel))
            chosen = [
                _choose(inputs[path], value, layers) for path, value in one.choices.items() if path in inputs
            ]
        if one.own and all(chosen) and hasattr(panel, "take_back"):
            panel.take_back(one.own)
    front = [(docks[one.name], one) for one in kept if one.name in docks and one.front]
    for dock, one in front:
        dock.raise_()
        if not one.floating:
            for size, along in zip(one.box[2:], _ALONG, strict=True):
                dock.parent().resizeDocks([dock], [round(size)], along)
    return unknown


def _choices(panel: QWidget, layers: Sequence[Layer]) -> dict[str, Any]:
    if not isinstance(panel, Panel):
        found = {path: _value(widget, layers) for path, widget in _inputs(panel)}
        return {path: value for path, value in found.items() if value is not None}
    return {
        name: {"layer": layers.index(value)} if isinstance(value, Layer) else value
        for name, value in panel.values().items()
        if not isinstance(value, Layer) or value in layers
    }


def _restore(panel: Panel, kept: KeptPanel, layers: Sequence[Layer | None]) -> list[bool]:
    """Choose in a panel what was chosen; whether each layer that was is there."""
    renamed = _BEFORE.get(kept.name, {})
    chosen = {}
    for name, value in kept.choices.items():
        place = value.get("layer") if isinstance(value, dict) else None
        known = isinstance(place, int) and 0 <= place < len(layers)
        chosen[renamed.get(name, name)] = (
            layers[place] if known else None if isinstance(value, dict) else value
        )
    panel.restore({name: value for name, value in chosen.items() if value is not None})
    return [value is not None for value in chosen.values()]


def _place(dock: QDockWidget, kept: KeptPanel, beneath: QDockWidget | None) -> None:
    main: QMainWindow = dock.parent()
    main.addDockWidget(_AREAS[kept.area], dock)
    if beneath is not None:
        main.tabifyDockWidget(beneath, dock)
    left, top, width, height = map(round, kept.box)
    dock.setFloating(kept.floating)
    if kept.floating and QGuiApplication.screenAt(QPoint(left, top)) is not None:
        dock.setGeometry(left, top, width, height)


def _inputs(widget: QWidget, before: str = "") -> Iterator[tuple[str, QWidget | ValueWidget]]:
    """What a panel lets the user choose, by the names of its attributes, parts of parts included."""
    for name, part in vars(widget).items():
        if name.startswith("_") or not isinstance(part, QWidget | ValueWidget):
            continue
        if isinstance(part, PushButton):
            continue
        yield before + name, part
        if type(part).__module__.startswith(_OURS):
            yield from _inputs(part, f"{before}{name}.")


def _value(widget: QWidget | ValueWidget, layers: Sequence[Layer]) -> Any:
    """What is chosen; None where nothing is, or the widget is no choice."""
    if isinstance(widget, ValueWidget):
        value = widget.value
        return {"layer": layers.index(value)} if value in layers else value
    if isinstance(widget, LayerCombo):
        return {"layer": layers.index(widget.layer)} if widget.layer in layers else None
    if isinstance(widget, QComboBox):
        return widget.currentText()
    if isinstance(widget, QSpinBox | QDoubleSpinBox):
        return widget.value()
    if isinstance(widget, QCheckBox):
        return widget.isChecked()
    if isinstance(widget, QLineEdit):
        return widget.text()
    return widget.currentIndex() if isinstance(widget, QTabWidget) else None


def _choose(widget: QWidget | ValueWidget, value: Any, layers: Sequence[Layer | None]) -> bool:
    """Choose as the user does; whether the layer is there, where it is one. What does not fit is left out."""
    place = value.get("layer") if isinstance(value, dict) else None
    layer = layers[place] if isinstance(place, int) and 0 <= place < len(layers) else None
    if layer is None and (isinstance(value, dict) or isinstance(widget, LayerCombo)):
        return False
    if isinstance(widget, LayerCombo):
        widget.choose(layer)
    elif isinstance(widget, ValueWidget):
        with suppress(ValueError, TypeError):
            widget.value = value if layer is None else layer
    elif isinstance(widget, QComboBox) and isinstance(value, str):
        if widget.isEditable() or widget.findText(value) >= 0:
            widget.setCurrentText(value)
    elif isinstance(widget, QCheckBox) and isinstance(value, bool):
        if widget.isChecked() != value:
            widget.click()
    elif isinstance(widget, QLineEdit) and isinstance(value, str):
        widget.setText(value)
    elif isinstance(value, int | float) and isinstance(widget, QDoubleSpinBox):
        widget.setValue(value)
    elif isinstance(value, int | float) and isinstance(widget, QSpinBox):
        widget.setValue(round(value))
    elif isinstance(value, int) and isinstance(widget, QTabWidget):
        widget.setCurrentIndex(value)
    return True
