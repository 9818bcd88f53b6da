"""Small Parquet files that would unfold to far more than memory holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow.parquet import write_table

from histoscribe.bounds.parquet import SPARE, check_parquet, read_parquet
from histoscribe.bounds.zarr import check_zarr
from histoscribe.errors import SectionError

ROWS = 40_000_000
FEW = 80_000


def repeated(value: object, rows: int = ROWS) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


ENDLESS: dict[str, Callable[[], dict[str, pa.Array]]] = {
    "numbers": lambda: {"x_centroid": repeated(1.5)},
    "texts": lambda: {"cell_id": repeated("a" * 5_000, FEW)},
    "plain texts": lambda: {"cell_id": repeated(b"a" * 5_000, FEW).cast(pa.binary())},
    "lists of texts": lambda: {"cell_id": pa.array([["a" * 1000] * 300] * 1000)},
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_repeats_a_value_without_end_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.parquet"
    write_table(pa.table(ENDLESS[kind]()), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(SectionError, match="would unfold to far more than it has room for"):
        read_parquet(path, ["cell_id", "x_centroid"], most_rows=100_000_000)
    assert len(read_parquet(path, ["other"], most_rows=100_000_000).columns) == 0
    with pytest.raises(SectionError, match="would unfold"):
        check_parquet(path)


def test_shapes_of_a_spatialdata_folder_are_looked_over(tmp_path: Path) -> None:
    (tmp_path / "shapes" / "cells").mkdir(parents=True)
    path = tmp_path / "shapes" / "cells" / "shapes.parquet"
    write_table(pa.table({"geometry": repeated(b"a" * 5_000, FEW)}), path)
    with pytest.raises(SectionError, match="would unfold"):
        check_zarr(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SectionError, match="not a whole parquet file"):
        check_zarr(tmp_path)


def test_one_long_text_among_short_ones_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "cells.parquet"
    names = ["b" * 4_000, *(str(number) for number in range(200_000))]
    assert 4_000 * len(names) > SPARE
    write_table(pa.table({"cell_id": names}), path)
    assert read_parquet(path, ["cell_id"], most_rows=1_000_000)["cell_id"].tolist() == names
