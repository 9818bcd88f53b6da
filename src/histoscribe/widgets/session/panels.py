"""Which panels were open, where they were docked, and what was chosen in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QDockWidget, QMainWindow

from histoscribe.widgets.napari_private.window import dock_of, panels_of
from histoscribe.widgets.parts.panel import Panel
from histoscribe.widgets.session.schema import KeptPanel
from histoscribe.widgets.state.state import open_panel

_AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "top": Qt.DockWidgetArea.TopDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}
_ALONG = (Qt.Orientation.Horizontal, Qt.Orientation.Vertical)
_TAB = "tab"
_BEFORE = {
    "Genes": {"shown.layout_choice": "layout"},
    "Evidence": {
        **{f"maps.{name}": name for name in ("novelty", "interval", "spatial", "functional", "types")},
        "trace.model.combo": "model",
        "trace.behind": "behind",
        "tabs": _TAB,
    },
    "Regions": {"analysis": _TAB, "analysis.first": "first", "analysis.second": "second"},
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


def capture_panels(viewer: ViewerModel, layers: Sequence[Layer]) -> tuple[KeptPanel, ...]:
    """What is open in a viewer's window, in order of opening; layers by their place in the session's."""
    found: dict[str, QDockWidget] = {}
    kept = []
    for name, panel in panels_of(viewer).items():
        dock, main = dock_of(panel)
        if dock.isHidden() or not isinstance(panel, Panel):
            continue
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
                choices={
                    key: {"layer": layers.index(value)} if isinstance(value, Layer) else value
                    for key, value in panel.values().items()
                    if not isinstance(value, Layer) or value in layers
                },
                own=panel.kept(),
            )
        )
    return tuple(kept)


def open_panels(viewer: ViewerModel, kept: Sequence[KeptPanel], layers: Sequence[Layer | None]) -> list[str]:
    """Open panels where they were and choose in them what was chosen; returns the names of those unknown.

    `layers` are those of the session, in its order; None for those that did not come back.
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
            _restore(panel, one, layers)
    front = [(docks[one.name], one) for one in kept if one.name in docks and one.front]
    for dock, one in front:
        dock.raise_()
        if not one.floating:
            for size, along in zip(one.box[2:], _ALONG, strict=True):
                dock_of(dock.widget())[1].resizeDocks([dock], [round(size)], along)
    return unknown


def _restore(panel: Panel, kept: KeptPanel, layers: Sequence[Layer | None]) -> None:
    """Choose in a panel what was chosen; what else it kept comes back where each of its layers does."""
    renamed, own = _BEFORE.get(kept.name, {}), dict(kept.own)
    chosen: dict[str, Any] = {_TAB: own.pop(_TAB, None)}  # beside the choices in sessions of before
    for before, value in kept.choices.items():
        name = renamed.get(before, before)
        if isinstance(value, dict):
            place = value.get("layer")
            chosen[name] = layers[place] if isinstance(place, int) and 0 <= place < len(layers) else None
        elif value != "" or name == before:  # an empty field of then named no model
            chosen[name] = value
    panel.restore({name: value for name, value in chosen.items() if value is not None})
    if own and all(chosen[name] is not None for name in chosen if name != _TAB):
        panel.take_back(own)


def _place(dock: QDockWidget, kept: KeptPanel, beneath: QDockWidget | None) -> None:
    main = dock.parent()
    assert isinstance(main, QMainWindow)
    main.addDockWidget(_AREAS[kept.area], dock)
    if beneath is not None:
        main.tabifyDockWidget(beneath, dock)
    left, top, width, height = map(round, kept.box)
    dock.setFloating(kept.floating)
    if kept.floating and QGuiApplication.screenAt(QPoint(left, top)) is not None:
        dock.setGeometry(left, top, width, height)
