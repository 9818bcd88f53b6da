"""`histoscribe align`: a section onto another slide, or onto a neighbouring section."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli import options
from histoscribe.cli.console import answer, call, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_measured, open_target, output_place, refuse_given, sources
from histoscribe.errors import SettingError, require_known, told_as
from histoscribe.record import amend_record

if TYPE_CHECKING:
    from histoscribe.section import Registration

PAIRS = ("moving_row", "moving_column", "fixed_row", "fixed_column")


def align(
    section: Annotated[Path, typer.Argument(help="The section that moves, or a cohort CSV with --section.")],
    fixed: Annotated[Path, typer.Argument(help="A slide to lay its spots on, or a neighbouring section.")],
    out: Annotated[Path, typer.Option(help="The .h5ad, or .zarr (SpatialData), to write.")],
    landmarks: Annotated[
        Path | None, typer.Option(help=f"CSV with {', '.join(PAIRS)} in µm, in place of looking.")
    ] = None,
    freedom: Annotated[
        str | None, typer.Option(help="Of landmarks: rigid (as without it), similarity or affine.")
    ] = None,
    which: options.InCohort = None,
    mpp: options.SlideMpp = None,
    as_json: options.AsJson = False,
) -> None:
    """Find how a section lies on another image, and keep it.

    On a slide, spots and drawn regions are written in that slide's pixels. On a section, both stay as they
    are, and the file says how the one lies on the other. Where outline and structure do not both speak for
    one way, it is refused.
    """
    from histoscribe.section import Section, align as looked_for, keep_alignment, lay_on, write_section
    from histoscribe.section.registration.transform import FEWEST

    output_place(out, ".h5ad", ".zarr", inputs=sources(section, fixed))
    chosen = freedom or "rigid"
    require_known("freedom", [chosen], FEWEST, where="--freedom")
    if landmarks is None:
        refuse_given("what is found without --landmarks is rigid", section, freedom=freedom)
    with job() as progress:
        progress.report("opening")
        moving, beneath = open_measured(section, section=which), open_target(fixed, mpp=mpp)
        target = beneath.scaled_slide if isinstance(beneath, Section) else beneath
        if landmarks is not None:
            found = _by_landmarks(landmarks, chosen)
        else:
            found = looked_for(moving.scaled_slide, target, progress=progress)
        if isinstance(beneath, Section):
            keep_alignment(moving, beneath.name, found)
        else:
            moving = lay_on(moving, target, found)
        amend_record(moving.table, command=call().line)
        progress.report("writing")
        write_section(moving, out)
    facts = {
        "written": out,
        "method": found.method,
        "overlap": found.overlap,
        "agreeing": found.agreeing,
        "places": len(found.places),
        "residual_um": found.residual_um,
        "seconds": call().seconds,
    }
    caution(moving.warnings)
    answer("Aligned", facts, warnings=list(moving.warnings), affine=found.affine)


def _by_landmarks(path: Path, freedom: Any) -> Registration:
    import pandas as pd

    from histoscribe.section import align_by_landmarks

    wrong, remedy = (OSError, ValueError, KeyError), f"write a pair a line under {','.join(PAIRS)}"
    with told_as(SettingError, "these are no landmarks", *wrong, where=path, remedy=remedy):
        pairs = pd.read_csv(path)[list(PAIRS)].to_numpy(dtype=float)
    return align_by_landmarks(pairs[:, :2], pairs[:, 2:], freedom=freedom)
