"""`histoscribe convert`: a slide as OME-Zarr or pyramidal OME-TIFF, a section as h5ad or SpatialData."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli.console import answer, caution
from histoscribe.cli.options import AsJson, InCohort, SlideMpp
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_target, output_place
from histoscribe.errors import SettingError

if TYPE_CHECKING:
    from histoscribe.progress import Progress
    from histoscribe.section import Section
    from histoscribe.slide import Slide

SLIDE_ENDINGS = (".tif", ".tiff", ".zarr")
SECTION_ENDINGS = (".h5ad", ".zarr")


def convert(
    source: Annotated[Path, typer.Argument(help="A slide, a section, or a cohort CSV with --section.")],
    target: Annotated[
        Path, typer.Argument(help="Slide: .ome.tif or .ome.zarr. Section: .h5ad or .zarr (SpatialData).")
    ],
    section: InCohort = None,
    mpp: SlideMpp = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="JPEG quality of an .ome.tif: smaller, with loss. Without it, none."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a slide or a section in another format; nothing is lost unless --quality says so.

    A slide's label and macro image are left out, because a label may name the patient. Writing OME-Zarr goes
    on where a stopped run left off.
    """
    from histoscribe.slide import Slide

    start = time.monotonic()
    output_place(target, *dict.fromkeys(SLIDE_ENDINGS + SECTION_ENDINGS), inputs=[source])
    with job() as progress, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        progress.report("opening")
        opened = open_target(source, section=section, mpp=mpp)
        if isinstance(opened, Slide):
            facts = _slide(opened, target, quality, progress)
        else:
            facts = _section(opened, target, quality)
    doubts = [*opened.warnings, *_of_tiles(told)]
    facts |= {"seconds": round(time.monotonic() - start, 1)}
    answer(f"Written {target}", facts, as_json=as_json, warnings=doubts)
    if not as_json:
        caution(doubts)


def _slide(slide: Slide, target: Path, quality: int | None, progress: Progress) -> dict[str, Any]:
    from histoscribe.slide import write_slide

    _fits(target, SLIDE_ENDINGS, "slide")
    write_slide(slide, target, quality=quality, progress=progress)
    return {
        "written": target,
        "kind": "slide",
        "rows_columns": list(slide.levels[0].shape),
        "levels": len(slide.levels),
        "mpp": slide.mpp,
        "without_loss": quality is None,
    }


def _section(section: Section, target: Path, quality: int | None) -> dict[str, Any]:
    from histoscribe.section import write_section

    _fits(target, SECTION_ENDINGS, "section")
    if quality is not None:
        raise SettingError("a section has no JPEG quality", remedy="leave --quality out")
    write_section(section, target)
    return {
        "written": target,
        "kind": "section",
        "name": section.name,
        "spots": section.table.n_obs,
        "genes": section.table.n_vars,
    }


def _fits(target: Path, endings: tuple[str, ...], kind: str) -> None:
    if target.suffix.lower() not in endings:
        raise SettingError(
            f"a {kind} cannot be written as {target.suffix}",
            where=target,
            remedy=f"end it in {', '.join(endings)}",
        )


def _of_tiles(told: list[warnings.WarningMessage]) -> list[str]:
    from histoscribe.slide.tiled import BrokenTileWarning
    from histoscribe.slide.zarr.backend import MissingTileWarning

    kinds = (BrokenTileWarning, MissingTileWarning)
    return [str(warning.message) for warning in told if issubclass(warning.category, kinds)]
