"""The HTML report: one page that stands alone, with figures and every gene's scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histoscribe import __version__
from histoscribe.errors import TableError
from histoscribe.evaluation.comparison import Comparison, pooled
from histoscribe.files import replacing
from histoscribe.progress import Progress
from histoscribe.record import SPLIT_MEANING

if TYPE_CHECKING:
    from markupsafe import Markup

FIRST_GENES = 50


@dataclass(frozen=True)
class _Figure:
    svg: Markup
    caption: str
    wide: bool = False


def write_report(
    comparisons: Sequence[Comparison] | Comparison,
    path: str | PathLike[str],
    *,
    title: str = "Predicted beside measured expression",
    progress: Progress | None = None,
) -> None:
    """Write one self-contained HTML page, atomically; it needs no network to be read.

    Raises
    ------
    TableError
        If there is nothing to report.
    StorageError
        If the page cannot be written.
    """
    chosen = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    if not chosen:
        raise TableError("there is no comparison to report", remedy="compare at least one section")
    progress = progress or Progress()
    sections = [_section(one) for one in progress.track(chosen, "drawing figures", len(chosen))]
    render_page(
        Path(__file__).parent / "report.html.j2",
        path,
        title=title,
        sections=sections,
        pooled=pooled(chosen),
        meanings=SPLIT_MEANING,
        first=FIRST_GENES,
        version=__version__,
    )


def render_page(template: Path, path: str | PathLike[str], **shown: Any) -> None:
    """Fill a template beside our style sheet, and write it as one page, atomically.

    Raises `StorageError` if the page cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["width"] = lambda r: round(100 * min(max(r, 0), 1)) if np.isfinite(r) else 0  # in %
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = environment.get_template(template.name).render(made=made, **shown)
    with replacing(path) as fresh:
        fresh.write_text(page, encoding="utf-8")


def _section(one: Comparison) -> dict[str, Any]:
    """Everything that the template shows of one comparison."""
    table, source, summary = one.per_gene.reset_index(), one.record, one.summary
    stated = [
        ("Split", summary["split"]),
        ("Panel", summary["panel"]),
        ("Target", summary["target"]),
        ("Trained on sections", ", ".join(source.training_sections)),
        ("Trained on patients", ", ".join(source.training_patients)),
        ("Spots matched by", summary["matched_by"]),
        ("Top 50 genes by", summary["top50_by"]),
        ("Interval", summary["interval"]),
        ("Model (SHA-256)", source.model_sha256),
        ("Command", source.command),
        ("Versions", ", ".join(f"{name} {number}" for name, number in source.versions.items())),
    ]
    return {
        "name": one.section.name,
        "summary": summary,
        "verdict": one.record.judged(one.section.name, one.section.patient),
        "warnings": one.warnings,
        "settings": [(name, text or "not stated by the prediction") for name, text in stated],
        "figures": _overview(one),
        "maps": _maps(one),
        "genes": table.to_dict(orient="records"),
        "has_truth": one.truth is not None,
    }


def shown_genes(one: Comparison) -> list[tuple[str, str]]:
    """The genes whose maps are shown, each with the reason: the two best and the median one."""
    ranked = one.per_gene["pearson"].dropna()
    if ranked.empty:
        return []
    picks = {ranked.index[0]: "the best gene"}
    if len(ranked) > 2:
        picks[ranked.index[1]] = "the second best gene"
        picks.setdefault(ranked.index[len(ranked) // 2], "the median gene")
    return list(picks.items())


def _overview(one: Comparison) -> list[_Figure]:
    from markupsafe import Markup

    from histoscribe.evaluation.figures import detection_figure, histogram_figure, tissue_figure, to_svg

    r = one.per_gene["pearson"].to_numpy()
    scores = {"against measured": r}
    if one.truth is not None:
        scores["against truth"] = one.per_gene["pearson_truth"].to_numpy()
    detected, top = one.per_gene["detected"].to_numpy(), one.per_gene["top50"].to_numpy(dtype=bool)
    stained = "H&E with the spots" if one.section.slide is not None else "The spots"
    drawn = [
        (tissue_figure(one.section), f"{stained} of {one.section.name} in their true size."),
        (histogram_figure(scores), "Pearson r over genes."),
        (detection_figure(detected, r, top), "Each gene's r against how often it was counted."),
    ]
    return [_Figure(Markup(to_svg(figure, caption)), caption) for figure, caption in drawn]


def _maps(one: Comparison) -> list[_Figure]:
    from markupsafe import Markup

    from histoscribe.evaluation.figures import expression_panels, scatter_figure, spot_figure, to_svg

    figures, scatters = [], {}
    for gene, why in shown_genes(one):
        scores, (measured, predicted, truth) = one.per_gene.loc[gene].to_dict(), one.of(gene)
        r = float(scores["pearson"])
        caption = f"{gene}, {why}: r = {r:.2f}"
        if truth is not None:
            caption += f", {_number(float(scores['pearson_truth']), 2)} against the truth"
        figure = spot_figure(one.section, expression_panels(measured, predicted, truth))
        figures.append(_Figure(Markup(to_svg(figure, caption)), f"{caption}.", wide=True))
        scatters[gene] = (measured, predicted, r)
    if scatters:
        caption = "Predicted against measured, one dot a spot; on the dashed line both agree."
        svg = to_svg(scatter_figure(scatters), caption)
        figures.append(_Figure(Markup(svg), caption, wide=True))
    return figures


def _number(value: float | None, digits: int = 3) -> str:
    """A number for reading; a dash where it is undefined."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")
