"""`histoscribe train generator`: learn from a cohort of primaries, normal tissues and metastases."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.console import caution, command_line, emit, show, words
from histoscribe.cli.running import job
from histoscribe.cli.targets import output_folder


def generator(
    context: typer.Context,
    table: Annotated[Path, typer.Argument(help="CSV, TSV, GCT or h5ad: samples by genes.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    samples: Annotated[
        Path | None, typer.Option(help="CSV with sample, sample_type, cancer, site, patient.")
    ] = None,
    met500: Annotated[
        Path | None, typer.Option(help="Folder with MET500's files from UCSC Xena, as metastases.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="counts, linear, log2 or log1p; recognised if not given.")
    ] = None,
    met_steps: Annotated[int, typer.Option(min=1, help="Training steps of the MetVAE.")] = 600,
    mixing_steps: Annotated[int, typer.Option(min=1, help="Training steps of encoder and mixer.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = 0,
    licence: Annotated[str, typer.Option(help="Under which terms the model may be used.")] = "not stated",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Learn to generate metastases from your own cohort."""
    from histoscribe.generator import Generator, read_met500, read_metastasis_cohort
    from histoscribe.generator.cohort import join_platforms

    output_folder(out)
    start = time.monotonic()
    with job() as progress:
        progress.report("reading the cohort")
        cohort = read_metastasis_cohort(table, samples, scale=scale)
        if met500 is not None:
            probes = sorted(met500.glob("*.probemap*"))
            metastases = read_met500(
                met500 / "M.mx.log2.txt.gz", met500 / "M.meta.plus.txt", probes[0] if probes else None
            )
            cohort = join_platforms(cohort, metastases)
        model = Generator(met_steps=met_steps, mixing_steps=mixing_steps, seed=seed, licence=licence)
        model.fit(cohort, progress=progress)
        model.save(out)
    card = model.card
    caution(card.settings["notes"])
    facts = {
        "model": out,
        "samples": card.settings["samples"],
        "patients": len(card.patients),
        "genes": len(card.genes),
        "cancers": list(model.cancers),
        "sites": list(model.sites),
        "seconds": round(time.monotonic() - start, 1),
    }
    if as_json:
        settings = {name: value for name, value in card.settings.items() if name != "notes"}
        emit({**facts, "settings": settings, "command": command_line(context), "sha256": card.sha256})
        return
    show("Model", facts.items())
    words.print(f"Next: histoscribe generate --model {out} --primary TABLE --site SITE --out generated.h5ad")
