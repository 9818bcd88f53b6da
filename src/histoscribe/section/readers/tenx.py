"""Counts from 10x Genomics: HDF5 matrices (Cell Ranger 3 and later) and matrix-market folders."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from histoscribe.bounds.content import SMALL_TEXT_BYTES, read_bytes
from histoscribe.bounds.hdf5 import opened_hdf5
from histoscribe.bulk.layouts import GENE_EXPRESSION, genes_of
from histoscribe.errors import SectionError, told_as
from histoscribe.section.readers.spatial_folder import file_in
from histoscribe.section.table import Counts, checked_counts

Names = Sequence[str]
_MTX_REMEDY = "copy the folder again, or use the .h5 file beside it"
MOST_ENTRIES = 2_000_000_000
_ENTRY_BYTES = 2
"""Least text of one entry of a matrix-market file."""
MOST_NAMES = 50_000_000
PIECE = 1 << 22
_NEEDED = ("barcodes", "data", "indices", "indptr", "shape", "features/id", "features/name")
_REMEDY = "export the matrix again with Space Ranger, or copy it again"


def read_tenx_h5(path: Path) -> Counts:
    """Read a `*_feature_bc_matrix.h5`, spots by genes; other feature types are left out.

    `path`: the file stores columns (barcodes) of features in compressed form: `indptr` per barcode. Raises
    `SectionError` if it is damaged, or its parts contradict each other.
    """
    with opened_hdf5(path) as file:
        if "matrix" not in file:
            raise SectionError(
                "this HDF5 file holds no 10x matrix", where=path, remedy="name filtered_feature_bc_matrix.h5"
            )
        group = file["matrix"]
        missing = [name for name in _NEEDED if name not in group]
        if missing:
            raise SectionError(f"the matrix has no {', '.join(missing)}", where=path, remedy=_REMEDY)
        shape = np.ravel(group["shape"][()])
        if shape.size != 2 or shape.dtype.kind not in "iu" or shape.min() < 0:
            raise SectionError("the matrix states no valid shape", where=path, remedy=_REMEDY)
        features, spots = map(int, shape)
        if group["data"].size > MOST_ENTRIES or max(features, spots) > MOST_NAMES:
            raise SectionError(
                f"the matrix is unreasonably large ({group['data'].size} entries)", where=path, remedy=_REMEDY
            )
        data, indices = _values(group["data"], np.float32), _values(group["indices"], np.int32)
        indptr = group["indptr"][:]
        barcodes = _names(group["barcodes"])
        names, ids = _names(group["features/name"]), _names(group["features/id"])
        has_types = "feature_type" in group["features"]
        kinds = _names(group["features/feature_type"]) if has_types else [GENE_EXPRESSION] * features
        genes_of_probes = _probes(group["features"], features)
    problems = compressed_problems(data, indices, indptr, rows=spots, columns=features)
    listed = {
        "barcodes": barcodes,
        "features/name": names,
        "features/id": ids,
        "features/feature_type": kinds,
    }
    for what, found in listed.items():
        if len(found) != (expected := spots if what == "barcodes" else features):
            problems.append(f"{what} has {len(found)} names where the matrix has {expected}")
    if problems:
        raise SectionError("; ".join(problems), where=path, remedy=_REMEDY)
    matrix = csr_matrix((data, indices, indptr), shape=(spots, features))
    if genes_of_probes is not None:
        return _by_gene(matrix, barcodes, genes_of_probes, kinds, path)
    return gene_expression(matrix, barcodes, names, ids, kinds, path)


def _values(dataset: Any, kind: type[np.float32 | np.int32]) -> NDArray[Any]:
    """Numbers of a data set in a smaller type, piece by piece, so that they are held once and not thrice.

    A whole number that the type does not hold becomes its limit, which the checks that follow refuse.
    """
    fitting = "iuf" if kind is np.float32 else "iu"
    if dataset.ndim != 1 or dataset.dtype.kind not in fitting:
        return np.asarray(dataset[:])
    values = np.empty(dataset.size, dtype=kind)
    for start in range(0, dataset.size, PIECE):
        piece = dataset[start : start + PIECE]
        if kind is np.int32 and piece.dtype.itemsize >= 4:
            piece = np.minimum(piece, np.iinfo(np.int32).max)
            piece = piece if piece.dtype.kind == "u" else np.maximum(piece, np.iinfo(np.int32).min)
        values[start : start + PIECE] = piece
    return values


def _probes(group: Any, features: int) -> tuple[list[str], list[str], NDArray[np.bool_]] | None:
    """Gene symbol and identifier of every probe, and whether it counts; None for a matrix of genes."""
    needed = ("gene_id", "gene_name", "filtered_probes")
    if any(name not in group for name in needed):
        return None
    ids, names = _names(group["gene_id"]), [name.split("|")[0] for name in _names(group["name"])]
    used = group["filtered_probes"][:]
    if used.dtype.kind != "b" or not len(ids) == len(names) == used.size == features:
        return None
    return names, ids, np.asarray(used, dtype=np.bool_)


def _by_gene(
    matrix: Any,
    barcodes: Names,
    probes: tuple[list[str], list[str], NDArray[np.bool_]],
    kinds: Names,
    path: Path,
) -> Counts:
    """Add up the probes of each gene; those that Space Ranger left out stay out."""
    names, ids, used = probes
    genes, genes_ids = pd.factorize(np.array(ids, dtype=object))
    first = np.unique(genes, return_index=True)[1]
    kept = np.flatnonzero(used)
    ones = np.ones(len(kept), np.float32)
    pooling = csr_matrix((ones, (kept, genes[kept])), shape=(len(ids), len(genes_ids)))
    symbols, types = [names[row] for row in first], [kinds[row] for row in first]
    found = gene_expression(matrix @ pooling, barcodes, symbols, list(genes_ids), types, path)
    warning = f"{len(kept)} of {len(ids)} probes were added up by gene; the others were left out"
    return replace(found, warnings=(*found.warnings, warning))


def gene_expression(
    matrix: Any, barcodes: Names, names: Names, ids: Names, kinds: Names, path: Path
) -> Counts:
    """Keep the features whose type is "Gene Expression" and check what is left.

    `matrix` (spots, features). `barcodes`, `names`, `ids` and `kinds`: names of the spots; symbols,
    identifiers and types of the features.
    """
    kept, said = genes_of(pd.DataFrame({"feature_types": kinds}, list(names)))
    if not kept and kinds:
        raise SectionError(said, where=path, remedy="name the matrix of the gene expression library")
    matrix = matrix[:, kept] if said else matrix
    return checked_counts(
        matrix,
        barcodes,
        [names[index] for index in kept],
        where=path,
        gene_ids=[ids[index] for index in kept],
        warnings=[said] if said else [],
    )


def compressed_problems(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], *, rows: int, columns: int
) -> list[str]:
    """Check the three arrays of a row-compressed matrix against its shape, in plain words."""
    problems = []
    if data.ndim != 1 or indices.ndim != 1 or indptr.ndim != 1:
        return ["data, indices and indptr must be one-dimensional"]
    if data.dtype.kind not in "iuf" or indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        return ["data, indices and indptr must be numbers"]
    if len(data) != len(indices):
        problems.append(f"there are {len(data)} values but {len(indices)} indices")
    if len(indptr) != rows + 1:
        problems.append(f"indptr has {len(indptr)} entries where {rows + 1} are needed")
    elif indptr[0] != 0 or indptr[-1] != len(data) or np.any(np.diff(indptr.astype(np.int64)) < 0):
        problems.append("indptr does not rise from 0 to the number of values")
    if len(indices) and (indices.min() < 0 or indices.max() >= columns):
        problems.append(f"indices reach beyond the {columns} features")
    return problems


def _names(dataset: Any) -> list[str]:
    return [] if dataset.ndim != 1 or dataset.size > MOST_NAMES else texts(dataset)


def texts(dataset: Any) -> list[str]:
    """The texts of a one-dimensional HDF5 data set."""
    found = dataset[:].tolist()
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in found]


def read_tenx_mtx(folder: Path) -> Counts:
    """Read a `*_feature_bc_matrix/` folder, spots by genes; plain or gzipped, old or new names.

    `folder`: holds `matrix.mtx`, `barcodes.tsv` and `features.tsv` (`genes.tsv` before Cell Ranger 3). Raises
    `SectionError` if a file is missing or damaged, or they contradict each other.
    """
    import scipy.io

    matrix_path = _one_of(folder, "matrix.mtx")
    text = io.BytesIO(read_bytes(matrix_path))
    wrong = (ValueError, OverflowError, EOFError, TypeError)
    with told_as(
        SectionError, "not a whole matrix-market file", *wrong, where=matrix_path, remedy=_MTX_REMEDY
    ):
        features, spots, entries, *_ = scipy.io.mminfo(text)
        room = min(MOST_ENTRIES, text.getbuffer().nbytes // _ENTRY_BYTES)
        if entries > room or max(features, spots) > MOST_NAMES:
            problem = f"claims {entries} entries, more than it has room for"
            raise SectionError(problem, where=matrix_path, remedy=_MTX_REMEDY)
        text.seek(0)
        matrix = scipy.io.mmread(text, spmatrix=False)
    barcodes = [line[0] for line in _lines(_one_of(folder, "barcodes.tsv"))]
    rows = _lines(_one_of(folder, "features.tsv", "genes.tsv"))
    listed = (("barcodes.tsv", len(barcodes), spots), ("features.tsv", len(rows), features))
    problems = [
        f"{what} has {found} lines where the matrix has {expected}"
        for what, found, expected in listed
        if found != expected
    ]
    if problems:
        raise SectionError("; ".join(problems), where=folder, remedy=_MTX_REMEDY)
    ids = [row[0] for row in rows]
    names = [row[1] if len(row) > 1 else row[0] for row in rows]
    kinds = [row[2] if len(row) > 2 else GENE_EXPRESSION for row in rows]
    return gene_expression(matrix.T.tocsr(), barcodes, names, ids, kinds, matrix_path)


def _one_of(folder: Path, *names: str) -> Path:
    found = file_in(folder, *names)
    if found is not None:
        return found
    raise SectionError(f"there is no {names[0]} or {names[0]}.gz", where=folder, remedy=_MTX_REMEDY)


def _lines(path: Path) -> list[list[str]]:
    text = read_bytes(path, SMALL_TEXT_BYTES).decode("utf-8", "replace")
    return [line.split("\t") for line in text.splitlines() if line]
