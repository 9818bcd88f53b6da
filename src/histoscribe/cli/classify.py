"""`histoscribe classify`: what samples, a section or its regions are, or that they are nothing known."""

from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.console import answer, caution, show_rows
from histoscribe.cli.options import AsJson, InCohort, ModelName, Samples, SamplesScale
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_samples, output_file
from histoscribe.errors import SettingError

_TOP, _SHOWN = 10, 20


def classify(
    context: typer.Context,
    table: Samples,
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    model: ModelName = "classifier-tcga11",
    region: Annotated[Path | None, typer.Option(help="GeoJSON: regions of a section, one by one.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Name the genes that carried each call.")
    ] = False,
    section: InCohort = None,
    scale: SamplesScale = None,
    adapt: Annotated[
        bool | None, typer.Option("--adapt/--no-adapt", help="Standardise by the table's own means.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what samples are, by whatever genes they have; a section is told as one sample."""
    from histoscribe.classifier import UNKNOWN, Classifier
    from histoscribe.classifier.classifier import profiles
    from histoscribe.evaluation.regions import classes_of
    from histoscribe.files import replacing
    from histoscribe.section import Section
    from histoscribe.tiles import read_regions

    output_file(out, ".csv", inputs=[table])
    with job() as progress:
        progress.report("opening model and table")
        classifier = Classifier.load(model)
        opened = open_samples(table, section=section, scale=scale)
        if isinstance(opened, Section):
            drawn = None if region is None else classes_of(opened, read_regions(region))
            opened = profiles(opened, drawn)
        elif region is not None:
            problem = "a table of samples has no regions"
            raise SettingError(problem, where=table, remedy="leave --region out")
        progress.report("telling classes")
        told = classifier.classify(opened, adapt=adapt)
        if explain:
            carried = classifier.explain(opened, adapt=adapt, progress=progress)
            told["carried_by"] = [", ".join(row.abs().nlargest(_TOP).index) for _, row in carried.iterrows()]
        with replacing(out) as fresh:
            told.to_csv(fresh, float_format="%.5g")
    counts = told["class"].value_counts()
    facts = {
        "written": out, "samples": len(told), "unknown": int(counts.get(UNKNOWN, 0)),
        "classes": [f"{name} {number}" for name, number in counts.items()], "model": classifier.card.sha256,
    }  # fmt: skip
    caution(told.attrs["notes"])
    kept = told.drop(columns=told.filter(like="P(").columns)
    rows = kept.reset_index().to_dict("records")
    answer("Told", facts, as_json=as_json, context=context, notes=told.attrs["notes"], rows=rows)
    if not as_json:
        show_rows(("sample", *kept), kept.head(_SHOWN).itertuples(name=None))
