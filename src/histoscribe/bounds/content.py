"""What a file holds, plain or gzipped by its content, never more of it than it may hold."""

import gzip
import json
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from histoscribe.errors import HistoscribeError, SectionError, reason_of, told_as

TEXT_BYTES = 2 << 30
SMALL_TEXT_BYTES = 256 << 20
AGAIN = "copy or download it again"
WHICH = "check that this is the right file"


def read_bytes(path: Path, limit: int = TEXT_BYTES, kind: type[HistoscribeError] = SectionError) -> bytes:
    """Read a file of at most `limit` bytes unpacked; text in UTF-16 as UTF-8.

    Raises `HistoscribeError` as `kind`, if it is missing, damaged, or larger than `limit`.
    """
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as source:
            content = source.read(limit + 1)
    except FileNotFoundError as error:
        raise kind("there is no such file", where=path, remedy="check the path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = "cannot be read: the gzip data are damaged or cut off"
        raise kind(problem, where=path, remedy=AGAIN) from error
    except OSError as error:
        raise kind(f"cannot be read ({reason_of(error)})", where=path) from error
    if len(content) > limit:
        raise kind(f"is too much: it holds more than {limit >> 20} MB", where=path, remedy=WHICH)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # a spreadsheet's "Unicode text"
        return content.decode("utf-16", "replace").encode()
    return content


def read_json(path: Path, limit: int, kind: type[HistoscribeError], remedy: str) -> dict[str, Any]:
    """Read one JSON object; raises as `read_bytes`, and if it is something else."""
    wrong = "this is damaged: not a whole JSON file"
    with told_as(kind, wrong, ValueError, RecursionError, where=path, remedy=remedy, reason=False):
        found = json.loads(read_bytes(path, limit, kind))
    if not isinstance(found, dict):
        raise kind("this is damaged: no JSON object", where=path, remedy=remedy)
    return found


@contextmanager
def unpacked(path: Path, limit: int = TEXT_BYTES) -> Iterator[Path]:
    """The file itself, or a temporary one of what it was packed from, bounded as `read_bytes` is."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if not packed:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.stem
        plain.write_bytes(read_bytes(path, limit))
        yield plain
