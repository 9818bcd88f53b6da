"""`histoscribe classify`: what samples, a section or its regions are, or that they are nothing known."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli import options
from histoscribe.cli.batch import Outcome, leave, run_batch
from histoscribe.cli.console import answer, call, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_samples, open_target, output_file, refuse_given, sources
from histoscribe.errors import SettingError, SlideError
from histoscribe.files import as_json as json_of, replacing
from histoscribe.formats import kind_of
from histoscribe.record import amend_record, installed_versions

if TYPE_CHECKING:
    from pandas import DataFrame

    from histoscribe.section.cohort import CohortRow

_TOP, _SHOWN = 10, 20


def classify(
    table: Annotated[Path, typer.Argument(help="A table, a section, a cohort CSV; a slide for its labels.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write; for slides also JSON.")],
    model: options.ModelName = "classifier-tcga11",
    region: Annotated[Path | None, typer.Option(help="GeoJSON: regions of a section, one by one.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Name the genes that carried each call.")
    ] = False,
    together: Annotated[
        bool, typer.Option("--together", help="Ask samples together: company tells an unknown type.")
    ] = False,
    section: options.InCohort = None,
    scale: options.SamplesScale = None,
    adapt: options.Adapt = None,
    attention: Annotated[
        Path | None, typer.Option(help="Of one slide: its tiles, as h5ad or GeoJSON.")
    ] = None,
    mpp: options.SlideMpp = None,
    store: options.Store = None,
    device: options.Device = "auto",
    encoder: options.EncoderFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Tell what samples are, by whatever genes they have; a section is told as one sample.

    With a model of `train slides`, tell the labels of a slide, or of every slide of a cohort CSV.
    """
    from histoscribe.classifier import UNKNOWN, Classifier
    from histoscribe.classifier.classifier import profiles
    from histoscribe.evaluation.regions import classes_of
    from histoscribe.models import bundled, read_card
    from histoscribe.section import Section
    from histoscribe.tiles import read_regions

    if read_card(bundled(model)).kind == "labeller":
        why = "this model tells slides, not samples"
        refuse_given(why, model, explain=explain or None, together=together or None, scale=scale, adapt=adapt)
        _slides(
            table,
            out,
            model=model,
            region=region,
            section=section,
            attention=attention,
            mpp=mpp,
            store=store,
            device=device,
            encoder=encoder,
        )
        return
    why = "this model tells samples, not slides as a model of train slides does"
    refuse_given(why, model, attention=attention, mpp=mpp, store=store, encoder=encoder)
    output_file(out, ".csv", inputs=sources(table))
    with job() as progress:
        progress.report("opening model and table")
        classifier = Classifier.load(model)
        opened = open_samples(table, section=section, scale=scale)
        if isinstance(opened, Section):
            drawn = None if region is None else classes_of(opened, read_regions(region))
            refuse_given("a section and its regions are asked one by one", table, together=together or None)
            opened = profiles(opened, drawn)
        else:
            refuse_given("a table of samples has no regions", table, region=region)
        progress.report("telling classes")
        told = classifier.classify(opened, adapt=adapt, together=together)
        if explain:
            carried = classifier.explain(opened, adapt=adapt, progress=progress)
            told["carried_by"] = [", ".join(row.abs().nlargest(_TOP).index) for _, row in carried.iterrows()]
        with replacing(out) as fresh:
            told.to_csv(fresh, float_format="%.5g")
    counts = told["class"].value_counts()
    facts = {"written": out, "samples": len(told), "unknown": int(counts.get(UNKNOWN, 0))}
    facts["asked"] = "together" if told["company"].any() else "alone"
    facts["classes"] = [f"{name} {number}" for name, number in counts.items()]
    facts["model"] = classifier.card.sha256
    caution(told.attrs["notes"])
    kept = told.drop(columns=told.filter(like="P(").columns)
    rows = kept.reset_index().to_dict("records")
    shown = ("sample", *kept), kept.head(_SHOWN).itertuples(name=None)
    answer("Told", facts, shown, notes=told.attrs["notes"], rows=rows)


