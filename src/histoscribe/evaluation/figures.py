"""Figures of genes on tissue and of scores, readable for the colour-blind, in any theme."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Mask, Pixels, Wide
from histoscribe.palette import ACCENT, INK, MARK, SOFT, scale_bar
from histoscribe.section import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure

    from histoscribe.slide import Slide

EXPRESSION, DIFFERENCE = "viridis", "RdBu_r"
LONGEST_SIDE = 420
_FILLED = 0.94
_MAP_SIDE, _BAR_ROOM, _GAP, _TITLE_ROOM, _SCALE_ROOM = 2.2, 0.8, 0.12, 0.28, 0.3
_STYLE: Any = {
    "font.size": 9.0,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.linewidth": 0.8,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "histoscribe",
}


@dataclass(frozen=True, eq=False)
class SpotMap:
    """One map of values on the spots of a section."""

    title: str
    values: NDArray[np.floating]
    """Shape (spots,)."""
    units: str = "log1p counts per 10,000"
    """Written beside the colour bar."""
    colours: str = EXPRESSION
    """Name of a matplotlib colour map."""
    limits: tuple[float, float] | None = None
    """Values of the first and last colour; the 1st and 99th percentile where None."""
    bar: bool = True
    """Whether to draw the colour bar: not where the next panel's counts for both."""


def expression_panels(
    measured: NDArray[np.floating], predicted: NDArray[np.floating], truth: NDArray[np.floating] | None = None
) -> list[SpotMap]:
    """Measured, predicted and (where known) true values of a gene, then the difference."""
    shown = {"measured": measured, "predicted": predicted}
    if truth is not None:
        shown["truth"] = truth
    together = limits_of(np.concatenate(list(shown.values())))
    last = list(shown)[-1]
    panels = [SpotMap(title, values, limits=together, bar=title == last) for title, values in shown.items()]
    difference = np.asarray(predicted, dtype=float) - measured
    most = float(np.quantile(np.abs(difference), 0.99)) or 1.0
    return [*panels, SpotMap("predicted − measured", difference, "difference", DIFFERENCE, (-most, most))]


def limits_of(values: NDArray[np.floating]) -> tuple[float, float]:
    """The 1st and 99th percentile, widened where they coincide."""
    low, high = np.nanquantile(values, [0.01, 0.99])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def spot_figure(section: Section, panels: Sequence[SpotMap], *, with_tissue: bool = True) -> Figure:
    """Draw values on the spots of a section, side by side, the H&E image first.

    Spots are drawn enlarged until neighbours almost touch, so that the pattern can be seen.

    `panels` come from left to right. The figure is transparent; save it with `figure.savefig` or `to_svg`.
    """
    slide = section.slide if with_tissue else None
    with styled():
        figure, axes = _map_row([*([False] if slide else []), *(panel.bar for panel in panels)], section)
        if slide is not None:
            draw_tissue(axes[0], slide, section)
            axes[0].set_title("H&E")
        for place, panel in zip(axes[slide is not None :], panels, strict=True):
            _draw_panel(place, section, panel)
        if slide is None and axes:
            _bar_below(axes[0])
    return figure


def tissue_figure(section: Section) -> Figure:
    """The H&E image of a section with its spots in their true size, and a scale bar."""
    with styled():
        figure, (axes,) = row(1, side=3.7)
        if section.slide is not None:
            draw_tissue(axes, section.slide, section, longest=640)
        rings = _discs(axes, section, section.spot_um)
        rings.set(facecolor="none", edgecolor=INK, linewidth=0.35, alpha=0.8, rasterized=True)
        if section.slide is None:
            _frame(axes, section)
            _bar_below(axes)
    return figure


