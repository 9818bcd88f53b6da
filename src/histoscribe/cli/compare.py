"""`histoscribe compare`: how well a prediction fits what was measured."""

import json
from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli import options
from histoscribe.cli.console import answer, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_measured, output_file, sources

SHOWN_GENES = 5


def compare(
    measured: Annotated[Path, typer.Argument(help="A section, an h5ad file or a cohort CSV.")],
    predicted: Annotated[Path, typer.Argument(help="An h5ad file from histoscribe predict.")],
    out: Annotated[Path, typer.Option(help="What to write: an HTML report, or a CSV of every gene.")],
    section: options.InCohort = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare a prediction with a measurement, per gene and overall, in one HTML report or a CSV."""
    from histoscribe.evaluation import compare as evaluate, gene_scores, write_report, write_scores

    output_file(out, ".html", ".htm", ".csv", inputs=sources(measured, predicted))
    with job() as progress:
        progress.report("reading")
        truth = open_measured(measured, section=section)
        guess = open_measured(predicted)
        progress.report("comparing")
        comparison = evaluate(truth, guess)
        progress.report("writing the report")
        if out.suffix.lower() == ".csv":
            write_scores(gene_scores(comparison, guess, progress=progress), out)
        else:
            write_report([comparison], out)
    caution(comparison.warnings)
    best = comparison.per_gene["pearson"].head(SHOWN_GENES)
    genes = [f"{gene} {r:.2f}" for gene, r in best.items()]
    facts = json.loads(comparison.to_json()) if as_json else comparison.summary | {"best genes": genes}
    answer(f"{guess.name} against {truth.name}", {**facts, "report": out})