def _slides(
    target: Path,
    out: Path,
    *,
    model: str,
    region: Path | None,
    section: str | None,
    attention: Path | None,
    mpp: float | None,
    store: Path | None,
    device: str,
    encoder: str | None,
) -> None:
    """Tell the labels of slides, with the record of each in its rows."""
    import pandas as pd

    from histoscribe.features import encoder_named, storing
    from histoscribe.labeller import Labeller, write_attention
    from histoscribe.section import Section, read_cohort_csv
    from histoscribe.tiles import read_regions

    output_file(out, ".csv", ".json", inputs=sources(target))
    whole = kind_of(target) == "cohort" and section is None
    rows: list[CohortRow | None] = [*read_cohort_csv(target)] if whole else [None]
    if attention is not None:
        if len(rows) > 1:
            remedy = "name one slide, or choose it with --section"
            raise SettingError("tiles are written of one slide alone", where=attention, remedy=remedy)
        output_file(attention, ".h5ad", ".geojson", inputs=sources(target, out))
    tables: list[pd.DataFrame] = []
    verdicts: dict[str, str] = {}
    outcomes: list[Outcome] = []
    with job() as progress, storing(store):
        progress.report("opening the model")
        given = None if encoder is None else encoder_named(encoder, device=device)
        labeller = Labeller.load(model, device=device, encoder=given)
        drawn = None if region is None else read_regions(region)

        def tell(row: CohortRow | None) -> dict[str, Any]:
            opened = open_target(target, section=section, mpp=mpp) if row is None else row.open_slide(mpp=mpp)
            slide = opened.scaled_slide if isinstance(opened, Section) else opened
            name = opened.name if row is None else row.section
            patient = getattr(opened if row is None else row, "patient", "") or ""
            found = labeller.label(slide, region=drawn, name=name, patient=patient, progress=progress)
            if attention is not None and found.tiles is not None:
                amend_record(found.tiles.table, command=call().line)
                write_attention(found.tiles, attention)
            found.told.insert(0, "slide", name)
            verdicts[name] = found.verdict.sentence
            tables.append(found.told.assign(verdict=found.verdict.kind))
            return {}

        if len(rows) == 1:
            tell(rows[0])
        else:
            outcomes = run_batch([(row.section, partial(tell, row)) for row in rows if row is not None])
        failed = {one.target: one.problem or one.outcome for one in outcomes if one.outcome != "done"}
        if not tables:
            raise SlideError("no slide of the cohort could be told", where=target, remedy="see each above")
        told, sha256 = pd.concat(tables).reset_index(), labeller.card.sha256
        _write_slides(told, out, sha256, verdicts, failed)
    facts = {"written": out, "tiles": attention, "slides": len(tables), "model": sha256}
    caution(f"{name}: {words}" for name, words in verdicts.items())
    shown = told[["slide", "label", "told", "probability", "low", "high", "held_out"]].head(_SHOWN)
    listed = list(map(str, shown)), shown.itertuples(index=False, name=None)
    answer("Told", facts, listed, verdicts=verdicts, rows=told.to_dict("records"), failed=failed)
    leave(outcomes)


def _write_slides(
    told: DataFrame, out: Path, sha256: str, verdicts: dict[str, str], failed: dict[str, str]
) -> None:
    """A row each label of each slide, as CSV or JSON, with what told them."""
    command, versions = call().line, installed_versions()
    with replacing(out) as fresh:
        if out.suffix.lower() == ".json":
            whole = {
                "model": sha256,
                "command": command,
                "versions": versions,
                "verdicts": verdicts,
                "rows": told.to_dict("records"),
                "failed": failed,
            }
            fresh.write_text(json_of(whole), encoding="utf-8")
        else:
            version = versions.get("napari-histoscribe", "")
            own = told.assign(model=sha256, version=version, command=command)
            own.to_csv(fresh, index=False, float_format="%.5g")
