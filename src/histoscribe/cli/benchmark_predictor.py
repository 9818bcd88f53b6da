"""`histoscribe benchmark predictor`: GR2ST beside its peers and baselines, on the same folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from histoscribe.cli.console import caution, command_line, emit, show, show_rows, words
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_cohort, output_file
from histoscribe.cli.train import read_panel

if TYPE_CHECKING:
    from histoscribe.benchmark.predictor import Panel
    from histoscribe.benchmark.predictor.methods import Tiles
    from histoscribe.progress import Progress
    from histoscribe.section import Section

_SHOWN = (
    "pearson",
    "pearson_top50",
    "pearson_best50",
    "spearman",
    "mse",
    "ssim",
    "svg_recovered",
    "coverage",
)


def predictor(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="A cohort CSV of measured sections.")],
    split: Annotated[Literal["section", "patient"], typer.Option(help="What is held out.")] = "section",
    methods: Annotated[str | None, typer.Option(help="Names with commas between; all by default.")] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="The default with each part left out or added.")
    ] = False,
    folds: Annotated[str | None, typer.Option(help="Only these held-out sections or patients.")] = None,
    panel_size: Annotated[int, typer.Option(min=1, help="How many genes, chosen in each fold.")] = 250,
    panel: Annotated[str | None, typer.Option(help="A file with one gene a line, or: all.")] = None,
    panel_chosen_on: Annotated[
        str | None, typer.Option(help="Sections that this list was chosen with; none may be held out.")
    ] = None,
    target: Annotated[
        Literal["clean", "published"], typer.Option(help="published only reproduces papers: depth leaks.")
    ] = "clean",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many seeds, from 0 on.")] = 1,
    encoder: Annotated[str, typer.Option(help="What describes a tile.")] = "builtin",
    store: Annotated[Path | None, typer.Option(help="A folder that keeps descriptors for later.")] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Scores are kept here; a stopped run goes on from it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="An HTML report.")] = None,
    table: Annotated[Path | None, typer.Option(help="The scores as Markdown tables.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Hold out every section or patient once, and score the predictor beside its peers and baselines."""
    from histoscribe import __version__
    from histoscribe.benchmark.predictor import ABLATIONS, run_benchmark
    from histoscribe.benchmark.report import write_benchmark_report
    from histoscribe.benchmark.tables import write_tables
    from histoscribe.features import encoder_named, storing
    from histoscribe.predictor import encode_section

    if out is not None:
        output_file(out, ".html", inputs=[data])
    if table is not None:
        output_file(table, ".md", inputs=[data])
    chosen_panel = _panel(panel, panel_size, _names(panel_chosen_on) or [])
    chosen = _names(methods)
    if ablation:
        chosen = [*(chosen or []), *ABLATIONS, "histoscribe"]
    with job() as progress:
        described_by = encoder_named(encoder)
        sections = open_cohort([data], progress=progress)
        with storing(store):
            encoded = [encode_section(section, described_by, progress=progress) for section in sections]
        wants_pixels = chosen is None or "brstnet" in chosen
        outcome = run_benchmark(
            encoded,
            dataset=data.parent.name if data.stem == "cohort" else data.stem,
            split=split,
            methods=None if chosen is None else list(dict.fromkeys(chosen)),
            panel=chosen_panel,
            target=target,
            seeds=range(seeds),
            tiles=_pixels(sections, progress) if wants_pixels else None,
            folds=_names(folds),
            ledger=ledger,
            progress=progress,
        )
        outcome["settings"] |= {
            "encoder": described_by.name,
            "command": command_line(context),
            "versions": {"napari-histoscribe": __version__},
        }
        if out is not None:
            progress.report("drawing the report")
            write_benchmark_report(outcome, out)
        if table is not None:
            write_tables(outcome, table)
    caution(f"{section.name}: {warning}" for section in sections for warning in section.warnings)
    if target == "published":
        caution(
            ["the published target lets depth leak into every gene: these numbers reproduce, not compare"]
        )
    if as_json:
        emit(outcome)
        return
    show("Benchmark", outcome["settings"].items())
    means = [record for record in outcome["records"] if record["fold"] == "all"]
    rows = [
        (
            record["method"],
            record["measure"],
            f"{record['value']:.3f}",
            f"{record['low']:.3f} to {record['high']:.3f}",
        )
        for record in means
        if record["measure"] in _SHOWN
    ]
    show_rows(("method", "measure", "mean over sections", "95 % interval"), rows)
    if out is not None:
        words.print(f"Report: {out}", markup=False)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _panel(given: str | None, size: int, chosen_on: list[str]) -> Panel:
    from histoscribe.benchmark.predictor import Panel

    if given is None:
        return Panel(size)
    if given == "all":
        return Panel(1_000_000)
    return Panel(genes=tuple(read_panel(Path(given))), chosen_on=tuple(chosen_on))


def _pixels(sections: list[Section], progress: Progress) -> Tiles | None:
    """Crops of every section's counted spots for the peer that learns from pixels."""
    import numpy as np

    from histoscribe.benchmark.predictor.peers.brstnet import CROP_UM, SIDE
    from histoscribe.tiles import read_crops, spot_tiles

    found = {}
    for section in sections:
        if section.slide is None:
            return None
        depth = np.asarray(section.table.X.sum(axis=1)).reshape(-1)
        counted = section.with_table(section.table[depth > 0])
        crops = read_crops(
            section.slide, spot_tiles(counted), crop_um=CROP_UM, mpp=CROP_UM / SIDE, progress=progress
        )
        found[section.name] = np.concatenate(list(crops))
    return found
