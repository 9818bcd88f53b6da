"""The benchmark's HTML report: tables and figures on one page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histoscribe.benchmark.predictor.run import REFERENCE, VARIED
from histoscribe.evaluation.figures import ACCENT, INK, MARK, SOFT, to_svg
from histoscribe.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEMPLATE = "report.html.j2"
_COLUMNS = {
    "pearson": "Mean r",
    "pearson_top50": "Top 50 (by training)",
    "pearson_best50": "Best 50 (by test)",
    "spearman": "Spearman",
    "mse": "MSE",
    "mae": "MAE",
    "ssim": "SSIM",
    "svg_pearson": "r of spatial genes",
    "svg_recovered": "Spatial genes recovered",
    "coverage": "Coverage of 90 %",
}


def write_benchmark_report(outcome: Mapping[str, Any], path: str | PathLike[str]) -> None:
    """Write one self-contained HTML page, atomically.

    Parameters
    ----------
    outcome : mapping
        What `run_benchmark` returned.
    path : path

    Raises
    ------
    StorageError
        If the page cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, Path(__file__).parents[1] / "evaluation"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = _interval
    records = outcome["records"]
    methods = list(dict.fromkeys(record["method"] for record in records))
    ablated = [name for name in methods if name.startswith(VARIED)]
    compared = [name for name in methods if name not in ablated]
    tested = outcome["settings"]["tested"]
    pairs = {pair["other"]: pair for pair in outcome["paired"]}
    figures = [
        (
            "Mean r per method; dots are held-out sections, bars their mean.",
            _methods_figure(records, compared, tested),
        )
    ]
    if ablated and REFERENCE in methods:
        figures.append(
            (
                "By how much the default is better than with a part left out or added, with 95 % intervals.",
                _ablation_figure([pairs[name] for name in ablated]),
            )
        )
    page = environment.get_template(_TEMPLATE).render(
        settings=outcome["settings"],
        columns=_COLUMNS,
        compared=[(name, _row(records, name)) for name in _ranked(records, compared)],
        ablated=[(name.removeprefix(VARIED), _row(records, name), pairs.get(name)) for name in ablated],
        sections=[
            (name, [(method, _value(records, method, name)) for method in compared]) for name in tested
        ],
        pairs=[pairs[name] for name in compared if name in pairs],
        methods=compared,
        ours=REFERENCE,
        figures=[(caption, Markup(to_svg(figure, caption))) for caption, figure in figures],
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    with replacing(path) as fresh:
        fresh.write_text(page, encoding="utf-8")


Records = Sequence[Mapping[str, Any]]


def _value(records: Records, method: str, fold: str, measure: str = "pearson") -> float | None:
    wanted = (method, fold, measure)
    return next(
        (float(r["value"]) for r in records if (r["method"], r["fold"], r["measure"]) == wanted), None
    )


def _row(records: Records, method: str) -> dict[str, Mapping[str, Any]]:
    """The means over sections of one method, by measure."""
    return {r["measure"]: r for r in records if r["method"] == method and r["fold"] == "all"}


def _ranked(records: Records, methods: Sequence[str]) -> list[str]:
    return sorted(methods, key=lambda name: -(_value(records, name, "all") or 0.0))


def _methods_figure(records: Records, methods: Sequence[str], tested: Sequence[str]) -> Figure:
    names = _ranked(records, methods)[::-1]
    figure, axes = _figure(0.34 * len(names) + 0.9)
    values = [_value(records, name, "all") or 0.0 for name in names]
    colours = [ACCENT if name == REFERENCE else "#c9cfdd" for name in names]
    axes.barh(range(len(names)), values, color=colours, height=0.66, zorder=1)
    for place, name in enumerate(names):
        each = [_value(records, name, section) or 0.0 for section in tested]
        axes.plot(each, [place] * len(each), "o", ms=3.6, color=INK, mec="white", mew=0.5, zorder=2)
        axes.annotate(
            f"{values[place]:.3f}",
            (max(*each, values[place], 0.0) if len(each) > 1 else max(values[place], 0.0), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("Pearson's r, mean over genes")
    axes.margins(x=0.12)
    return figure


def _ablation_figure(pairs: Sequence[Mapping[str, Any]]) -> Figure:
    ordered = sorted(pairs, key=lambda pair: pair["difference"])
    figure, axes = _figure(0.34 * len(ordered) + 0.9)
    for place, pair in enumerate(ordered):
        gain = pair["difference"]
        axes.plot([pair["low"], pair["high"]], [place, place], color=SOFT, lw=1.4, zorder=1)
        axes.plot(gain, place, "o", ms=6, color=ACCENT if gain > 0 else MARK, zorder=2)
    axes.axvline(0, color=SOFT, lw=0.8, ls=":")
    axes.set_yticks(range(len(ordered)), [pair["other"].removeprefix(VARIED) for pair in ordered])
    axes.set_xlabel("By how much the default is better, in mean r")
    return figure


def _figure(height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, max(height, 1.6)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def _interval(record: Mapping[str, Any] | None, bounds: bool) -> str:
    """A record as `value`, or as `value (low to high)`; a dash where there is none."""
    if record is None or not np.isfinite(record["value"]):
        return "–"
    within = f" ({record['low']:.3f} to {record['high']:.3f})" if bounds else ""
    return f"{record['value']:.3f}{within}"
