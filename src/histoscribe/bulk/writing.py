"""Writing a restored table: what was restored is marked in every format."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.errors import TableError
from histoscribe.files import replacing, write_h5ad

if TYPE_CHECKING:
    from anndata import AnnData


def write_restored(table: AnnData, path: str | PathLike[str]) -> list[Path]:
    """Write a restored table as h5ad, CSV or TSV; gives back the files written.

    Text holds samples × genes of `layers["restored"]`; beside it goes the same table of standard deviations
    (`x.sd.csv`), 0 where a value was measured and empty where it is not known. Raises `TableError` if the
    table cannot be stored; `StorageError` if there is no room, or no permission.
    """
    path = Path(path)
    if path.suffix.lower() == ".h5ad":
        write_h5ad(table, path, TableError)
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
