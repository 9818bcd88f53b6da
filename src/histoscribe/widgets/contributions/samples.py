"""The simulated sections behind File > Open Sample."""

from __future__ import annotations

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def section() -> list[LayerData]:
    """Layers of the first simulated section."""
    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.layers.opened import section_layers

    return section_layers(sample_cohort()[0])


def cohort() -> list[LayerData]:
    """Layers of every simulated section, each above the next."""
    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.layers.opened import section_layers

    return [layer for one in sample_cohort() for layer in section_layers(one)]


def first_steps() -> list[LayerData]:
    """Layers of the section whose patient the guide's model never sees, and the guide beside them."""
    import napari

    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.layers.opened import section_layers
    from histoscribe.widgets.state.panels import open_panel

    viewer = napari.current_viewer()
    if viewer is not None:
        open_panel(viewer, "First steps")
    return section_layers(sample_cohort()[-1])
