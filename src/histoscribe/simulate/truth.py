"""The truth behind a simulated section, kept in a file beside it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from histoscribe.errors import SectionError
from histoscribe.files import replacing
from histoscribe.section import Section

TRUTH_FILE = "truth.npz"
_LARGEST = 500_000_000


def write_truth(section: Section, path: str | PathLike[str]) -> None:
    """Write a simulated section's true expression and region shares (half precision), atomically."""
    table = section.table
    with replacing(path) as fresh, fresh.open("wb") as stream:
        np.savez_compressed(
            stream,
            barcodes=np.array(table.obs_names, dtype=str),
            genes=np.array(table.var_names, dtype=str),
            programme=np.array(table.var["programme"], dtype=str),
            truth=table.layers["truth"].astype(np.float16),
            regions=table.obsm["regions"].astype(np.float16),
            region_names=np.array(table.uns["regions"], dtype=str),
        )


def attach_truth(section: Section, path: str | PathLike[str]) -> Section:
    """The section with `layers["truth"]`, `obsm["regions"]` and `var["programme"]` from its truth file.

    Raises
    ------
    SectionError
        If the file is damaged or belongs to other spots or genes.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise SectionError("the truth file is too large", where=path, remedy="simulate it again")
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        rows = {name: row for row, name in enumerate(found["barcodes"].tolist())}
        columns = {name: column for column, name in enumerate(found["genes"].tolist())}
        take = [rows[name] for name in section.table.obs_names]
        keep = [columns[name] for name in section.table.var_names]
        table = section.table.copy()
        table.layers["truth"] = found["truth"][np.ix_(take, keep)].astype(np.float32)
        table.obsm["regions"] = found["regions"][take].astype(np.float32)
        table.uns["regions"] = found["region_names"].tolist()
        table.var["programme"] = found["programme"][keep]
    except (OSError, KeyError, ValueError, IndexError, EOFError, BadZipFile) as error:
        raise SectionError(
            "the truth file is damaged or belongs to another section", where=path, remedy="simulate it again"
        ) from error
    return section.with_table(table)
