"""`histoscribe demo`: the main job on the sample, from training to the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli.console import call, emit, results, show, words
from histoscribe.cli.options import AsJson
from histoscribe.cli.running import job
from histoscribe.cli.screen import has_screen, has_viewer
from histoscribe.errors import StorageError
from histoscribe.files import as_json as as_json_text, replacing
from histoscribe.record import amend_record

if TYPE_CHECKING:
    from histoscribe.progress import Progress
    from histoscribe.section import Section

# One network and half the usual epochs: the demo should be over within two minutes on two cores.
MODEL: dict[str, Any] = {"seed": 0, "members": 1, "epochs": 60}
GRID_UM = 55.0
PAINTED = 4
PICTURE_DPI = 150
PACKAGES = ("napari-histoscribe", "torch", "torch-geometric", "lightning", "anndata", "squidpy", "numpy")
MADE = {
    "model": "the trained model: weights and card",
    "predicted.h5ad": "expression on the spots of the held-out section, for scanpy, squidpy and napari",
    "predicted_grid.h5ad": f"the same model on a {GRID_UM:g} µm grid over the whole tissue",
    "report.html": "how well it fits, per gene and overall",
    "genes": "pictures of the best genes on the tissue: measured, predicted and true",
    "summary.json": "figures, settings, versions, command and seconds",
}


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("histoscribe-demo"),
    no_view: Annotated[bool, typer.Option("--no-view", help="Do not open napari.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train on the sample, predict a section of a patient never seen, score it and paint it."""
    if out.is_file():
        raise StorageError("this is a file, not a folder", where=out, remedy="name a folder with --out")
    with job() as progress:
        summary, held_out = _run(out, call().line, progress)
    summary["seconds"] = call().seconds
    with replacing(out / "summary.json") as fresh:
        fresh.write_text(as_json_text(summary), encoding="utf-8")
    if as_json:
        emit(summary)
    else:
        _tell(out, summary)
    if no_view:
        return
    if has_screen() and has_viewer():
        from histoscribe.widgets.contributions.launch import view

        view([held_out, out / "predicted.h5ad"])
    else:
        words.print(
            "napari was not opened: there is no screen here, or it is not installed (histoscribe doctor)."
        )


def _run(out: Path, command: str, progress: Progress) -> tuple[dict[str, Any], Section]:
    """Train, predict, score and paint; return the summary and the held-out section."""
    from importlib.metadata import version

    from histoscribe.evaluation import compare, write_report
    from histoscribe.evaluation.figures import expression_panels, spot_figure
    from histoscribe.predictor import Predictor
    from histoscribe.section import write_section
    from histoscribe.simulate.sample import sample_cohort, sample_folder

    progress.report("opening the sample")
    sections = sample_cohort()
    held_out = sections[-1]
    training = [section for section in sections if section.patient != held_out.patient]
    model = Predictor(**MODEL).fit(training, encoder="builtin", progress=progress)
    model.save(out / "model")

    predicted = model.predict(held_out, progress=progress)
    amend_record(predicted.table, command=command)
    write_section(predicted, out / "predicted.h5ad")
    grid = model.predict(held_out, pitch_um=GRID_UM, progress=progress).table
    amend_record(grid, command=command)
    write_section(grid, out / "predicted_grid.h5ad")

    progress.report("comparing")
    comparison = compare(held_out, predicted)
    write_report([comparison], out / "report.html")
    best = list(comparison.per_gene.index[:PAINTED])
    progress.report("painting")
    for gene in best:
        figure = spot_figure(comparison.section, expression_panels(*comparison.of(gene)))
        with replacing(out / "genes" / f"{gene}.png") as fresh:
            figure.savefig(fresh, dpi=PICTURE_DPI, format="png", facecolor="white")
    return {
        "command": command,
        "versions": {package: version(package) for package in PACKAGES},
        "settings": {
            "sample": sample_folder() / "cohort.csv",
            "split": "by patient",
            "training": [section.name for section in training],
            "held_out": held_out.name,
            "model": {**model.settings.to_dict(), **MODEL},
            "grid_um": GRID_UM,
        },
        "summary": comparison.summary,
        "best_genes": best,
    }, held_out


def _tell(out: Path, summary: dict[str, Any]) -> None:
    settings, scores = summary["settings"], summary["summary"]
    facts = {
        "trained on": settings["training"],
        "predicted": f"{settings['held_out']}, of a patient that the model has never seen",
        "mean r, measured": scores["mean_pearson"],
        "mean r, truth": scores["mean_pearson_truth"],
        "genes, spots": f"{scores['genes']}, {scores['spots']}",
        "best genes": summary["best_genes"],
        "seconds": summary["seconds"],
    }
    show("Histoscribe demo", facts.items())
    results.print()
    show(f"Made in {out}", MADE.items())
    results.print()
    finer = f"histoscribe predict {out / 'model'} {settings['sample']} --section {settings['held_out']}"
    results.print("Next", style="italic")
    for step, meaning in (
        (f"histoscribe view {out / 'predicted.h5ad'}", "look at it"),
        (f"histoscribe info {out / 'model'}", "what the model is"),
        (f"{finer} --grid-um 30 --out finer.h5ad", "the same on a finer grid"),
        ("histoscribe train predictor COHORT.csv --out my-model", "your own sections"),
    ):
        results.print(f"  {step}  # {meaning}", markup=False)
