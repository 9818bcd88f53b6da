"""The simulated sections behind File > Open Sample."""

from __future__ import annotations

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def section() -> list[LayerData]:
    """Layers of the first simulated section."""
    return _layers(slice(1))


def cohort() -> list[LayerData]:
    """Layers of every simulated section, beside each other."""
    return _layers(slice(None))


def first_steps() -> list[LayerData]:
    """Layers of the section whose patient the guide's model never sees, and the guide beside them."""
    import napari

    from histoscribe.widgets.state.state import open_panel

    viewer = napari.current_viewer()
    if viewer is not None:
        open_panel(viewer, "First steps")
    return _layers(slice(-1, None))


def _layers(which: slice) -> list[LayerData]:
    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.contributions.readers import settle_later
    from histoscribe.widgets.layers.opened import section_layers

    settle_later()
    return [layer for one in sample_cohort()[which] for layer in section_layers(one)]
