"""The HTML report of a session: slides, sections, models, genes, regions and figures on one page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from napari.components import ViewerModel
from napari.layers import Layer, Shapes
from numpy.typing import NDArray

from histoscribe.errors import RegionError
from histoscribe.evaluation.class_figures import figures_of, spread_figure, strongest
from histoscribe.evaluation.figures import (
    SpotMap,
    histogram_figure,
    limits_of,
    scatter_figure,
    spot_figure,
    to_svg,
)
from histoscribe.evaluation.regions import class_statistics, classes_of, differential_genes
from histoscribe.evaluation.report import render_page
from histoscribe.models import read_card
from histoscribe.progress import Progress
from histoscribe.record import SPLIT_MEANING, record_of
from histoscribe.section import Section, log_gene
from histoscribe.slide import Slide
from histoscribe.tiles import Region, areas
from histoscribe.widgets.layers.colours import UNITS
from histoscribe.widgets.layers.layers import COMPARED, kind_of, known_section, slide_of
from histoscribe.widgets.layers.making import MADE
from histoscribe.widgets.layers.painting import held_out_scores, sections_in, spot_layers, told_verdicts
from histoscribe.widgets.layers.pictures.drawn_regions import held_regions
from histoscribe.widgets.layers.regions import closed_shapes, is_region_layer, regions_of
from histoscribe.widgets.layers.view_state import ViewState
from histoscribe.widgets.panels.export.picture import Picture, picture_of
from histoscribe.widgets.parts.tables import plain

_TEMPLATE = "export_report.html.j2"
_MOST_MAPS = 24


@dataclass(frozen=True, eq=False)
class ReportContent:
    """What a report is made of, taken from the viewer at one moment."""

    picture: Picture
    """Of the view."""
    slides: tuple[Slide, ...]
    sections: tuple[Section, ...]
    """Of all layers of spots that were opened or predicted."""
    genes: tuple[str, ...]
    """Shown at the moment."""
    colour_map: str
    regions: tuple[dict[str, Any], ...]
    """Layer, class, colour, number of shapes and their area, ready to be shown."""
    drawn: tuple[tuple[Section, list[Region], NDArray[np.str_]], ...]
    """Sections, the regions on them, and the class of each of their spots."""
    compared: tuple[Any, ...]
    """What the Compare panel holds of each pair that is shown."""


def content_of(viewer: ViewerModel, state: ViewState) -> ReportContent:
    """Take from a viewer, on its own thread, what its report needs; `SettingError` if nothing is visible."""
    slides = {id(slide.levels): slide for slide in map(slide_of, viewer.layers) if slide is not None}
    return ReportContent(
        picture_of(viewer, state, dpi=150),
        tuple(slides.values()),
        tuple(sections_in(viewer)),
        state.genes,
        state.colour_map,
        tuple(row for layer in viewer.layers for row in _classes(layer)),
        tuple(_drawn(viewer)),
        tuple(layer.metadata[COMPARED] for layer in viewer.layers if COMPARED in layer.metadata),
    )


def write_report(content: ReportContent, path: Path, progress: Progress, title: str = "A session") -> Path:
    """Write one page that needs no network to be read; runs on any thread."""
    models = {folder for one in content.sections if one in MADE for folder in MADE[one].models.values()}
    progress.report("drawing the view")
    render_page(
        Path(__file__).parent / _TEMPLATE,
        path,
        title=title,
        view=Markup(to_svg(content.picture.figure, "The view as it stood")),
        scale=f"{content.picture.um_per_inch:.4g} µm per inch of the original",
        slides=[_slide_row(slide) for slide in content.slides],
        sections=[_section_row(section) for section in content.sections],
        warnings=[f"{one.name}: {words}" for one in content.sections for words in one.warnings],
        verdicts=told_verdicts(content.sections),
        models=[_model_row(one) for one in content.sections if kind_of(one) == "predicted"],
        genes=[row for gene in content.genes for row in _gene_rows(gene, content)],
        units=UNITS,
        figures=list(_maps(content, progress)),
        regions=content.regions,
        compared=[_compared(one) for one in content.compared],
        classes=[part for one, _, labels in content.drawn for part in _class_parts(one, labels, progress)],
        spread=list(_spread(content)),
        records=[(one.name, record_of(one.table)) for one in content.sections],
        cards=[read_card(folder) for folder in sorted(models)],
        version=version("napari-histoscribe"),
    )
    return path


def _drawn(viewer: ViewerModel) -> Iterator[tuple[Section, list[Region], NDArray[np.str_]]]:
    """Measured sections (others where there are none) with regions on them, and the class of each spot."""
    shapes = [layer for layer in viewer.layers if is_region_layer(layer)]
    layers = spot_layers(viewer)
    measured = [layer for layer in layers if kind_of(known_section(layer)) == "measured"]
    for layer in measured or layers:
        section = known_section(layer)
        regions: list[Region] = []
        for one in shapes:
            with suppress(RegionError):  # nothing closed is drawn
                regions += [region for region in regions_of(one, layer) if region.name]
        labels = classes_of(section, regions)
        if labels.any():
            yield section, regions, labels


def _spread(content: ReportContent) -> Iterator[dict[str, Any]]:
    """What each shown gene does in each class: a table, and violins."""
    for gene, (section, regions, labels) in product(content.genes, content.drawn):
        if gene in section.table.var_names:
            values, about = log_gene(section, gene), f"{gene} on {section.name}, {kind_of(section)}"
            table = class_statistics(values, labels, regions, section.mpp)
            rows = [(str(name), *map(plain, row)) for name, *row in table.itertuples(name=None)]
            svg = Markup(to_svg(spread_figure(values, labels, UNITS), about))
            yield {"about": about, "columns": ["class", *table.columns], "rows": rows, "svg": svg}


def _class_parts(section: Section, labels: NDArray[np.str_], progress: Progress) -> Iterator[dict[str, Any]]:
    """Each class against all other spots: its strongest genes, and the three figures."""
    for name in dict.fromkeys(labels[labels != ""].tolist()):
        about = f"{name} on {section.name}, {kind_of(section)}"
        try:
            genes = differential_genes(section, labels, name, progress=progress)
        except RegionError as error:
            yield {"about": about, "problem": error.problem, "up": [], "down": [], "figures": []}
            continue
        up, down = strongest(genes)
        drawn = figures_of(genes, section, labels).items()
        figures = [(f"{about}: {kind}", Markup(to_svg(figure, f"{about}: {kind}"))) for kind, figure in drawn]
        yield {"about": about, "problem": "", "up": up, "down": down, "figures": figures}


def _compared(one: Any) -> dict[str, Any]:
    """What was compared: its figures as the Compare panel has them."""
    r = one.genes["pearson"].dropna()
    told = {gene: (*one.values(gene), float(r[gene])) for gene in r.index[:3]}
    drawn = {"Pearson r over genes": histogram_figure({"against measured": one.genes["pearson"].to_numpy()})}
    drawn |= {"The three best genes, one dot a spot": scatter_figure(told)} if told else {}
    return {
        "name": one.measured.name,
        "split": SPLIT_MEANING[one.split],
        "mean": float(r.mean()),
        "count": len(r),
        "spots": len(one.match.measured),
        "best": list(one.genes[["pearson", "low", "high"]].head(10).itertuples(name=None)),
        "figures": [(words, Markup(to_svg(figure, words))) for words, figure in drawn.items()],
    }


def _slide_row(slide: Slide) -> tuple[str, ...]:
    rows, columns = slide.shape
    mpp = "unknown" if slide.mpp is None else f"{slide.mpp:.4g}"
    return slide.name, f"{columns:,} × {rows:,}", mpp, slide.source


def _section_row(one: Section) -> tuple[str, ...]:
    spots, genes = one.table.shape
    return one.name, kind_of(one), one.patient, f"{spots:,}", f"{genes:,}", f"{one.spot_um:g}"


def _model_row(one: Section) -> tuple[str, ...]:
    source = record_of(one.table)
    seen = SPLIT_MEANING[source.split_of(one.name, one.patient)]
    words = (source.model_sha256, seen, ", ".join(source.training_sections), source.command)
    return one.name, *(word or "not stated" for word in words)


def _gene_rows(gene: str, content: ReportContent) -> Iterator[tuple[str, ...]]:
    for one in content.sections:
        if gene not in one.table.var_names:
            continue
        values = log_gene(one, gene)
        r = held_out_scores(one).get(gene)
        yield (
            gene,
            f"{one.name} {kind_of(one)}",
            f"{np.nanmean(values):.2f}",
            f"{100 * np.mean(values > 0):.0f}",
            "–" if r is None else f"{r:.2f}".replace("-", "−"),
        )


def _maps(content: ReportContent, progress: Progress) -> Iterator[dict[str, Any]]:
    """One figure for each gene and section, all of a gene with the same limits."""
    pairs = [(gene, one) for gene in content.genes for one in content.sections if gene in one.table.var_names]
    pairs = pairs[:_MOST_MAPS]
    limits = {
        gene: limits_of(np.concatenate([log_gene(one, gene) for name, one in pairs if name == gene]))
        for gene, _ in pairs
    }
    for gene, one in progress.track(pairs, "drawing genes", len(pairs)):
        caption = f"{gene} on {one.name}, {kind_of(one)}. {UNITS}; spots enlarged."
        panel = SpotMap(gene, log_gene(one, gene), UNITS, content.colour_map, limits[gene])
        yield {"svg": Markup(to_svg(spot_figure(one, [panel]), caption)), "caption": caption}


def _classes(layer: Layer) -> Iterator[dict[str, Any]]:
    """The closed shapes of a layer by class (its first feature of words) and colour; of a picture as well."""
    held, regions = held_regions(layer), []
    with suppress(RegionError):
        regions = regions_of(layer) if held or isinstance(layer, Shapes) else []
    names = [region.name for region in regions]
    if not held and regions:
        words = [name for name in layer.features if layer.features[name].dtype.kind not in "biufc"]
        own = layer.features[words[0]].tolist() if words else [layer.name] * layer.nshapes
        names = [str(own[place]) for place in closed_shapes(layer)]
    found: dict[tuple[str, str], list[float]] = {}
    for name, one, size in zip(names, regions, areas(regions), strict=True):
        found.setdefault((name, "rgb({}, {}, {})".format(*one.colour)), []).append(float(size))
    for (name, colour), sizes in found.items():
        yield {
            "layer": layer.name,
            "name": name,
            "colour": colour,
            "count": len(sizes),
            "area": f"{sum(sizes) / 1e6:.3f}",
        }
