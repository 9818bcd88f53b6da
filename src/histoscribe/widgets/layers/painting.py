"""Painting genes on every layer of spots that has them, and which gene to paint first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import ViewerModel
from napari.layers import Points
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.palette import MARK
from histoscribe.record import record_of
from histoscribe.section import Section, log_gene
from histoscribe.slide import Slide
from histoscribe.verdict import NOT_STATED, PLAIN, Verdict
from histoscribe.widgets.layers.colours import DIFFERENCE, UNITS, Limits, about_zero, mixed, spread
from histoscribe.widgets.layers.layers import (
    GENE,
    OF,
    UNPAINTED,
    has_own_spots,
    is_same,
    kind_of,
    known_section,
    section_of,
)
from histoscribe.widgets.layers.raster import paint_raster
from histoscribe.widgets.layers.strips import Strip, show_scale, strips_of
from histoscribe.widgets.layers.view_state import ViewState
from histoscribe.widgets.napari_private.discs import draw_as_discs

Values = Floats

_RIM = 0.2
_unlike: WeakKeyDictionary[Section, Mask] = WeakKeyDictionary()
_painted: WeakKeyDictionary[Points, dict[str, Limits]] = WeakKeyDictionary()
_states: WeakKeyDictionary[ViewerModel, ViewState] = WeakKeyDictionary()


def spot_layers(viewer: ViewerModel) -> list[Points]:
    """The layers of spots that were opened or predicted, in the order of the layer list."""
    return [layer for layer in viewer.layers if has_own_spots(layer)]


def sections_in(viewer: ViewerModel) -> list[Section]:
    """The sections behind the layers of spots, in their order."""
    return [one for one in map(section_of, spot_layers(viewer)) if one is not None]


def measured_in(viewer: ViewerModel) -> list[Section]:
    """The measured ones of them."""
    return [one for one in sections_in(viewer) if kind_of(one) == "measured"]


def stands_alone(viewer: ViewerModel, slide: Slide) -> bool:
    """Whether no measured section lies on a slide, whose scale and spots would go before its own."""
    return not any(is_same(one.slide, slide) for one in measured_in(viewer))


def painted_layers(viewer: ViewerModel) -> list[Points]:
    """All layers of spots, those derived from others (a difference, a pane for one gene) included."""
    return [layer for layer in viewer.layers if section_of(layer) is not None]


def held_out_scores(section: Section) -> dict[str, float]:
    """Pearson r of each predicted gene on tissue that its model had not seen; empty where unknown.

    A restored section states how hidden values came back, and in older files its imputer's, of bulk samples.
    """
    if "held_out_r" not in section.table.var or record_of(section.table).kind == "restored":
        return {}
    scores = section.table.var["held_out_r"].astype(float).dropna()
    return dict(zip(map(str, scores.index), scores, strict=True))


@dataclass(frozen=True)
class ToldVerdict:
    """What is said of a prediction: of which section, in which words, on which colour."""

    of: str
    words: str
    colour: str


def told_verdicts(sections: Iterable[Section]) -> list[ToldVerdict]:
    """How far each predicted section can be trusted; one that does not say is told as well."""
    told = []
    for one in sections:
        record = record_of(one.table)
        if record.kind == "predicted":
            verdict = verdict_of(one)
            words, colour = (verdict.sentence, verdict.colour) if verdict else (NOT_STATED, PLAIN)
            by = f" by {record.model_name}" if record.model_name else ""
            by += f", guided by {record.guide_spots:,} spots" if record.guide_spots else ""
            told.append(ToldVerdict(f"{one.name} predicted{by}", words, colour))
    return told


def verdict_of(section: Section) -> Verdict | None:
    """How far a prediction can be trusted; None where it does not say, and for what was measured."""
    return record_of(section.table).judged(section.name, section.patient)


def unlike_rows(section: Section) -> Mask:
    """Spots that are not painted until somebody asks: unlike tiles, all of a slide that is mostly unlike."""
    if section not in _unlike:
        verdict = verdict_of(section)
        rows = np.full(section.table.n_obs, verdict is not None and verdict.withheld)
        _unlike[section] = rows | np.asarray(section.table.obs.get("unlike_training", False), dtype=np.bool_)
    return _unlike[section]


def values_on(layer: Points, gene: str) -> Values | None:
    """What a layer shows of a gene; None where it lacks it."""
    difference: Callable[[str], Values | None] | None = layer.metadata.get(DIFFERENCE)
    if difference is not None:
        return difference(gene)
    section = known_section(layer)
    return log_gene(section, gene) if gene in section.table.var_names else None


def paint(viewer: ViewerModel, state: ViewState) -> dict[str, dict[str, Limits]]:
    """Paint the chosen genes on all layers of spots; those that lack them turn plain.

    Returns layer name → gene → colour limits, of what has a colour: not of spots that all stay grey.
    """
    wanted = {layer: genes_on(layer, state) for layer in painted_layers(viewer)}
    found = {
        layer: {gene: values for gene in genes if (values := _seen_on(layer, gene, state)) is not None}
        for layer, genes in wanted.items()
    }
    bounds = _all_limits(found, state)
    for layer, shown in found.items():
        genes, each = wanted[layer], bounds[layer]
        colour_map = DIFFERENCE if DIFFERENCE in layer.metadata else state.colour_map
        if "raster" in layer.metadata:
            paint_raster(layer, genes, shown, each, colour_map)
            continue
        draw_as_discs(viewer, layer)
        if not shown:
            dress_spots(layer, {}, UNPAINTED)
            continue
        dress_spots(layer, shown, mixed(genes, shown, each, colour_map))
    for layer, shown in found.items():
        seen = {gene for gene, values in shown.items() if np.isfinite(values).any()}
        _painted[layer] = {gene: ends for gene, ends in bounds[layer].items() if gene in seen}
    _states[viewer] = state
    show_gene_scale(viewer)
    return {layer.name: _painted[layer] for layer in found if _painted[layer]}


def _seen_on(layer: Points, gene: str, state: ViewState) -> Values | None:
    """What a layer shows of a gene; not a number where the tissue is unlike and nobody asked for it."""
    values = values_on(layer, gene)
    if values is None or state.unlike or DIFFERENCE in layer.metadata:
        return values
    rows = unlike_rows(known_section(layer))
    return np.where(rows, np.float32(np.nan), values) if rows.any() else values


def genes_on(layer: Points, state: ViewState) -> tuple[str, ...]:
    """The genes that a layer is to show: its own where it was made for one, else the chosen ones."""
    if GENE in layer.metadata:
        return (layer.metadata[GENE],)
    if DIFFERENCE in layer.metadata or state.layout == "multiples":
        return state.genes[:1]
    return state.genes


def dress_spots(layer: Points, features: Mapping[str, NDArray[Any]], colours: Floats | str) -> None:
    """Set features and colours. The layer would redraw for each of two signals: one is held back."""
    layer.features = dict(features)
    with layer.events.face_color.blocker():
        layer.face_color = colours


def rim(layer: Points, rows: NDArray[np.intp]) -> None:
    """Draw a rim around these spots, seen on every pane and whichever layer is active."""
    rims = np.zeros(len(layer.data))
    rims[rows] = _RIM
    if not np.array_equal(rims, layer.border_width):
        layer.border_color = MARK
        layer.border_width = rims


def _all_limits(
    found: Mapping[Points, Mapping[str, Values]], state: ViewState
) -> dict[Points, dict[str, Limits]]:
    """Limits by layer and gene; a difference has its own, symmetric about zero."""
    plain = {layer: shown for layer, shown in found.items() if DIFFERENCE not in layer.metadata}
    genes, ends = {gene for shown in plain.values() for gene in shown}, (state.low, state.high)
    common = {
        gene: spread(np.concatenate([shown[gene] for shown in plain.values() if gene in shown]), *ends)
        for gene in (genes if state.shared else ())
    } | {gene: state.fixed[gene] for gene in genes & state.fixed.keys()}
    bounds = {}
    for layer, shown in found.items():
        if layer not in plain:
            bounds[layer] = {gene: about_zero(values, state.high) for gene, values in shown.items()}
        else:
            bounds[layer] = {gene: common.get(gene) or spread(shown[gene], *ends) for gene in shown}
    return bounds


def seen_layers(viewer: ViewerModel) -> list[Points]:
    """The layers of spots that are seen: not hidden, not beneath a map."""
    mapped = [layer.metadata[OF] for layer in viewer.layers if layer.visible and OF in layer.metadata]
    shown = [layer for layer in painted_layers(viewer) if layer.visible]
    return [layer for layer in shown if not any(section_of(layer) is one for one in mapped)]


def seen_strips(viewer: ViewerModel) -> list[Strip]:
    """The colour strips of what was painted and is seen."""
    painted = {layer.name: _painted[layer] for layer in seen_layers(viewer) if _painted.get(layer)}
    state = _states.get(viewer)
    return strips_of(viewer, state, painted) if painted and state is not None else []


def show_gene_scale(viewer: ViewerModel) -> None:
    """Say which genes are seen by colour strips, else by words."""
    if viewer not in _states:
        return
    strips = seen_strips(viewer)
    drawn = show_scale(viewer, strips)
    text = viewer.canvas.overlays.text
    text.text = f"{' + '.join(_states[viewer].genes)}   {UNITS}" if strips else ""
    text.position = "bottom_left"
    text.font_size = 12
    text.visible = bool(strips) and not drawn


_CANDIDATES = 60
_NEIGHBOURS = 6


def suggested_gene(sections: Sequence[Section]) -> str:
    """Choose a gene that all sections have; empty where they share none.

    Where something is predicted and its model states scores on held-out tissue, it is the gene with the best
    one. Otherwise it is the gene, of the 60 most variable ones of the first measured section (else the
    first), whose values follow those of the six nearest spots most closely (Pearson r of a spot with its
    neighbours' mean). How measured and predicted agree here has no say in it.
    """
    shared = set(sections[0].genes).intersection(*(one.genes for one in sections))
    scores = {gene: r for one in sections for gene, r in held_out_scores(one).items() if gene in shared}
    if scores:
        return max(scores, key=lambda gene: scores[gene])
    judge = next((one for one in sections if kind_of(one) == "measured"), sections[0])
    columns = np.array([place for place, gene in enumerate(judge.genes) if gene in shared], dtype=int)
    if not columns.size:
        return ""
    if judge.table.n_obs <= _NEIGHBOURS:
        return str(judge.genes[columns[0]])
    variable = columns[np.argsort(-_spread(judge.table.X)[columns], kind="stable")[:_CANDIDATES]]
    from scipy.spatial import cKDTree

    around = cKDTree(judge.centres_um).query(judge.centres_um, k=_NEIGHBOURS + 1)[1][:, 1:]
    names = [str(judge.genes[place]) for place in variable]
    return max(names, key=lambda gene: _follows(log_gene(judge, gene), around))


def _spread(x: Any) -> Wide:
    """Variance over mean of every column: what varies more than its level explains."""
    square = x.multiply(x) if hasattr(x, "multiply") else np.square(x)
    mean = np.asarray(x.mean(axis=0), dtype=np.float64).ravel()
    variance = np.asarray(square.mean(axis=0), dtype=np.float64).ravel() - mean**2
    return np.divide(variance, mean, out=np.zeros_like(mean), where=mean > 0)


def _follows(values: Floats, around: NDArray[np.intp]) -> float:
    mean = values[around].mean(axis=1)
    if not (values.std() > 0 and mean.std() > 0):
        return -1.0
    return float(np.corrcoef(values, mean)[0, 1])
