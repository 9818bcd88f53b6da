"""The parts that every Space Ranger folder has: a matrix as HDF5 or text, and two small images."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from histoscribe.slide import Slide

PROBE_SET = "Simulated Probe Set v1.0"
PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 6, "shuffle": True}


@dataclass(frozen=True, eq=False)
class Matrix:
    """Counts and the names of their rows and columns."""

    counts: Any
    """Shape (barcodes, genes)."""
    barcodes: Sequence[str]
    ids: Sequence[str]
    genes: Sequence[str]
    """`barcodes`, `ids` and `genes`: `ids` are the stable identifiers of the genes."""
    version: str
    """Of the Space Ranger that is imitated."""
    library: str
    """Name of the run."""
    probes: bool = False
    """Whether the genes were caught by probes, as with CytAssist."""


def text(values: Sequence[str]) -> NDArray[np.bytes_]:
    """Names as HDF5 stores them."""
    return np.array([value.encode() for value in values])


def write_tenx_h5(matrix: Matrix, path: Path) -> None:
    """Write a `*_feature_bc_matrix.h5`: one compressed column per barcode."""
    import h5py

    counts = sparse.csr_array(matrix.counts)
    counts.sort_indices()
    with h5py.File(path, "w") as file:
        file.attrs["filetype"] = "matrix"
        file.attrs["version"] = 2
        file.attrs["software_version"] = f"spaceranger-{matrix.version} (simulated by histoscribe)"
        file.attrs["chemistry_description"] = "simulated"
        file.attrs["library_ids"] = text([matrix.library])
        file.attrs["original_gem_groups"] = np.array([1])
        group = file.create_group("matrix")
        group.create_dataset("barcodes", data=text(matrix.barcodes), **PACKED)
        group.create_dataset("data", data=counts.data.astype(np.int32), **PACKED)
        group.create_dataset("indices", data=counts.indices.astype(np.int64), **PACKED)
        group.create_dataset("indptr", data=counts.indptr.astype(np.int64), **PACKED)
        group.create_dataset("shape", data=np.array(counts.shape[::-1], dtype=np.int32))
        write_features(matrix, group.create_group("features"))


def write_features(matrix: Matrix, group: Any) -> None:
    """Write the group `features` of an HDF5 matrix or of `feature_slice.h5`."""
    group.create_dataset("id", data=text(matrix.ids), **PACKED)
    group.create_dataset("name", data=text(matrix.genes), **PACKED)
    group.create_dataset("feature_type", data=text(["Gene Expression"] * len(matrix.genes)), **PACKED)
    group.create_dataset("genome", data=text(["simulated"] * len(matrix.genes)), **PACKED)
    group.create_dataset("_all_tag_keys", data=text(["genome"]))
    if matrix.probes:
        everything = np.arange(len(matrix.genes), dtype=np.uint32)
        group.create_group("target_sets").create_dataset(PROBE_SET, data=everything)


def write_tenx_mtx(matrix: Matrix, folder: Path) -> None:
    """Write a `*_feature_bc_matrix/` folder of three compressed texts."""
    from scipy.io import mmwrite

    folder.mkdir()
    stream = io.BytesIO()
    mmwrite(stream, sparse.coo_array(matrix.counts).T.astype(np.int32), field="integer")
    rows = zip(matrix.ids, matrix.genes, strict=True)
    contents = {
        "matrix.mtx.gz": stream.getvalue(),
        "barcodes.tsv.gz": "".join(f"{name}\n" for name in matrix.barcodes).encode(),
        "features.tsv.gz": "".join(f"{code}\t{name}\tGene Expression\n" for code, name in rows).encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(gzip.compress(content, mtime=0))


def write_small_images(slide: Slide, spatial: Path, hires_px: int) -> float:
    """Write both reduced images; returns pixels of the larger per full-resolution pixel."""
    from PIL import Image

    finest = Image.fromarray(np.asarray(slide.levels[0].pixels[:]))
    scale = hires_px / max(finest.size)
    for name, factor in (("hires", scale), ("lowres", scale / 3)):
        size = (round(finest.width * factor), round(finest.height * factor))
        small = finest.resize(size, Image.Resampling.BOX)
        small.save(spatial / f"tissue_{name}_image.png", compress_level=1)
    return scale / slide.levels[0].downsample


def write_spatial(slide: Slide, spatial: Path, hires_px: int, **more: float) -> None:
    """Make a folder `spatial/`: both reduced images, and `scalefactors_json.json` that says `more` too."""
    spatial.mkdir(parents=True)
    scale = write_small_images(slide, spatial, hires_px)
    factors = {"tissue_hires_scalef": scale, "tissue_lowres_scalef": scale / 3, **more}
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors), encoding="utf-8")


def write_cytassist_image(slide: Slide, spatial: Path) -> None:
    """Write `cytassist_image.tiff`: a coarse picture of its own, not to be mistaken for the slide."""
    import tifffile

    pixels = np.asarray(slide.levels[-1].pixels[:])[::2, ::2]
    tifffile.imwrite(spatial / "cytassist_image.tiff", pixels, photometric="rgb", metadata=None)
