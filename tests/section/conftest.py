"""Small Space Ranger folders, h5ad files and legacy sections made on the spot."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import process_time
from typing import Any

import anndata
import h5py
import imagecodecs
import numpy as np
import pytest
import scipy.io
from scipy.sparse import csr_matrix

MPP = 0.8
ROWS, COLUMNS = 10, 9
FULL = (1200, 1600)


@dataclass(frozen=True)
class Truth:
    """What a made folder holds."""

    folder: Path
    barcodes: list[str]
    genes: list[str]
    counts: np.ndarray
    array: np.ndarray
    centres: np.ndarray
    on_tissue: np.ndarray


def visium_lattice() -> tuple[np.ndarray, np.ndarray]:
    array = np.array([(r, 2 * c + r % 2) for r in range(ROWS) for c in range(COLUMNS)], dtype=float)
    centres = np.column_stack([200 + array[:, 0] * 50 * np.sqrt(3) / MPP, 260 + array[:, 1] * 50 / MPP])
    return array, centres


def write_tenx_h5(
    path: Path, counts: np.ndarray, barcodes: list[str], features: list[tuple[str, str, str]]
) -> None:
    matrix = csr_matrix(counts)
    with h5py.File(path, "w") as file:
        file.attrs["library_ids"] = np.array([b"run"])
        file.attrs["chemistry_description"] = "made"
        file.attrs["software_version"] = "none"
        group = file.create_group("matrix")
        for name, values in (("data", matrix.data), ("indices", matrix.indices), ("indptr", matrix.indptr)):
            group[name] = values.astype(np.int64 if name == "indptr" else np.int32)
        group["shape"] = np.array(counts.shape[::-1], dtype=np.int32)
        group["barcodes"] = np.array(barcodes, dtype="S")
        for column, name in enumerate(("id", "name", "feature_type")):
            group[f"features/{name}"] = np.array([feature[column] for feature in features], dtype="S")
        group["features/genome"] = np.array(["GRCh38"] * len(features), dtype="S")


def write_tenx_mtx(
    folder: Path, counts: np.ndarray, barcodes: list[str], features: list[tuple[str, str, str]]
) -> None:
    folder.mkdir()
    with gzip.open(folder / "matrix.mtx.gz", "wb") as stream:
        scipy.io.mmwrite(stream, csr_matrix(counts.T).tocoo(), field="integer")
    with gzip.open(folder / "barcodes.tsv.gz", "wt") as stream:
        stream.write("".join(f"{barcode}\n" for barcode in barcodes))
    with gzip.open(folder / "features.tsv.gz", "wt") as stream:
        stream.write("".join("\t".join(feature) + "\n" for feature in features))


def write_png(path: Path, rows: int, columns: int) -> None:
    down, across = np.mgrid[:rows, :columns]
    image = np.stack([down * 255 // rows, across * 255 // columns, np.full((rows, columns), 200)], axis=-1)
    path.write_bytes(imagecodecs.png_encode(image.astype(np.uint8), level=1))


def make_space_ranger(folder: Path, *, version: int = 2, form: str = "h5", outs: bool = False) -> Truth:
    """A run of 90 spots, of which every ninth lies off the tissue, and 12 genes with one antibody."""
    random = np.random.default_rng(7)
    array, centres = visium_lattice()
    if version == 1:
        centres = np.rint(centres)
    barcodes = [f"{''.join(random.choice(list('ACGT'), 16))}-1" for _ in array]
    on_tissue = np.arange(len(array)) % 9 != 0
    genes = [f"GENE{index}" for index in range(10)] + ["TWIN", "TWIN"]
    counts = random.poisson(1.5, (len(array), len(genes) + 1))
    features = [(f"ENSG{i:05d}", gene, "Gene Expression") for i, gene in enumerate(genes)]
    features.append(("CD3", "CD3", "Antibody Capture"))
    root = folder / "outs" if outs else folder
    (root / "spatial").mkdir(parents=True)
    order = random.permutation(np.flatnonzero(on_tissue))
    shuffled = [barcodes[index] for index in order]
    if form == "h5":
        write_tenx_h5(root / "filtered_feature_bc_matrix.h5", counts[order], shuffled, features)
    else:
        write_tenx_mtx(root / "filtered_feature_bc_matrix", counts[order], shuffled, features)
    number = "{:.0f}".format if version == 1 else "{:.6f}".format
    lines = [
        f"{barcode},{int(inside)},{int(row)},{int(column)},{number(down)},{number(across)}"
        for barcode, inside, (row, column), (down, across) in zip(
            barcodes, on_tissue, array, centres, strict=True
        )
    ]
    if version == 2:
        lines.insert(0, "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres")
    name = "tissue_positions_list.csv" if version == 1 else "tissue_positions.csv"
    (root / "spatial" / name).write_text("\n".join(lines) + "\n")
    scales = {
        "spot_diameter_fullres": 65 / MPP,
        "fiducial_diameter_fullres": 105 / MPP,
        "tissue_hires_scalef": 0.25,
        "tissue_lowres_scalef": 0.075,
    }
    (root / "spatial" / "scalefactors_json.json").write_text(json.dumps(scales))
    write_png(root / "spatial" / "tissue_hires_image.png", FULL[0] // 4, FULL[1] // 4)
    write_png(root / "spatial" / "tissue_lowres_image.png", 90, 120)
    return Truth(folder, shuffled, genes, counts[order, :-1], array[order], centres[order], on_tissue)


def hexagonal(spots: int, step: float = 125.0) -> np.ndarray:
    side = int(np.ceil(np.sqrt(spots)))
    places = [
        (step * (c + r % 2 / 2) + 300, step * r * np.sqrt(3) / 2 + 300)
        for r in range(side)
        for c in range(side)
    ]
    return np.array(places[:spots])


def make_foreign(spots: int = 40, **changes: Any) -> anndata.AnnData:
    """A table as squidpy's own examples look: no word from us."""
    counts = np.random.default_rng(0).poisson(2.0, (spots, 6)).astype(np.float32)
    table = anndata.AnnData(csr_matrix(counts), obsm={"spatial": hexagonal(spots)})
    image = np.random.default_rng(1).random((130, 150, 3)).astype(np.float32)
    scales = {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 81.0}
    table.uns["spatial"] = {"V1": {"images": {"hires": image}, "scalefactors": scales}}
    return table


