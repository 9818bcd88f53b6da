"""`histoscribe train`: learn a model from measured sections."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from histoscribe.cli import train_generator, train_imputer
from histoscribe.cli.console import caution, command_line, emit, show, words
from histoscribe.cli.running import job, verb
from histoscribe.cli.targets import open_cohort, output_folder
from histoscribe.errors import SettingError, TableError

app = typer.Typer(no_args_is_help=True, help="Learn a model from measured sections.")
MOST_GENES = 100_000


@app.callback()
def train() -> None:
    """Learn a model from measured sections."""


@app.command("predictor")
@verb
def predictor(
    context: typer.Context,
    cohort: Annotated[list[Path], typer.Argument(help="A cohort CSV, or section paths.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    exclude: Annotated[list[str] | None, typer.Option(help="Leave this section out (repeatable).")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Take only this section (repeatable).")] = None,
    panel_size: Annotated[int, typer.Option(min=1, help="How many genes: the most variable ones.")] = 250,
    panel: Annotated[Path | None, typer.Option(help="A text file with one gene a line, instead.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the spots.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = 0,
    variant: Annotated[str, typer.Option(help="Form of the network.")] = "histoscribe",
    types: Annotated[
        str | None, typer.Option(help="Spot types: nuclei, or a folder of labels or cells per section.")
    ] = None,
    graphs: Annotated[
        bool, typer.Option(help="Look along both graphs of the spots: adds maps of attention.")
    ] = False,
    crops: Annotated[bool, typer.Option(help="Keep small pictures of the reference spots.")] = True,
    encoder: Annotated[str, typer.Option(help="What describes a tile.")] = "builtin",
    store: Annotated[
        Path | None, typer.Option(help="Keep descriptors in this folder, and reuse them.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    licence: Annotated[str, typer.Option(help="Under which terms the model may be used.")] = "not stated",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Learn to predict expression from the slide beneath measured spots."""
    from histoscribe.features import connected, encoder_named, storing
    from histoscribe.predictor import Predictor
    from histoscribe.predictor.settings import GRAPHS

    output_folder(out)
    genes = None if panel is None else read_panel(panel)
    settings: dict[str, Any] = {
        "variant": variant,
        "panel": genes,
        "panel_size": panel_size,
        "epochs": epochs,
        "seed": seed,
        "device": device,
        "licence": licence,
        "graphs": GRAPHS if graphs else None,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    start = time.monotonic()
    with job() as progress:
        chosen = encoder_named(encoder, device=device)
        model = Predictor(**given)
        sections = open_cohort(cohort, exclude=exclude or (), only=only or (), progress=progress)
        with connected(scheduler), storing(store):
            model.fit(sections, encoder=chosen, crops=crops, types=types, progress=progress)
        model.save(out)
    seconds = time.monotonic() - start
    caution(f"{section.name}: {warning}" for section in sections for warning in section.warnings)
    facts = {
        "model": out,
        "sections": [section.name for section in sections],
        "patients": sorted({section.patient for section in sections}),
        "spots": sum(section.table.n_obs for section in sections),
        "genes": len(model.card.genes),
        "encoder": chosen.name,
        "seconds": round(seconds, 1),
    }
    if as_json:
        emit(
            {
                **facts,
                "settings": model.settings.to_dict() | given,
                "command": command_line(context),
                "sha256": model.card.sha256,
            }
        )
        return
    show("Model", facts.items())
    words.print(f"Next: histoscribe predict {out} TARGET --out predicted.h5ad", markup=False)


app.command("imputer")(verb(train_imputer.imputer))
app.command("generator")(verb(train_generator.generator))


def read_panel(path: Path) -> list[str]:
    """Read a gene list: one name a line, empty lines and lines with # left out.

    Raises
    ------
    TableError
        If the file is missing, not text, empty, or names a gene twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(
            "this gene list cannot be read", where=path, remedy="give a text file with one gene a line"
        ) from error
    names = [line.strip() for line in text.splitlines()]
    genes = [name for name in names if name and not name.startswith("#")]
    if not genes:
        raise TableError("this gene list is empty", where=path, remedy="write one gene a line")
    if len(genes) > MOST_GENES:
        raise SettingError(f"this gene list has {len(genes)} lines", where=path, remedy="give a gene list")
    twice = sorted({gene for gene in genes if genes.count(gene) > 1}) if len(set(genes)) < len(genes) else []
    if twice:
        raise TableError(f"{', '.join(twice[:3])} named twice", where=path, remedy="name every gene once")
    return genes
