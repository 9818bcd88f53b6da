"""What is known of the samples of a table: patient, class, survival, from a file beside it."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import pandas as pd

from histoscribe.bulk.table import BulkTable
from histoscribe.errors import TableError, told_as

_MOST = 512 * 1024**2


def with_samples(
    bulk: BulkTable,
    path: str | PathLike[str] | None = None,
    *,
    roles: dict[str, str] | None = None,
    only: str | None = None,
) -> BulkTable:
    """Join a table with the file that describes its samples.

    `path`: a CSV or TSV file with sample names in its first column; samples that it does not list are left
    out, and of lines with the same name the first one counts. `roles`: which column (or columns, with commas
    between, joined) says what: `patient`, `class`, `time`, `event`; what lacks a part is not known.
    `only`: `column=value`, samples to keep. Raises `TableError` if the file is no table,
    names none of the samples, or lacks a column.
    """
    table, said = bulk.table, list(bulk.warnings)
    if path is not None:
        about = _read(Path(path))
        listed = table.obs_names.isin(about.index)
        if not listed.any():
            remedy = f"its first column must hold names such as {table.obs_names[0]}"
            raise TableError("it names none of the table's samples", where=path, remedy=remedy)
        if not listed.all():
            said.append(f"{int((~listed).sum())} samples that {Path(path).name} does not list were left out")
        table = table[listed].copy()
        table.obs = about.loc[table.obs_names]
    else:
        table = table.copy()
    if only is not None:
        column, _, value = only.partition("=")
        table = table[_column(table.obs, column, bulk.name).astype(str) == value].copy()
        if not table.n_obs:
            raise TableError(f"no sample has {only}", where=bulk.name, remedy="check the value")
    for role, named in (roles or {}).items():
        parts = [_column(table.obs, name.strip(), bulk.name) for name in named.split(",")]
        if len(parts) == 1:
            table.obs[role] = parts[0]
            continue
        both = pd.concat(parts, axis=1)
        table.obs[role] = both.astype(str).agg(" ".join, axis=1).where(both.notna().all(axis=1), None)
    return replace(bulk, table=table, warnings=tuple(said))


def file_beside(path: Path) -> Path | None:
    """The file that describes the samples of `x.expr.csv.gz`: `x.meta.csv`, where there is one."""
    stem = path.name.split(".")[0]
    found = [
        path.with_name(f"{stem}.{word}.{ending}") for word in ("meta", "samples") for ending in ("csv", "tsv")
    ]
    return next((one for one in found if one.is_file()), None)


def _read(path: Path) -> pd.DataFrame:
    wrong = (OSError, ValueError, pd.errors.ParserError)
    remedy = "give a CSV or TSV file with sample names in its first column"
    with told_as(TableError, "the samples' file cannot be read", *wrong, where=path, remedy=remedy):
        if path.stat().st_size > _MOST:
            raise TableError("this is too large to describe samples", where=path, remedy="check the path")
        about = pd.read_csv(path, sep=None, engine="python", index_col=0)
    about.index = about.index.astype(str)
    return about[~about.index.duplicated()]


def _column(about: pd.DataFrame, name: str, where: str) -> pd.Series:
    if name not in about:
        known = ", ".join(map(str, about.columns))
        remedy = f"they have {known}" if known else "name a file with it"
        raise TableError(f"its samples have no column {name}", where=where, remedy=remedy)
    return about[name]
