"""Writing a restored table: what was restored is marked in every format."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.errors import TableError
from histoscribe.files import replacing

if TYPE_CHECKING:
    from anndata import AnnData


def write_restored(table: AnnData, path: str | PathLike[str]) -> list[Path]:
    """Write a restored table as h5ad, CSV or TSV.

    Text holds samples × genes of `layers["restored"]`; beside it goes the same table of standard deviations
    (`x.sd.csv`), 0 where a value was measured and empty where it is not known.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    TableError
        If the table cannot be stored.
    StorageError
        If there is no room, or no permission.
    """
    path = Path(path)
    if path.suffix.lower() == ".h5ad":
        content = _packed(table, path)
        with replacing(path) as fresh:
            fresh.write_bytes(content)
        return [path]
    import pandas as pd

    separator = "," if path.suffix.lower() == ".csv" else "\t"
    written = []
    for target, layer in ((path, "restored"), (path.with_suffix(f".sd{path.suffix}"), "sd")):
        frame = pd.DataFrame(table.layers[layer], index=table.obs_names, columns=table.var_names)
        with replacing(target) as fresh:
            frame.to_csv(fresh, sep=separator, float_format="%.6g", index_label="sample")
        written.append(target)
    return written


def _packed(table: AnnData, path: Path) -> memoryview:
    """The file's bytes, made in memory: HDF5 on a full disk takes the whole program down."""
    import anndata
    import h5py

    buffer = io.BytesIO()
    try:
        table.strings_to_categoricals()
        with h5py.File(buffer, "w") as file:
            packing = {"compression": "gzip", "compression_opts": 1}
            anndata.io.write_elem(file, "/", table, dataset_kwargs=packing)
    except Exception as error:
        raise TableError(
            f"the table holds something that h5ad cannot store ({str(error).splitlines()[0]})",
            where=path,
            remedy="remove it from the table",
        ) from error
    return buffer.getbuffer()
