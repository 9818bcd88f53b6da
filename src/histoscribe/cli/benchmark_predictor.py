"""`histoscribe benchmark predictor`: GR2ST beside its peers and baselines, on the same folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from histoscribe.cli.benchmark_outcome import Keep, Methods, Report, Tables, check_outputs, finish, names_in
from histoscribe.cli.console import caution
from histoscribe.cli.options import AsJson
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_cohort

if TYPE_CHECKING:
    from histoscribe.benchmark.predictor import GenePanel
    from histoscribe.benchmark.predictor.peers import Tiles
    from histoscribe.progress import Progress
    from histoscribe.section import Section


def predictor(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="A cohort CSV of measured sections.")],
    split: Annotated[Literal["section", "patient"], typer.Option(help="What is held out.")] = "section",
    methods: Methods = None,
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
    encoder: Annotated[
        str, typer.Option(help="What describes a tile: builtin, texture, both, a fetched one, a folder.")
    ] = "builtin",
    store: Annotated[Path | None, typer.Option(help="A folder that keeps descriptors for later.")] = None,
    ledger: Keep = None,
    out: Report = None,
    table: Tables = None,
    as_json: AsJson = False,
) -> None:
    """Hold out every section or patient once, and score the predictor beside its peers and baselines."""
    from histoscribe.benchmark import methods_of, run_benchmark
    from histoscribe.benchmark.predictor import predictor_benchmark
    from histoscribe.features import encoder_named, storing
    from histoscribe.predictor import encode_section

    check_outputs(data, out, table)
    chosen_panel = _panel(panel, panel_size, names_in(panel_chosen_on) or [])
    known, chosen = methods_of("predictor"), names_in(methods)
    if ablation:
        chosen = [
            *(chosen or []),
            *(name for name in known if name.startswith("histoscribe ")),
            "histoscribe",
        ]
    with job() as progress:
        described_by = encoder_named(encoder)
        sections = open_cohort([data], progress=progress)
        with storing(store):
            encoded = [encode_section(section, described_by, progress=progress) for section in sections]
        wants_pixels = chosen is None or any(known[name].needs for name in chosen if name in known)
        benchmark = predictor_benchmark(
            encoded,
            dataset=data.parent.name if data.stem == "cohort" else data.stem,
            split=split,
            methods=chosen,
            panel=chosen_panel,
            target=target,
            seeds=range(seeds),
            tiles=_pixels(sections, progress) if wants_pixels else None,
            folds=names_in(folds),
        )
        outcome = run_benchmark(benchmark, ledger=ledger, progress=progress)
        outcome["settings"]["encoder"] = described_by.name
    caution(f"{section.name}: {warning}" for section in sections for warning in section.warnings)
    if target == "published":
        caution(
            ["the published target lets depth leak into every gene: these numbers reproduce, not compare"]
        )
    finish(context, outcome, benchmark.layout, out=out, table=table, as_json=as_json)


def _panel(given: str | None, size: int, chosen_on: list[str]) -> GenePanel:
    from histoscribe.benchmark.predictor import GenePanel
    from histoscribe.genes import read_gene_list

    if given is None:
        return GenePanel(size)
    if given == "all":
        return GenePanel(1_000_000)
    return GenePanel(genes=tuple(read_gene_list(Path(given))), chosen_on=tuple(chosen_on))


def _pixels(sections: list[Section], progress: Progress) -> Tiles | None:
    """Crops of every section's counted spots for the peer that learns from pixels."""
    import numpy as np

    from histoscribe.benchmark.predictor.methods.brstnet import CROP_UM, SIDE
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
