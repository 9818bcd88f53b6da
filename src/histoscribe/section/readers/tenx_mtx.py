"""Counts from 10x Genomics' matrix-market folders (`matrix.mtx`, `barcodes.tsv`, `features.tsv`)."""

from __future__ import annotations

from pathlib import Path

from histoscribe.errors import SectionError
from histoscribe.section.bounds.hdf5 import SMALL_TEXT_BYTES, read_text
from histoscribe.section.readers.spatial_folder import file_in
from histoscribe.section.readers.tenx_h5 import GENE_EXPRESSION, MOST_ENTRIES, MOST_NAMES, gene_expression
from histoscribe.section.table import Counts

_REMEDY = "copy the folder again, or use the .h5 file beside it"


def read_tenx_mtx(folder: Path) -> Counts:
    """Read a `*_feature_bc_matrix/` folder, spots by genes; plain or gzipped, old or new names.

    Parameters
    ----------
    folder : Path
        Holds `matrix.mtx`, `barcodes.tsv` and `features.tsv` (`genes.tsv` before Cell Ranger 3).

    Raises
    ------
    SectionError
        If a file is missing or damaged, or they contradict each other.
    """
    import scipy.io

    matrix_path = _one_of(folder, "matrix.mtx")
    text = read_text(matrix_path)
    try:
        features, spots, entries, *_ = scipy.io.mminfo(text)
        if entries > MOST_ENTRIES or max(features, spots) > MOST_NAMES:
            raise SectionError(f"claims {entries} entries, more than can be read", where=matrix_path)
        text.seek(0)
        matrix = scipy.io.mmread(text)
    except (ValueError, OverflowError, EOFError, TypeError) as error:
        raise SectionError(
            f"not a whole matrix-market file ({error})", where=matrix_path, remedy=_REMEDY
        ) from error
    barcodes = [line[0] for line in _lines(_one_of(folder, "barcodes.tsv"))]
    rows = _lines(_one_of(folder, "features.tsv", "genes.tsv"))
    problems = [
        f"{what} has {found} lines where the matrix has {expected}"
        for what, found, expected in (
            ("barcodes.tsv", len(barcodes), spots),
            ("features.tsv", len(rows), features),
        )
        if found != expected
    ]
    if problems:
        raise SectionError("; ".join(problems), where=folder, remedy=_REMEDY)
    ids = [row[0] for row in rows]
    names = [row[1] if len(row) > 1 else row[0] for row in rows]
    kinds = [row[2] if len(row) > 2 else GENE_EXPRESSION for row in rows]
    return gene_expression(matrix.T.tocsr(), barcodes, names, ids, kinds, matrix_path)


def _one_of(folder: Path, *names: str) -> Path:
    found = file_in(folder, *names)
    if found is not None:
        return found
    raise SectionError(f"there is no {names[0]} or {names[0]}.gz", where=folder, remedy=_REMEDY)


def _lines(path: Path) -> list[list[str]]:
    text = read_text(path, SMALL_TEXT_BYTES).getvalue().decode("utf-8", "replace")
    return [line.split("\t") for line in text.splitlines() if line]
