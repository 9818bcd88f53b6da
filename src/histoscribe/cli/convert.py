"""`histoscribe convert`: a slide as OME-Zarr or pyramidal OME-TIFF, a section as h5ad, SpatialData or CSV."""

import warnings
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from histoscribe.cli import options
from histoscribe.cli.console import answer, call, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_target, output_place, refuse_given
from histoscribe.errors import require_known
from histoscribe.formats import ENDINGS, write


def convert(
    source: Annotated[Path, typer.Argument(help="A slide, a section, or a cohort CSV with --section.")],
    target: Annotated[
        Path, typer.Argument(help="Slide: .ome.tif or .ome.zarr. Section: .h5ad, .zarr (SpatialData), .csv.")
    ],
    section: options.InCohort = None,
    mpp: options.SlideMpp = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="JPEG quality of an .ome.tif: smaller, with loss. Without it, none."
        ),
    ] = None,
    gene: Annotated[
        list[str] | None, typer.Option(help="A gene of the .csv (repeatable); all without it.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a slide or a section in another format; nothing is lost unless --quality says so.

    A slide's label and macro image are left out, because a label may name the patient. Writing OME-Zarr goes
    on where a stopped run left off.
    """
    from histoscribe.slide import Slide

    output_place(target, *dict.fromkeys(chain(*ENDINGS.values())), inputs=[source])
    with job() as progress, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        progress.report("opening")
        opened = open_target(source, section=section, mpp=mpp)
        facts: dict[str, Any]
        if isinstance(opened, Slide):
            refuse_given("a slide has no genes", source, gene=gene or None)
            write(opened, target, quality=quality, progress=progress)
            facts = {
                "kind": "slide",
                "rows_columns": list(opened.levels[0].shape),
                "levels": len(opened.levels),
                "mpp": opened.mpp,
                "without_loss": quality is None,
            }
        else:
            refuse_given("a section has no JPEG quality", source, quality=quality)
            if target.suffix.lower() != ".csv":
                refuse_given("only a .csv leaves genes out", target, gene=gene or None)
            require_known("gene", gene or (), opened.genes, where=source)
            write(opened, target, genes=gene or None)
            spots, genes = opened.table.shape
            facts = {"kind": "section", "name": opened.name, "spots": spots, "genes": genes}
    doubts = [*opened.warnings, *_of_tiles(told)]
    facts = {"written": target, **facts, "seconds": call().seconds}
    answer(f"Written {target}", facts, warnings=doubts)
    if not as_json:
        caution(doubts)


def _of_tiles(told: list[warnings.WarningMessage]) -> list[str]:
    from histoscribe.slide.tiled import BrokenTileWarning
    from histoscribe.slide.zarr.backend import MissingTileWarning

    kinds = (BrokenTileWarning, MissingTileWarning)
    return [str(warning.message) for warning in told if issubclass(warning.category, kinds)]
