"""`histoscribe impute`: genes that a table or a section lacks, restored and marked."""

from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli import options
from histoscribe.cli.console import answer, call, caution
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_samples, output_file, sources
from histoscribe.files import replacing
from histoscribe.record import amend_record, record_of

_CARRIERS = 50
"""Genes that carried a restored one most, which are written."""


def impute(
    table: options.Samples,
    out: Annotated[Path, typer.Option(help="The h5ad, CSV or TSV file to write.")],
    model: options.ModelName = "imputer-tcga11",
    section: options.InCohort = None,
    scale: options.SamplesScale = None,
    adapt: options.Adapt = None,
    carriers: Annotated[
        list[str] | None, typer.Option(help="Write which genes carried this one (repeatable).")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Restore the genes that samples or spots lack; what was measured stays as it is."""
    import pandas as pd

    from histoscribe.imputer import Imputer
    from histoscribe.imputer.result import as_section, write_restored
    from histoscribe.section import Section, write_section

    output_file(out, ".h5ad", ".csv", ".tsv", inputs=sources(table))
    with job() as progress:
        progress.report("opening model and table")
        imputer = Imputer.load(model)
        opened = open_samples(table, section=section, scale=scale)
        result = imputer.restore(opened, adapt=adapt, progress=progress)
        amend_record(result, command=call().line)
        result.obsm["summary"] = imputer.embed(opened, adapt=adapt)
        written = [out]
        if isinstance(opened, Section) and out.suffix.lower() == ".h5ad":
            write_section(as_section(opened, result), out)
        else:
            written = write_restored(result, out)
        for gene in carriers or ():
            top = imputer.attention(opened, gene, adapt=adapt, progress=progress).iloc[:, :_CARRIERS]
            means = pd.DataFrame({"mean_weight": top.mean(), "mean_absolute_weight": top.abs().mean()})
            written.append(out.with_name(f"{out.stem}.{gene}.carriers.csv"))
            with replacing(written[-1]) as fresh:
                means.to_csv(fresh, index_label="gene", float_format="%.6g")
    own = record_of(result)
    facts = {
        "written": written,
        "samples": result.n_obs,
        "genes": result.n_vars,
        "genes_shared_with_the_model": own.overlap,
        "values_restored": own.restored_values,
        "genes_restored": int((result.var["restored"] > 0).sum()),
        "median_r_of_genes_hidden_here": own.hidden_r,
        "hidden_values_in_90%_intervals": own.hidden_cover,
        "scale": own.target,
        "model": imputer.card.sha256,
        "seconds": call().seconds,
    }
    caution(own.notes)
    hint = 'Measured values are as they were; layers["mask"] and layers["sd"] mark the others.'
    answer("Restored", facts, hint=hint, notes=list(own.notes))
