"""`histoscribe predict`: expression on the spots of a section, on a grid or in a drawn region."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from histoscribe import __version__
from histoscribe.cli import options
from histoscribe.cli.batch import FolderLedger, answer_all, run_batch
from histoscribe.cli.console import answer, call, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import (
    cohort_rows,
    open_measured,
    open_target,
    output_file,
    output_place,
    sources,
)
from histoscribe.errors import SettingError
from histoscribe.formats import kind_of
from histoscribe.record import amend_record, record_of

if TYPE_CHECKING:
    from histoscribe.features import TileEncoder
    from histoscribe.predictor import Predictor
    from histoscribe.progress import Progress
    from histoscribe.section import Section
    from histoscribe.slide import Slide

_COLUMNS = ("written", "spots", "genes", "verdict", "seconds")


def predict(
    model: Annotated[
        Path, typer.Argument(help="A model's folder, or the name of a bundled one; none with --guide own.")
    ],
    out: Annotated[
        Path, typer.Option(help="The h5ad file or SpatialData folder to write; a folder for several targets.")
    ],
    targets: Annotated[
        list[Path] | None,
        typer.Argument(help="A slide, a section, or a cohort CSV for each of its sections; or several."),
    ] = None,
    grid_um: options.GridUm = None,
    region: Annotated[Path | None, typer.Option(help="GeoJSON; predict a grid inside it only.")] = None,
    guide: Annotated[
        str | None,
        typer.Option(
            help="Measured spots of the same slide to learn from: a section, or own for the target's."
        ),
    ] = None,
    section: options.InCohort = None,
    mpp: options.SlideMpp = None,
    encoder: options.EncoderFolder = None,
    store: options.Store = None,
    device: options.Device = "auto",
    scheduler: options.Scheduler = None,
    as_json: options.AsJson = False,
) -> None:
    """Predict expression on a section's spots, or on a grid over a slide or a drawn region.

    With --guide, the model learns from measured spots of the same slide; with --guide own and no model, the
    section teaches itself. Of several targets, one that fails is reported and left out; a run that was
    stopped or killed goes on where it was, and a table and a page tell of all.
    """
    from histoscribe.features import connected, encoder_named, storing
    from histoscribe.predictor import Predictor
    from histoscribe.slide.identity import content_hash

    alone = not targets
    if alone and guide != "own":
        remedy = "name a model, then a slide or a section"
        raise SettingError("there is nothing to predict on", where="predict", remedy=remedy)
    asked = _asked(targets or [model], section, guided=guide not in (None, "own"))
    guides = [] if guide is None or guide == "own" else sources(Path(guide))
    files = _files(asked, out, guides)
    with job() as progress:
        progress.report("opening model and target" if len(files) == 1 else "opening the model")
        chosen = None if encoder is None else encoder_named(encoder, device=device)
        predictor = None if alone else Predictor.load(model, device=device, encoder=chosen)
        sha256 = "" if predictor is None else predictor.card.sha256

        def work(target: _Target, file: Path) -> dict[str, Any]:
            start = time.monotonic()
            opened = open_target(target.path, section=target.section, mpp=mpp)
            guiding = None if guide is None else _guiding(guide, opened, section)
            predicted = _predicted(opened, predictor, guiding, chosen, grid_um, region, progress)
            progress.report("writing")
            facts = _written(predicted, file, in_words=len(files) == 1 and not as_json)
            seconds = round(time.monotonic() - start, 1)
            return {**facts, "model": sha256, "seconds": seconds, "warnings": opened.warnings}

        if len(asked) > 1 and store is None and scheduler is None:
            store = out / "features"
        with connected(scheduler), storing(store):
            if len(asked) == 1:
                facts = work(asked[0], files[0])
            else:
                pairs = zip(asked, files, strict=True)
                works = [(target.name, partial(work, target, file)) for target, file in pairs]
                depends = {
                    "version": __version__,
                    "model": sha256,
                    "grid": grid_um,
                    "mpp": mpp,
                    "section": section,
                    "region": region and region.read_text(),
                    "guide": [content_hash(part) for part in guides if part.exists()] or guide,
                }
                parts = {target.name: target.parts for target in asked}
                outcomes = run_batch(works, FolderLedger(out, depends, parts))
    if len(asked) > 1:
        caution(f"{entry.target}: {doubt}" for entry in outcomes for doubt in entry.facts.get("warnings", ()))
        answer_all(outcomes, _COLUMNS, model=model)
        return
    warnings = facts.pop("warnings")
    caution(warnings)
    which = f" --section {section}" if section else ""
    hint = f"Next: histoscribe view {asked[0].path} {out}{which}"
    answer("Prediction", facts, hint=hint, warnings=warnings)


def _predicted(
    target: Section | Slide,
    model: Predictor | None,
    guiding: Section | None,
    encoder: TileEncoder | None,
    grid_um: float | None,
    region: Path | None,
    progress: Progress,
) -> Section:
    """A target as a model tells it, measured spots by themselves, or the model with them."""
    from histoscribe.predictor import predict_itself
    from histoscribe.section import Section
    from histoscribe.tiles import read_regions

    drawn = None if region is None else read_regions(region)
    spots = isinstance(target, Section) and grid_um is None and region is None
    pitch_um = None if spots else grid_um or options.GRID_UM
    if model is None:
        assert guiding is not None
        return predict_itself(guiding, encoder=encoder, pitch_um=pitch_um, region=drawn, progress=progress)
    if guiding is not None:
        model = model.guided(guiding, progress=progress)
    return model.predict(target, pitch_um=pitch_um, region=drawn, progress=progress)


def _written(predicted: Section, file: Path, *, in_words: bool) -> dict[str, Any]:
    """Write a prediction, and say what it is."""
    from histoscribe.section import write_section

    table = predicted.table
    amend_record(table, command=call().line)
    write_section(predicted, file)
    verdict: Any = "taught by its own spots"
    if (found := record_of(table).verdict) is not None:
        verdict = found.sentence if in_words else found.to_mapping()
    return {"written": file, "verdict": verdict, "spots": table.n_obs, "genes": table.n_vars}


def _guiding(guide: str, target: Section | Slide, section: str | None) -> Section:
    """The section whose measured spots a prediction learns from."""
    from histoscribe.section import Section

    if guide != "own":
        return open_measured(Path(guide), section=section if kind_of(Path(guide)) == "cohort" else None)
    if not isinstance(target, Section):
        remedy = "name the section that was measured on it"
        raise SettingError("a slide has no measured spots of its own", where="--guide", remedy=remedy)
    return target


class _Target(NamedTuple):
    """What is predicted on: a path, or one section of a cohort CSV."""

    path: Path
    section: str | None
    name: str
    parts: Sequence[Path]
    """What it lies in."""


def _asked(paths: Sequence[Path], section: str | None, guided: bool) -> list[_Target]:
    """Every target; of a cohort all sections where none is named. What is no target says so when opened."""
    found = []
    for path in paths:
        rows = cohort_rows(path)
        if section is None and len(rows) > 1:
            found += [_Target(path, row.section, f"{path}: {row.section}", row.parts) for row in rows]
        else:
            meant = rows or (len(paths) == 1 and not guided)  # else it is of the guide
            found.append(_Target(path, section if meant else None, str(path), [path]))
    return found


def _files(targets: Sequence[_Target], out: Path, guides: Sequence[Path]) -> list[Path]:
    """Where the result of each target goes: `out`, or a file of its name in that folder."""
    paths = dict.fromkeys(target.path for target in targets)
    inputs = [*sources(*paths), *guides]
    if len(targets) == 1:
        return [output_place(out, ".h5ad", ".zarr", inputs=inputs)]
    stems = [
        re.sub(r"[^\w.-]", "_", target.section)
        if target.section
        else target.path.name.removesuffix(target.path.suffix) or target.path.name
        for target in targets
    ]
    names = [f"{stem}.h5ad" for stem in stems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        problem, remedy = f"two results would be called {twice[0]}", "rename a target, or predict it alone"
        raise SettingError(problem, where=out, remedy=remedy)
    if out.suffix or out.is_file():
        problem, remedy = "several targets need a folder for their results", "name a folder with --out"
        if len(paths) == 1:
            remedy += ", or one of the cohort's sections with --section"
        raise SettingError(problem, where=out, remedy=remedy)
    return [output_file(out / name, ".h5ad", inputs=inputs) for name in names]
