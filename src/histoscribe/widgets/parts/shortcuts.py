"""Keys for what is done over and over, in the canvas; none of them is napari's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.components import ViewerModel

from histoscribe.widgets.layers.arrangement import is_side_by_side, show_only, side_by_side
from histoscribe.widgets.layers.layers import kind_of, known_section, section_of, slide_of
from histoscribe.widgets.layers.painting import held_out_scores, paint, sections_in, spot_layers
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.state.state import open_panel, state_of


def install_shortcuts(viewer: ViewerModel) -> None:
    """Bind the keys of `SHORTCUTS` in a viewer; again does no harm."""
    model = unwrapped(viewer)
    for key, (_, action) in SHORTCUTS.items():
        model.bind_key(key, action, overwrite=True)


def next_gene(viewer: ViewerModel) -> None:
    """Show the next gene: of the pinned ones if there are several, else by reliability or name."""
    _step(viewer, 1)


def previous_gene(viewer: ViewerModel) -> None:
    """Show the gene before."""
    _step(viewer, -1)


def toggle_tissue(viewer: ViewerModel) -> None:
    """Show the H&E, or hide it."""
    _toggle([layer for layer in viewer.layers if slide_of(layer) is not None])


def toggle_spots(viewer: ViewerModel) -> None:
    """Show the spots, or hide them."""
    _toggle([layer for layer in viewer.layers if section_of(layer) is not None])


def toggle_panes(viewer: ViewerModel) -> None:
    """Give each layer of spots a pane, or stack all layers."""
    state = state_of(viewer)
    side_by_side(viewer, not is_side_by_side(viewer))
    paint(viewer, state)


def take_turns(viewer: ViewerModel) -> None:
    """Show the measured layers if the predicted ones are shown, and the other way round."""
    layers = spot_layers(viewer)
    predicted = [layer for layer in layers if kind_of(known_section(layer)) == "predicted"]
    if not predicted or len(predicted) == len(layers):
        return
    measured = [layer for layer in layers if layer not in predicted]
    show_only(layers, measured if any(layer.visible for layer in predicted) else predicted)


def find_gene(viewer: ViewerModel) -> None:
    """Open the Genes panel with the cursor in its search field."""
    panel: Any = open_panel(viewer, "Genes")[1]
    panel.search.setFocus()
    panel.search.selectAll()


def opening(name: str) -> Callable[[ViewerModel], None]:
    """A named action, as napari wants: open a panel."""

    def act(viewer: ViewerModel) -> None:
        open_panel(viewer, name)

    return act


def outline(viewer: ViewerModel) -> None:
    """Open the Regions panel and start a polygon."""
    panel: Any = open_panel(viewer, "Regions")[1]
    panel.buttons["polygon"].click()


def magnify(power: int) -> Callable[[ViewerModel], None]:
    """A named action, as napari wants: 10 µm over an objective's power in a pixel of the screen."""

    def act(viewer: ViewerModel) -> None:
        viewer.scene.camera.zoom = power / 10
        viewer.status = f"{power}×: a pixel of the screen is {10 / power:g} µm"

    return act


SHORTCUTS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "Shift+G": ("search a gene", find_gene),
    "Shift+Right": ("next gene", next_gene),
    "Shift+Left": ("previous gene", previous_gene),
    "Shift+H": ("H&E on or off", toggle_tissue),
    "Shift+S": ("spots on or off", toggle_spots),
    "Shift+B": ("one pane for each layer of spots, or all together", toggle_panes),
    "Shift+M": ("measured and predicted in turn", take_turns),
    "Alt+1": ("as through a 5× objective: 2 µm in a pixel of the screen", magnify(5)),
    "Alt+2": ("as through a 10× objective: 1 µm", magnify(10)),
    "Alt+3": ("as through a 20× objective: 0.5 µm", magnify(20)),
    "Alt+4": ("as through a 40× objective: 0.25 µm", magnify(40)),
    "Shift+D": ("predict", opening("Predict")),
    "Shift+C": ("compare measured and predicted", opening("Compare")),
    "Shift+R": ("outline a region", outline),
    "Shift+E": ("save pictures, tables, reports, sessions", opening("Export")),
}


def _step(viewer: ViewerModel, by: int) -> None:
    state = state_of(viewer)
    genes = list(state.pinned) if len(state.pinned) > 1 else _in_order(viewer)
    if genes:
        place = genes.index(state.gene) + by if state.gene in genes else 0
        state.choose(genes[place % len(genes)])
        paint(viewer, state)


def _in_order(viewer: ViewerModel) -> list[str]:
    sections = sections_in(viewer)
    scores = {gene: r for one in sections for gene, r in held_out_scores(one).items()}
    genes = scores or {gene: 0.0 for one in sections for gene in one.genes}
    return sorted(genes, key=lambda gene: (-genes[gene], gene))


def _toggle(layers: list[Any]) -> None:
    shown = any(layer.visible for layer in layers)
    for layer in layers:
        layer.visible = not shown
