"""`histoscribe sample`: the data that the guide's pages use, in a folder of your own."""

from pathlib import Path
from shutil import copytree
from typing import Annotated

import typer

from histoscribe.cli.console import show
from histoscribe.errors import StorageError
from histoscribe.files import replacing

WRITTEN = {
    "cohort.csv": "four simulated sections of three patients, with their slides: P1A, P1B, P2A, P3A",
    "primary.csv": "six invented breast tumours as a table of samples",
    "panel.csv": "the same with a third of their genes",
}


def sample(to: Annotated[Path, typer.Option(help="Folder for the data.")] = Path("sample_data")) -> None:
    """Write the simulated sample data that the pages of the guide use."""
    from histoscribe.simulate.sample import sample_folder

    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        remedy = "name a new folder with --to"
        raise StorageError("this exists, so it is not replaced", where=to, remedy=remedy)
    with replacing(to) as fresh:
        copytree(sample_folder(), fresh)
    show(f"Sample data in {to}", WRITTEN.items())
