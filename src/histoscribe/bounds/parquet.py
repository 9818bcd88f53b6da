"""Parquet that may be damaged or hostile: what it unfolds to is asked of its footer before it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoscribe.bounds.content import AGAIN, SMALL_TEXT_BYTES, WHICH
from histoscribe.errors import SectionError, told_as

if TYPE_CHECKING:
    import pandas as pd

UNFOLDED = 200
"""Bytes that a file may unfold to, per byte of the file; real ones stay below 50."""
SPARE = 256 << 20
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_TEXT = "BYTE_ARRAY"
_BATCH_BYTES = 64 << 20


def read_parquet(path: Path, columns: Sequence[str], *, most_rows: int) -> pd.DataFrame:
    """Read those of the columns that a file has.

    Raises `SectionError` if it is damaged, has more than `most_rows` rows, or would unfold to far more than
    it has room for.
    """
    if path.stat().st_size > SMALL_TEXT_BYTES:
        raise SectionError(f"is larger than {SMALL_TEXT_BYTES >> 20} MB", where=path, remedy=AGAIN)
    with _opened(path) as file:
        rows = file.metadata.num_rows
        if rows > most_rows:
            raise SectionError(f"claims {rows:,} rows", where=path, remedy=AGAIN)
        held = [name for name in columns if name in file.schema_arrow.names]
        _refuse_unfolding(file, held, path)
        found: pd.DataFrame = file.read(columns=held).to_pandas()
        return found


def check_parquet(path: Path) -> None:
    """Refuse a file that is damaged or would unfold to far more than it has room for."""
    with _opened(path) as file:
        _refuse_unfolding(file, file.schema_arrow.names, path)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An open `ParquetFile`; what its reader raises becomes a `SectionError`."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    wrong = (ArrowException, ValueError, OSError, RuntimeError, OverflowError)
    with (
        told_as(SectionError, "not a whole parquet file", *wrong, where=path, remedy=AGAIN, reason=False),
        ParquetFile(path) as file,
    ):
        yield file


def _refuse_unfolding(file: Any, columns: Sequence[str], path: Path) -> None:
    """Add up what pages unpack to, and what repeated values become when each is written out."""
    room = SPARE + UNFOLDED * path.stat().st_size
    claimed = 0
    doubtful: list[tuple[int, str, int]] = []
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        for place in range(group.num_columns):
            chunk, name = group.column(place), group.column(place).path_in_schema.split(".")[0]
            if name not in columns:
                continue
            width = _WIDTHS.get(chunk.physical_type, file.schema.column(place).length)
            nested = chunk.path_in_schema != name
            if chunk.physical_type == _TEXT and chunk.has_dictionary_page and claimed <= room:
                width = chunk.total_uncompressed_size
                width = width if nested or width > room else _longest(path, number, name)
                if not nested and chunk.num_values * width > room:
                    doubtful.append((number, name, width))
                    width = 0
            claimed += max(chunk.total_uncompressed_size, chunk.num_values * width)
    for number, name, width in doubtful:
        claimed += _written_out(path, number, name, width, room) if claimed <= room else 0
    if claimed > room:
        problem = f"would unfold to far more than it has room for (over {room / 2**20:.0f} MB)"
        raise SectionError(problem, where=path, remedy=WHICH)


def _longest(path: Path, group: int, column: str) -> int:
    """Bytes of the longest text that a column may repeat: of those in its dictionary."""
    import pyarrow.compute as pc
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, read_dictionary=[column]) as file:
        first = next(file.iter_batches(1, row_groups=[group], columns=[column]), None)
        lengths = None if first is None else pc.binary_length(first.column(0).dictionary)
        return int(pc.max(lengths).as_py() or 0) if lengths is not None else 0


def _written_out(path: Path, group: int, column: str, longest: int, most: int) -> int:
    """Bytes of all texts of a column, counted until they are more than `most`."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow.parquet import ParquetFile

    total = 0
    with ParquetFile(path) as file:
        rows = max(1, _BATCH_BYTES // max(longest, 1))
        for batch in file.iter_batches(rows, row_groups=[group], columns=[column]):
            texts = batch.column(0)
            repeated = isinstance(texts, pa.DictionaryArray)
            lengths = pc.binary_length(texts.dictionary if repeated else texts)
            total += pc.sum(lengths.take(texts.indices) if repeated else lengths).as_py() or 0
            if total > most:
                break
    return total
