"""The benchmark's HTML report: tables and figures on one page that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.benchmark.methods import REFERENCE
from histoscribe.benchmark.tables import VARIED, Outcome, Pairs, TableLayout, Values, tables_of, values_of
from histoscribe.evaluation.figures import blank_figure, to_svg
from histoscribe.evaluation.report import render_page
from histoscribe.palette import ACCENT, INK, MARK, PALE, SOFT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_benchmark_report(outcome: Outcome, path: str | PathLike[str], layout: TableLayout) -> None:
    """Write what `run_benchmark` returned as one self-contained HTML page, atomically.

    Raises `StorageError` if it cannot be written.
    """
    from markupsafe import Markup

    controls = {method for _, method, _ in layout.held} - {REFERENCE}
    figures: list[tuple[str, Figure]] = []
    for dataset in dict.fromkeys(one["dataset"] for one in outcome["records"]):
        values = values_of(outcome, dataset)
        measure = next((name for _, _, name in values if layout.leads(name)), None)
        if measure is not None:
            names = layout.ranked(values, measure)
            plain = [name for name in names if not name.startswith(VARIED) and name not in controls]
            caption = f"{measure} of each method on {dataset}; dots are folds, bars their mean."
            figures.append((caption, _methods_figure(values, plain, measure, layout)))
    varied = [pair for pair in outcome["paired"] if pair["other"].startswith(VARIED)]
    if varied:
        caption = "By how much the default is better than with a part left out or added, with 95 % intervals."
        figures.append((caption, _ablation_figure(varied, layout)))
    render_page(
        Path(__file__).parent / "report.html.j2",
        path,
        layout=layout,
        settings=outcome["settings"],
        tables=tables_of(outcome, layout),
        figures=[(caption, Markup(to_svg(figure, caption))) for caption, figure in figures],
    )


def _methods_figure(values: Values, ranked: Sequence[str], measure: str, layout: TableLayout) -> Figure:
    names = list(ranked)[::-1]
    figure, axes = blank_figure(6.4, max(0.34 * len(names) + 0.9, 1.6))
    means = [values[name, "all", measure]["value"] for name in names]
    colours = [ACCENT if name == REFERENCE else PALE for name in names]
    axes.barh(range(len(names)), means, color=colours, height=0.66, zorder=1)
    for place, name in enumerate(names):
        each = [
            one["value"]
            for (method, fold, one_measure), one in values.items()
            if (method, one_measure) == (name, measure) and fold != "all"
        ]
        axes.plot(each, [place] * len(each), "o", ms=3.6, color=INK, mec="white", mew=0.5, zorder=2)
        axes.annotate(
            f"{means[place]:.3f}",
            (max(*each, means[place], 0.0), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(layout.label or measure)
    axes.margins(x=0.12)
    return figure


def _ablation_figure(pairs: Pairs, layout: TableLayout) -> Figure:
    ordered = sorted(pairs, key=lambda pair: pair["difference"])
    figure, axes = blank_figure(6.4, max(0.34 * len(ordered) + 0.9, 1.6))
    for place, pair in enumerate(ordered):
        gain = pair["difference"]
        axes.plot([pair["low"], pair["high"]], [place, place], color=SOFT, lw=1.4, zorder=1)
        axes.plot(gain, place, "o", ms=6, color=ACCENT if gain > 0 else MARK, zorder=2)
    axes.axvline(0, color=SOFT, lw=0.8, ls=":")
    axes.set_yticks(range(len(ordered)), [pair["other"].removeprefix(f"{REFERENCE} ") for pair in ordered])
    axes.set_xlabel(f"By how much the default is better, in mean {layout.label}")
    return figure
