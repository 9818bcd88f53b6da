"""`histoscribe train imputer`: learn to restore genes from a table, alone or on top of another model."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.console import caution, command_line, emit, show, words
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_samples, output_folder


def imputer(
    context: typer.Context,
    table: Annotated[Path, typer.Argument(help="CSV, TSV, GCT or h5ad table, a section, or a cohort CSV.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="Tune this model (folder or bundled name) on the table.")
    ] = None,
    samples: Annotated[Path | None, typer.Option(help="What is known of the samples (CSV, TSV).")] = None,
    patient: Annotated[
        str | None, typer.Option(help="Column that says whose a sample is: patients are never split.")
    ] = None,
    section: Annotated[str | None, typer.Option(help="Which section of a cohort CSV.")] = None,
    scale: Annotated[
        str | None, typer.Option(help="counts, linear, log2, log1p or standardised; recognised if not given.")
    ] = None,
    factors: Annotated[
        int | None, typer.Option(min=1, help="Of the Gaussian start; chosen if not given.")
    ] = None,
    references: Annotated[int, typer.Option(min=20, help="Samples that the model remembers.")] = 2048,
    steps: Annotated[int, typer.Option(min=0, help="Training steps of the encoder-decoder.")] = 600,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="How many devices or processes train together.")] = 1,
    licence: Annotated[str, typer.Option(help="Under which terms the model may be used.")] = "not stated",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Learn to restore genes; a run that is stopped goes on where it was."""
    from histoscribe.bulk import BulkTable
    from histoscribe.bulk.samples import file_beside, with_samples
    from histoscribe.imputer import Imputer

    output_folder(out)
    start = time.monotonic()
    checkpoint = out.with_name(f"{out.name}.training")
    with job() as progress:
        model = Imputer(
            factors=factors, references=references, steps=steps, devices=devices, seed=seed, device=device,
            licence=licence,
        )  # fmt: skip
        progress.report("opening the table")
        opened = open_samples(table, section=section, scale=scale)
        warnings = opened.warnings
        if isinstance(opened, BulkTable):
            beside = samples or file_beside(table)
            opened = with_samples(opened, beside, roles={} if patient is None else {"patient": patient})
            warnings = opened.warnings
        start_from = None if from_ is None else Imputer.load(from_)
        model.fit(opened, start=start_from, checkpoint=checkpoint, progress=progress)
        model.save(out)
    shutil.rmtree(checkpoint, ignore_errors=True)
    card = model.card
    caution([*warnings, *(note for note in card.settings["notes"] if note not in warnings)])
    scores = sorted(found["r"] for found in card.held_out.values())
    facts = {
        "model": out,
        "samples": len(card.training),
        "patients": len(card.patients),
        "genes": len(card.genes),
        "scale": card.target,
        "factors": card.settings["factors"],
        "held_out_median_r": scores[len(scores) // 2] if scores else None,
        "seconds": round(time.monotonic() - start, 1),
    }
    if as_json:
        settings = {name: value for name, value in card.settings.items() if name not in ("aliases", "notes")}
        emit({**facts, "settings": settings, "command": command_line(context), "sha256": card.sha256})
        return
    show("Model", facts.items())
    words.print(f"Next: histoscribe impute TABLE --model {out} --out restored.h5ad", markup=False)
