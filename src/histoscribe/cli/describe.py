"""`histoscribe describe`: the tiles of many slides described, into a store that other runs reuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli import options
from histoscribe.cli.batch import answer_all, run_batch
from histoscribe.cli.console import caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_target
from histoscribe.errors import HistoscribeError
from histoscribe.formats import kind_of

if TYPE_CHECKING:
    from histoscribe.section import Section
    from histoscribe.slide import Slide

_COLUMNS = ("tiles", "chunks", "reused", "damaged", "repeated", "seconds")


def describe(
    targets: Annotated[list[Path], typer.Argument(help="Slides, sections or cohort CSVs.")],
    store: Annotated[Path, typer.Option(help="Folder of the feature store.")],
    encoder: options.Encoder = "both",
    grid_um: options.GridUm = None,
    region: Annotated[Path | None, typer.Option(help="GeoJSON; only tiles inside it.")] = None,
    mpp: options.SlideMpp = None,
    device: options.Device = "auto",
    scheduler: options.Scheduler = None,
    as_json: options.AsJson = False,
) -> None:
    """Describe the tiles of many slides and keep the descriptors for train and predict.

    A run that was stopped or killed goes on where it was. A slide that fails is reported and left out.
    """
    from histoscribe.features import connected, describe_tiles, encoder_named, storing
    from histoscribe.section import Section
    from histoscribe.tiles import grid_tiles, read_regions, spot_tiles

    with job() as progress:
        chosen = encoder_named(encoder, device=device)
        drawn = None if region is None else read_regions(region)

        def work(open_it: Callable[[], Section | Slide]) -> dict[str, Any]:
            start = time.monotonic()
            opened = open_it()
            slide = opened.scaled_slide if isinstance(opened, Section) else opened
            if isinstance(opened, Section) and grid_um is None and drawn is None:
                tiles = spot_tiles(opened)
            else:
                tiles = grid_tiles(slide, grid_um or options.GRID_UM, region=drawn)
            found = describe_tiles(slide, tiles, chosen, progress=progress)
            caution(f"{opened.name}: {warning}" for warning in opened.warnings)
            if found.damaged:
                caution([f"{opened.name}: {found.damaged} chunks of the store were damaged and are mended"])
            counted = {name: getattr(found, name) for name in _COLUMNS[1:-1]}
            return {"tiles": len(tiles), **counted, "seconds": round(time.monotonic() - start, 1)}

        with connected(scheduler), storing(store):
            each = [one for path in targets for one in _each(path, mpp)]
            outcomes = run_batch([(name, partial(work, open_it)) for name, open_it in each])
    answer_all(outcomes, _COLUMNS, encoder=chosen.name, store=store)


def _each(path: Path, mpp: float | None) -> Iterator[tuple[str, Callable[[], Section | Slide]]]:
    """Every slide or section that a path stands for, with what opens it."""
    from histoscribe.section import read_cohort_csv

    try:
        rows = read_cohort_csv(path) if kind_of(path) == "cohort" else None
    except HistoscribeError:
        rows = None  # it fails in its turn, and says why
    if rows is None:
        yield str(path), partial(open_target, path, mpp=mpp)
        return
    for row in rows:
        bare = row.positions is None and kind_of(row.path) == "slide"
        yield row.section, partial(row.open_slide, mpp=mpp) if bare else row.read
