"""`histoscribe impute`: genes that a table or a section lacks, restored and marked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histoscribe.cli.console import caution, command_line, emit, show, words
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_samples, output_file
from histoscribe.files import replacing
from histoscribe.record import amend_record, record_of

if TYPE_CHECKING:
    import pandas as pd


_CARRIERS = 50


def impute(
    context: typer.Context,
    table: Annotated[Path, typer.Argument(help="CSV, TSV, GCT or h5ad table, a section, or a cohort CSV.")],
    out: Annotated[Path, typer.Option(help="The h5ad, CSV or TSV file to write.")],
    model: Annotated[
        str, typer.Option(help="A model's folder, or the name of a bundled one.")
    ] = "imputer-tcga11",
    section: Annotated[str | None, typer.Option(help="Which section of a cohort CSV.")] = None,
    scale: Annotated[
        str | None, typer.Option(help="counts, linear, log2, log1p or standardised; recognised if not given.")
    ] = None,
    adapt: Annotated[
        bool | None, typer.Option("--adapt/--no-adapt", help="Standardise by the table's own means.")
    ] = None,
    carriers: Annotated[
        list[str] | None, typer.Option(help="Write which genes carried this one (repeatable).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Restore the genes that samples or spots lack; what was measured stays as it is."""
    from histoscribe.bulk.writing import write_restored
    from histoscribe.imputer import Imputer
    from histoscribe.imputer.result import as_section
    from histoscribe.section import Section, write_section

    output_file(out, ".h5ad", ".csv", ".tsv", inputs=[table])
    start = time.monotonic()
    with job() as progress:
        progress.report("opening model and table")
        imputer = Imputer.load(model)
        opened = open_samples(table, section=section, scale=scale)
        result = imputer.restore(opened, adapt=adapt, progress=progress)
        amend_record(result, command=command_line(context))
        result.obsm["summary"] = imputer.embed(opened, adapt=adapt)
        written = [out]
        if isinstance(opened, Section) and out.suffix.lower() == ".h5ad":
            write_section(as_section(opened, result), out)
        else:
            written = write_restored(result, out)
        for gene in carriers or ():
            weights = imputer.attention(opened, gene, adapt=adapt, progress=progress)
            written.append(_write_carriers(weights, out.with_name(f"{out.stem}.{gene}.carriers.csv")))
    own = record_of(result)
    facts = {
        "written": written,
        "samples": result.n_obs,
        "genes": result.n_vars,
        "genes_shared_with_the_model": own.overlap,
        "values_restored": own.restored_values,
        "genes_restored": int((result.var["restored"] > 0).sum()),
        "scale": own.target,
        "model": imputer.card.sha256,
        "seconds": round(time.monotonic() - start, 1),
    }
    caution(own.notes)
    if as_json:
        emit({**facts, "command": command_line(context), "notes": list(own.notes)})
        return
    show("Restored", facts.items())
    words.print(
        'Measured values are as they were; layers["mask"] and layers["sd"] mark the others.', markup=False
    )


def _write_carriers(weights: pd.DataFrame, path: Path) -> Path:
    """The genes that carried a restored one most, with their mean weight over samples."""
    import pandas as pd

    top = weights.iloc[:, :_CARRIERS]
    table = pd.DataFrame({"mean_weight": top.mean(), "mean_absolute_weight": top.abs().mean()})
    with replacing(path) as fresh:
        table.to_csv(fresh, index_label="gene", float_format="%.6g")
    return path
