"""`histoscribe predict`: expression on the spots of a section, on a grid or in a drawn region."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histoscribe.cli.console import caution, command_line, emit, show, words
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_target, output_file
from histoscribe.errors import SectionError, SlideError

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.predictor import Predictor
    from histoscribe.progress import Progress
    from histoscribe.section import Section
    from histoscribe.slide import Slide

GRID_UM = 55.0


def predict(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="A model's folder.")],
    target: Annotated[Path, typer.Argument(help="A slide, a section or a cohort CSV.")],
    out: Annotated[Path, typer.Option(help="The h5ad file to write.")],
    grid_um: Annotated[
        float | None, typer.Option(min=1.0, help="Predict on a grid with this pitch in µm (slides: 55).")
    ] = None,
    region: Annotated[Path | None, typer.Option(help="GeoJSON; predict a grid inside it only.")] = None,
    section: Annotated[str | None, typer.Option(help="Which section of a cohort CSV.")] = None,
    mpp: Annotated[
        float | None, typer.Option(min=0.01, help="µm per pixel where the slide has none.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Predict expression on a section's spots, or on a grid over a slide or a drawn region."""
    from histoscribe.predictor import Predictor
    from histoscribe.section import Section, write_section

    output_file(out, ".h5ad", inputs=[target])
    start = time.monotonic()
    with job() as progress:
        progress.report("opening model and target")
        predictor = Predictor.load(model, device=device)
        opened = open_target(target, section=section, mpp=mpp)
        if isinstance(opened, Section) and grid_um is None and region is None:
            table = predictor.predict_section(opened, progress=progress).table
        else:
            slide = _slide_of(opened, target)
            table = _on_grid(predictor, slide, opened.name, grid_um or GRID_UM, region, progress)
        table.uns["histoscribe"]["command"] = command_line(context)
        progress.report("writing")
        write_section(table, out)
    facts = {
        "written": out,
        "spots": table.n_obs,
        "genes": table.n_vars,
        "model": predictor.card.sha256,
        "seconds": round(time.monotonic() - start, 1),
    }
    caution(opened.warnings)
    if as_json:
        emit({**facts, "command": command_line(context), "warnings": opened.warnings})
        return
    show("Prediction", facts.items())
    which = f" --section {section}" if section else ""
    words.print(f"Next: histoscribe view {target} {out}{which}", markup=False)


def _slide_of(opened: Section | Slide, path: Path) -> Slide:
    from histoscribe.section import Section

    if not isinstance(opened, Section):
        return opened
    if opened.slide is None:
        raise SectionError(
            "this section has no slide to predict from", where=path, remedy="name its slide in a cohort CSV"
        )
    return opened.slide


def _on_grid(
    predictor: Predictor, slide: Slide, name: str, pitch_um: float, region: Path | None, progress: Progress
) -> AnnData:
    from histoscribe.tiles import grid_tiles, read_regions

    drawn = None if region is None else read_regions(region)
    tiles = grid_tiles(slide, pitch_um, region=drawn)
    if not len(tiles):
        raise SlideError(
            "no tissue was found to predict on", where=slide.path, remedy="draw it and pass it with --region"
        )
    return predictor.predict(slide, tiles, name=name, progress=progress)
