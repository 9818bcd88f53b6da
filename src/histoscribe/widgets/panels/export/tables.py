"""A layer's table for other programs: CSV for spreadsheets, h5ad for scanpy and squidpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.errors import SettingError
from histoscribe.files import replacing
from histoscribe.widgets.layers.painting import expression

if TYPE_CHECKING:
    from histoscribe.progress import Progress
    from histoscribe.section import Section

KINDS = (".csv", ".h5ad")


def save_table(section: Section, path: Path, genes: Sequence[str], progress: Progress) -> Path:
    """Write the spots of a section; runs on any thread.

    Parameters
    ----------
    section : Section
    path : Path
        Ending in `.csv`: one row a spot with its name, its centre in µm, what is known of it, and the
        values of `genes` as they are painted (log1p of counts per 10,000). Ending in `.h5ad`: the whole
        section, counts as they are.
    genes : sequence of str
        Those that the section lacks are passed over.
    progress : Progress

    Raises
    ------
    SettingError
        If the ending is another one.
    StorageError
        If it cannot be written.
    """
    kind = path.suffix.lower()
    if kind == ".h5ad":
        from histoscribe.section import write_section

        progress.report("writing the section")
        return write_section(section, path)
    if kind != ".csv":
        raise SettingError(
            "tables are CSV or h5ad", where=path, remedy=f"end its name in {' or '.join(KINDS)}"
        )
    import pandas as pd

    centres = section.centres_um
    table = section.table.obs.copy()
    table.insert(0, "x_um", centres[:, 1].round(3))
    table.insert(1, "y_um", centres[:, 0].round(3))
    known = [gene for gene in genes if gene in section.table.var_names]
    values = [expression(section, gene) for gene in progress.track(known, "reading genes", len(known))]
    shown = pd.DataFrame(np.column_stack(values), index=table.index, columns=known) if known else None
    progress.report("writing the table")
    with replacing(path) as fresh:
        (table if shown is None else table.join(shown, rsuffix=" (gene)")).to_csv(
            fresh, index_label="spot", float_format="%.6g"
        )
    return path
