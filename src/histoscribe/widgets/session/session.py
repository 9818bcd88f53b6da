"""From a viewer to a session's content, and from what was opened again to a viewer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from napari.components import ViewerModel
from napari.layers import Layer, Points, Shapes
from napari.utils.notifications import show_info, show_warning

from histoscribe.arrays import Wide
from histoscribe.errors import RegionError
from histoscribe.palette import DRAWN
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.tiles import Region
from histoscribe.widgets.layers.arrangement import is_copy, is_side_by_side, side_by_side
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import (
    DERIVED,
    PIXEL,
    SOURCE,
    UM,
    add_layer,
    affine_of,
    has_lengths,
    known_section,
    moved,
    path_of,
    placed,
    section_of,
    slide_layer,
    slide_of,
)
from histoscribe.widgets.layers.maps import Map, map_of, show_map, spots_of
from histoscribe.widgets.layers.opened import shown_spots
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.layers.pictures.drawn_regions import held_regions, picture_of_regions, placing_of
from histoscribe.widgets.layers.view_state import COLOUR_MAPS, MOST_GENES, ViewState
from histoscribe.widgets.session import schema
from histoscribe.widgets.session.panels import capture_panels, open_panels
from histoscribe.widgets.session.schema import MOST_NUMBERS, DrawnMap, DrawnPoints, DrawnShapes
from histoscribe.widgets.session.sources import Captured, Reopened
from histoscribe.widgets.state.state import state_of


def capture(viewer: ViewerModel, state: ViewState) -> Captured:
    """Take from a viewer, on its own thread, all that a session keeps; what panels make is made again."""
    sources: list[schema.Source] = []
    tables: dict[str, Section] = {}
    regions: dict[str, tuple[Region, ...]] = {}
    by_slide: dict[int, str] = {}
    by_layer: dict[Layer, str] = {}
    for layer in spot_layers(viewer):
        section, path = known_section(layer), path_of(layer)
        source = _section_source(section, f"s{len(sources)}", path)
        sources.append(source)
        by_layer[layer] = source.id
        if not path:
            tables[source.id] = section
        if section.slide is not None:
            by_slide.setdefault(id(section.slide.levels), source.id)
    layers: dict[Layer, schema.KeptLayer] = {}
    left_out = []
    room = MOST_NUMBERS // 2
    for layer in viewer.layers:
        painted, slide = map_of(layer), slide_of(layer)
        shown = {"name": layer.name, "visible": bool(layer.visible), "opacity": float(layer.opacity)}
        if is_copy(layer) or (DERIVED in layer.metadata and painted is None):
            continue
        if layer in by_layer:
            layers[layer] = _opened("spots", by_layer[layer], moved(layer), shown)
        elif painted is not None:
            beside = spots_of(viewer, layer)
            room -= len(painted.values)
            if beside in by_layer and room >= 0:
                drawn, affine = pack_map(painted), moved(layer).tolist()
                layers[layer] = schema.MapLayer.of(
                    source=by_layer[beside], drawn=drawn, affine=affine, **shown
                )
        elif slide is not None:
            if id(slide.levels) not in by_slide:
                by_slide[id(slide.levels)] = f"s{len(sources)}"
                sources.append(_slide_source(slide, f"s{len(sources)}"))
            layers[layer] = _opened("slide", by_slide[id(slide.levels)], moved(layer), shown)
        elif held := held_regions(layer):
            key = f"s{len(sources)}"
            regions[key] = held
            sources.append(schema.Source.of(id=key, kind="regions", path="", name=layer.name))
            layers[layer] = _opened("regions", key, placing_of(layer), shown)
        elif isinstance(layer, Shapes) and layer.ndim == 2:
            layers[layer] = schema.ShapesLayer(drawn=pack_shapes(layer), **shown)
        elif isinstance(layer, Points) and layer.ndim == 2:
            layers[layer] = schema.PointsLayer(drawn=pack_points(layer), **shown)
        if layer not in layers:
            left_out.append(layer.name)
    kept = list(layers)
    active = viewer.layers.selection.active
    content = schema.Session(
        format=schema.FORMAT,
        version=schema.VERSION,
        sources=tuple(sources),
        layers=tuple(layers.values()),
        view=_view(viewer, state, kept.index(active) if active in layers else None),
        panels=capture_panels(viewer, kept),
    )
    return Captured(content, tables, tuple(left_out), regions)


def restore(viewer: ViewerModel, found: Reopened) -> None:
    """Add a session's layers, set genes, colours and panes, open its panels, and set the camera.

    On the viewer's own thread. What the Compare panel showed is compared again there.
    """
    state, view = state_of(viewer), found.content.view
    lost = list(found.lost)
    layers, before = found.content.layers, len(viewer.layers)
    back: list[Layer | None] = [None] * len(layers)
    # A map is drawn as the spots that it is of, so these come first.
    for place in sorted(range(len(layers)), key=lambda place: layers[place].show == "map"):
        layer = layers[place]
        try:
            added = _add(viewer, layer, found)
        except (RegionError, TypeError, ValueError):
            added = None
        back[place] = added
        if added is None:
            lost.append(f"The layer {layer.name} could not be brought back.")
            continue
        added.name, added.opacity = layer.name, layer.opacity
        beneath = sum(one is not None for one in back[:place])
        viewer.layers.move(viewer.layers.index(added), before + beneath)
    _show_as_kept(back, layers)
    state.more, state.pinned = view.more[: MOST_GENES - 1], view.pinned
    state.low, state.high = sorted((view.low, view.high))
    state.shared, state.layout = view.shared, view.layout
    state.fixed = {gene: (low, high) for gene, (low, high) in view.fixed.items() if low < high}
    if view.colour_map in COLOUR_MAPS:
        state.colour_map = view.colour_map
    state.gene = view.gene
    panes = state.genes[1:] if state.layout == "multiples" else ()
    if view.side_by_side != is_side_by_side(viewer):
        side_by_side(viewer, view.side_by_side, panes)
        _show_as_kept(back, layers)
    paint(viewer, state)
    viewer.canvas.overlays.scale_bar.visible = view.scale_bar
    if view.active is not None and view.active < len(back) and back[view.active] is not None:
        viewer.layers.selection.active = back[view.active]
    unknown = open_panels(viewer, found.content.panels, back)
    lost += [f"There is no panel {name}." for name in unknown]
    viewer.scene.camera.center = view.centre
    viewer.scene.camera.zoom = view.zoom
    if lost:
        show_warning("The session is back, but not all of it:\n" + "\n".join(lost))
    else:
        show_info("The session is back.")


def _show_as_kept(back: list[Layer | None], layers: Sequence[schema.KeptLayer]) -> None:
    for added, layer in zip(back, layers, strict=True):
        if added is not None:
            added.visible = layer.visible


def _opened(show: str, source: str, affine: Wide, shown: dict[str, Any]) -> schema.OpenedLayer:
    return schema.OpenedLayer.of(show=show, source=source, affine=affine.tolist(), **shown)


def _section_source(section: Section, key: str, path: str) -> schema.Source:
    slide, own = section.slide, Path(path) if path else None
    if slide is not None:
        place = slide.path.resolve()
        if not place.exists() or place.suffix == ".h5ad" or own in (place, *place.parents):
            slide = None
    return schema.Source(
        id=key,
        kind="section",
        path=path,
        slide="" if slide is None else str(slide.path.resolve()),
        slide_downsample=1.0 if slide is None else float(slide.levels[0].downsample),
        mpp=float(section.mpp),
        name=section.name,
        spots=int(section.table.n_obs),
        bin_um=float(section.spot_um) if section.spot_um == section.pitch_um else None,
    )


def _slide_source(slide: Slide, key: str) -> schema.Source:
    return schema.Source(
        id=key,
        kind="slide",
        path=slide.url or str(slide.path.resolve()),
        slide_downsample=float(slide.levels[0].downsample),
        mpp=None if slide.mpp is None else float(slide.mpp),
        name=slide.name,
        spots=0,
        bin_um=None,
    )


def _view(viewer: ViewerModel, state: ViewState, active: int | None) -> schema.View:
    overlays, camera = viewer.canvas.overlays, viewer.scene.camera
    return schema.View.of(
        **{name: value for name, value in vars(state).items() if name in schema.View.model_fields},
        side_by_side=is_side_by_side(viewer),
        centre=[float(place) for place in camera.center[-2:]],
        zoom=float(camera.zoom),
        scale_bar=bool(overlays.scale_bar.visible),
        active=active,
    )


def _add(viewer: ViewerModel, layer: schema.KeptLayer, found: Reopened) -> Layer | None:
    if isinstance(layer, schema.ShapesLayer):
        return add_shapes(viewer, layer.drawn, layer.name)
    if isinstance(layer, schema.PointsLayer):
        return add_points(viewer, layer.drawn, layer.name)
    if layer.show == "regions":
        regions, affine = found.regions.get(layer.source), np.asarray(layer.affine)
        mpp = float(np.sqrt(abs(np.linalg.det(affine))))
        own = np.diag([mpp, mpp, 1.0])
        drawn = None if regions is None else picture_of_regions(regions, mpp, layer.name)
        return drawn and viewer.add_layer(Layer.create(*placed(drawn, affine @ np.linalg.inv(own))))
    section, slide = found.sections.get(layer.source), found.slides.get(layer.source)
    if isinstance(layer, schema.MapLayer):
        spots = next((one for one in spot_layers(viewer) if section_of(one) is section), None)
        if section is None or spots is None:
            return None
        shown = show_map(viewer, spots, map_from(layer.drawn, section.table.n_obs))
        if layer.affine is not None:
            back = np.linalg.inv(moved(shown)) @ shown.affine.affine_matrix
            shown.affine = np.asarray(layer.affine) @ back
        return shown
    if layer.show == "slide":
        beneath = slide if section is None or section.slide is None else section.scaled_slide
        data = None if beneath is None else slide_layer(beneath)
    else:
        data = None if section is None else shown_spots(section)
    if data is None:
        return None
    data[1]["metadata"][SOURCE] = str(found.paths[layer.source])
    return add_layer(viewer, placed(data, np.asarray(layer.affine)))


def pack_shapes(layer: Shapes) -> DrawnShapes:
    """A layer of drawn shapes as a session file holds it."""
    return DrawnShapes.of(
        **_common(layer),
        data=[np.asarray(corners, dtype=float).tolist() for corners in layer.data],
        types=[str(kind) for kind in layer.shape_type],
        edge_color=np.asarray(layer.edge_color, dtype=float).reshape(-1, 4).tolist(),
        edge_width=[float(width) for width in layer.edge_width],
        metadata={
            str(name): kept for name, value in layer.metadata.items() if (kept := _plain(value)) is not None
        },
    )


def pack_points(layer: Points) -> DrawnPoints:
    """A layer of painted points as a session file holds it."""
    return DrawnPoints.of(
        **_common(layer),
        data=np.asarray(layer.data, dtype=float).tolist(),
        size=np.asarray(layer.size, dtype=float).tolist(),
    )


def add_points(viewer: ViewerModel, points: DrawnPoints, name: str) -> Layer:
    """Add what `pack_points` gave."""
    return viewer.add_points(
        np.asarray(points.data, dtype=float).reshape(-1, 2),
        size=points.size or 10,
        face_color=np.asarray(points.face_color, dtype=float).reshape(-1, 4),
        border_width=0,
        **_placed(points, name),
    )


def add_shapes(viewer: ViewerModel, shapes: DrawnShapes, name: str) -> Layer:
    """Add what `pack_shapes` gave."""
    return viewer.add_shapes(
        [np.asarray(corners, dtype=float) for corners in shapes.data] or None,
        ndim=2,
        shape_type=list(shapes.types) or "polygon",
        edge_color=np.asarray(shapes.edge_color).reshape(-1, 4) if shapes.data else DRAWN,
        face_color=np.asarray(shapes.face_color).reshape(-1, 4) if shapes.data else "transparent",
        edge_width=list(shapes.edge_width) or 1,
        metadata=dict(shapes.metadata),
        **_placed(shapes, name),
    )


def pack_map(found: Map) -> DrawnMap:
    """A map as a session file holds it."""
    values = np.asarray(found.values).tolist()
    if not found.classes:
        values = [round(value, 6) if math.isfinite(value) else None for value in map(float, values)]
    return DrawnMap.of(**vars(found) | {"values": values})


def map_from(packed: DrawnMap, spots: int) -> Map:
    """What `pack_map` was given; `ValueError` if of other spots, nameless classes or unknown colours."""
    values = np.array(packed.values, dtype=float)
    if len(values) != spots:
        raise ValueError("a map of other spots")
    if packed.colours not in (DIFFERENCE, *COLOUR_MAPS):
        raise ValueError("a map in unknown colours")
    if packed.classes:
        if not np.isin(values, np.arange(len(packed.classes))).all():
            raise ValueError("a map of classes without names")
        values = values.astype(np.int64)
    return Map(**dict(packed) | {"values": values})


def _common(layer: Shapes | Points) -> dict[str, Any]:
    """Where a layer lies, in which units, and what it says of its shapes or points."""
    features = {str(name): _plain(layer.features[name].tolist()) for name in layer.features}
    return {
        "face_color": np.asarray(layer.face_color, dtype=float).reshape(-1, 4).tolist(),
        "affine": affine_of(layer).tolist(),
        "units": UM if has_lengths(layer) else PIXEL,
        "features": {name: values for name, values in features.items() if values is not None},
    }


def _placed(drawn: DrawnShapes | DrawnPoints, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "affine": np.asarray(drawn.affine),
        "units": (drawn.units, drawn.units),
        "features": pd.DataFrame(drawn.features) if drawn.data else None,
    }


def _plain(value: Any) -> Any:
    """The value where JSON can hold it, else None."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return None