def histogram_figure(scores: Mapping[str, Wide]) -> Figure:
    """The distribution of r over genes: the first filled with its mean, the rest as outlines."""
    with styled():
        figure, (axes,) = row(1, side=3.3, wide=1.25)
        every = np.concatenate([values[np.isfinite(values)] for values in scores.values()])
        low = min(-0.2, float(every.min(initial=0)))
        bins = [float(edge) for edge in np.arange(np.floor(low * 20) / 20, 1.0001, 0.05)]
        for index, (label, values) in enumerate(scores.items()):
            values = values[np.isfinite(values)]
            if index == 0:
                axes.hist(values, bins, color=ACCENT, alpha=0.75, label=label, rwidth=0.94)
                if values.size:
                    axes.axvline(values.mean(), color=INK, linewidth=1.2)
            else:
                axes.hist(values, bins, histtype="step", color=MARK, linewidth=1.5, label=label)
        axes.axvline(0, ymax=0.8, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set(xlabel="Pearson r of a gene (line: mean)", ylabel="genes", title="How r is spread")
        if len(scores) > 1:
            axes.legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def detection_figure(detected: NDArray[np.floating], r: NDArray[np.floating], top: Mask) -> Figure:
    """Each gene's r against the share of spots in which it was counted."""
    with styled():
        figure, (axes,) = row(1, side=3.3, wide=1.25)
        for chosen, colour, label in ((~top, ACCENT, "other genes"), (top, MARK, "top 50")):
            x, y = 100 * detected[chosen], r[chosen]
            axes.scatter(x, y, s=13, color=colour, alpha=0.7, linewidths=0, label=label)
        axes.axhline(0, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set(xlabel="spots in which it was counted, %", ylabel="Pearson r", title="Which genes are found")
        if top.any():
            axes.legend(frameon=False, fontsize=8, loc="best")
    return figure


def scatter_figure(genes: Mapping[str, tuple[NDArray[np.floating], NDArray[np.floating], float]]) -> Figure:
    """Predicted against measured values of a few genes: name → (measured, predicted, r)."""
    with styled():
        figure, axes = row(len(genes), side=2.5, wide=1.12)
        for place, (gene, (measured, predicted, r)) in zip(axes, genes.items(), strict=True):
            place.scatter(measured, predicted, s=9, color=ACCENT, alpha=0.45, linewidths=0, rasterized=True)
            ends = (min(measured.min(), predicted.min()), max(measured.max(), predicted.max()))
            place.plot(ends, ends, color=SOFT, linewidth=0.9, linestyle=(0, (3, 3)))
            place.set(xlabel="measured", title=f"{gene}, r = {r:.2f}")
        axes[0].set_ylabel("predicted")
    return figure


def thumbnail(slide: Slide, longest: int = LONGEST_SIDE) -> Pixels:
    """A small image of a whole slide, its longest side at most `longest` pixels, shape (rows, columns, 3)."""
    from PIL import Image

    fine = [level for level in slide.levels if max(level.shape) >= longest] or [slide.levels[0]]
    image = Image.fromarray(np.asarray(fine[-1].pixels[:]))
    image.thumbnail((longest, longest), Image.Resampling.BOX)
    return np.asarray(image)


def draw_tissue(axes: Axes, slide: Slide, section: Section, longest: int = LONGEST_SIDE) -> None:
    """Draw the slide, in µm, cut to where the section's spots are, with a scale bar."""
    rows, columns = (side * section.mpp for side in slide.shape)
    image = thumbnail(slide, longest)
    axes.imshow(image, extent=(0, columns, rows, 0), interpolation="antialiased")
    _frame(axes, section)
    _bar_below(axes)


def blank_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A transparent figure with one pair of axes, without frame and ticks; sizes in inches."""
    with styled():
        figure, (axes,) = row(1, size=(width, height))
        axes.tick_params(length=0)
    return figure, axes


def to_svg(figure: Figure, label: str) -> str:
    """The figure as an `<svg>` element for a web page; its ink takes the page's text colour.

    `label`: what it shows, for those who cannot see it.
    """
    from html import escape

    stream = io.StringIO()
    with styled():
        figure.savefig(stream, format="svg", dpi=140, transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    head, body = text.split(">", 1)
    box = head[head.index("viewBox=") :].split('"')[1]
    opening = f'<svg role="img" aria-label="{escape(label)}" viewBox="{box}" xmlns:xlink="http://www.w3.org/1999/xlink"'
    start, end = body.index("<metadata>"), body.index("</metadata>") + len("</metadata>")
    return f"{opening}>{body[:start]}{body[end:]}".replace(INK, "currentColor")


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of all figures meanwhile."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def _canvas(width: float, height: float, *, constrained: bool = False) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout: Any = "constrained" if constrained else None
    figure = Figure(figsize=(width, height), layout=layout, facecolor="none")
    FigureCanvasAgg(figure)
    return figure


def row(
    count: int, *, side: float = 2.35, wide: float = 1.0, size: tuple[float, float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A transparent figure with axes side by side; sizes in inches."""
    figure = _canvas(*(size or (side * wide * count, side * 1.12)), constrained=True)
    grid: Any = figure.subplots(1, count, squeeze=False)
    for axes in grid[0]:
        axes.set_facecolor("none")
    return figure, list(grid[0])


def _map_row(bars: Sequence[bool], section: Section) -> tuple[Figure, list[Axes]]:
    """Maps of equal size side by side, with room on the right of those that have a colour bar."""
    extent = np.ptp(section.centres_um, axis=0) + 2 * section.spacing_um
    height = _MAP_SIDE * float(np.clip(extent[0] / extent[1], 0.4, 2))
    lefts = np.concatenate([[0], np.cumsum([_MAP_SIDE + (_BAR_ROOM if bar else _GAP) for bar in bars])])
    size = float(lefts[-1]), height + _TITLE_ROOM + _SCALE_ROOM
    figure = _canvas(*size)
    box = (_SCALE_ROOM / size[1], _MAP_SIDE / size[0], height / size[1])
    axes = [figure.add_axes((float(left) / size[0], *box), facecolor="none") for left in lefts[:-1]]
    return figure, axes


def _frame(axes: Axes, section: Section) -> None:
    """Show just where the spots are, in µm, without axes."""
    centres, rim = section.centres_um, section.spacing_um
    top, left = centres.min(axis=0) - rim
    bottom, right = centres.max(axis=0) + rim
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _discs(axes: Axes, section: Section, size: float) -> EllipseCollection:
    """A disc on each spot, `size` µm wide."""
    from matplotlib.collections import EllipseCollection

    places = section.centres_um[:, ::-1]
    discs = EllipseCollection(size, size, 0, units="xy", offsets=places, transOffset=axes.transData)
    axes.add_collection(discs)
    return discs


def _draw_panel(axes: Axes, section: Section, panel: SpotMap) -> None:
    spots = _discs(axes, section, section.spacing_um * _FILLED)
    limits = panel.limits or limits_of(panel.values)
    spots.set(array=np.asarray(panel.values), cmap=panel.colours, clim=limits, linewidth=0, rasterized=True)
    _frame(axes, section)
    axes.set_title(panel.title)
    if panel.bar:
        assert axes.figure is not None
        beside = axes.inset_axes((1.03, 0.12, 0.045, 0.76))
        bar = axes.figure.colorbar(spots, cax=beside, extend="both")
        bar.outline.set_visible(False)
        bar.set_label(panel.units, fontsize=8, labelpad=7)
        bar.ax.tick_params(labelsize=8, length=2)


def _bar_below(axes: Axes) -> None:
    """A scale bar below the picture's lower left corner."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    scale_bar(axes, left, bottom + 0.03 * (bottom - top), (right - left) / 4)