@dataclass(frozen=True)
class Legacy:
    """The files of a made legacy section and what is in them."""

    counts: Path
    positions: Path
    slide: Path
    spots: list[str]
    values: np.ndarray


def make_legacy(folder: Path, *, name: str = "A1", checkerboard: bool = False) -> Legacy:
    """A section of 8 × 8 array places at 40 pixels per unit."""
    random = np.random.default_rng(3)
    places = [(x, y) for x in range(2, 10) for y in range(3, 11) if not checkerboard or (x + y) % 2 == 0]
    values = random.poisson(2.0, (len(places), 5))
    spots = [f"{x}x{y}" for x, y in places]
    genes = ["FO538757.1", "ERBB2", "GNAS", "ACTB", "MALAT1"]
    rows = ["\t" + "\t".join(genes)]
    rows += [spot + "\t" + "\t".join(map(str, row)) for spot, row in zip(spots, values, strict=True)]
    counts = folder / f"{name}.tsv.gz"
    counts.write_bytes(gzip.compress(("\n".join(rows) + "\n").encode()))
    lines = ["x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected"]
    lines += [f"{x}\t{y}\t{x}.01\t{y}.02\t{(x - 1) * 40}\t{(y - 1) * 40}\t1" for x, y in reversed(places)]
    positions = folder / f"{name}_selection.tsv"
    positions.write_text("\n".join(lines) + "\n")
    slide = folder / f"{name}.png"
    write_png(slide, 420, 380)
    return Legacy(counts, positions, slide, spots, values)


@pytest.fixture(autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """No damaged file takes over 10 s of work or 1 GB to be refused."""
    before, start = getrusage(RUSAGE_SELF).ru_maxrss, process_time()
    yield
    if request.node.path.name.startswith("test_damaged"):
        assert process_time() - start < 10
        assert (getrusage(RUSAGE_SELF).ru_maxrss - before) << 10 < 1 << 30


@pytest.fixture
def space_ranger(tmp_path: Path) -> Callable[..., Truth]:
    """Makes a Space Ranger folder `run` in the test's folder."""

    def make(name: str = "run", **settings: Any) -> Truth:
        return make_space_ranger(tmp_path / name, **settings)

    return make


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Truth]:
    """Makes a Space Ranger folder at a given place."""
    return make_space_ranger


@pytest.fixture
def write_tenx() -> Callable[..., None]:
    """Writes counts as 10x Genomics' HDF5 file."""
    return write_tenx_h5


@pytest.fixture
def write_tenx_folder() -> Callable[..., None]:
    """Writes counts as a matrix-market folder of 10x Genomics."""
    return write_tenx_mtx


@pytest.fixture
def legacy(tmp_path: Path) -> Callable[..., Legacy]:
    """Makes the files of a legacy section in the test's folder."""

    def make(**settings: Any) -> Legacy:
        return make_legacy(tmp_path, **settings)

    return make


@pytest.fixture
def png() -> Callable[[Path, int, int], None]:
    """Writes a coloured PNG of the given rows and columns."""
    return write_png


@pytest.fixture
def foreign() -> Callable[..., anndata.AnnData]:
    """Makes a table as squidpy's own examples look."""
    return make_foreign
