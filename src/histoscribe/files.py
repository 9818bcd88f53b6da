"""Writing without leaving halves behind: a temporary name first, then one rename. And JSON of anything."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from histoscribe.errors import HistoscribeError, StorageError

if TYPE_CHECKING:
    from anndata import AnnData

RUN = 4096
"""Rows that are worked on, and written, together."""
_GENES, _STALE_S = 4, 86_400
_BLOCK = 1 << 16
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REMEDIES = {
    errno.ENOSPC: "free some space on that disk or choose another folder",
    errno.EDQUOT: "free some of your quota or choose another folder",
    errno.EFBIG: "choose a disk and a limit (ulimit -f) that allow larger files",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that is not read-only",
    errno.ENOENT: "choose a folder that exists",
    errno.ENOTDIR: "choose a folder, not a file",
}


@contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` if the block succeeds.

    The block may create a file or a folder at the yielded path. Whatever stood at `target` is kept until
    the new content is whole; a failure or a cancelled run leaves it untouched. What a run that was killed
    left here a day ago or longer is swept away. Raises `StorageError` if the disk is full, the folder is
    missing or may not be written to.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _storage_error(error, target) from error
    fresh, previous = holder / target.name, holder / "previous"
    try:
        yield fresh
        if target.is_dir() and not target.is_symlink():
            os.replace(target, previous)
        os.replace(fresh, target)
    except (OSError, RuntimeError) as error:
        if previous.exists() and not target.exists():
            os.replace(previous, target)
        if _number(error) in FULL or str(getattr(error, "filename", "")).startswith(str(holder)):
            raise _storage_error(error, target) from error
        raise
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove the holders of `target` in which nothing was written for a day; bring back what one moved."""
    for holder in target.parent.glob(f".{glob.escape(target.name)}.{'[a-z0-9_]' * 8}"):
        with suppress(OSError):  # one that is in use may go meanwhile
            within = [holder, *holder.rglob("*")]
            stale = max(one.lstat().st_mtime for one in within) < time.time() - _STALE_S
            if stale and {one.name for one in holder.iterdir()} <= {target.name, "previous"}:
                if (holder / "previous").exists() and not target.exists():
                    os.replace(holder / "previous", target)
                shutil.rmtree(holder)


def write_h5ad(table: AnnData, target: Path, kind: type[HistoscribeError]) -> None:
    """Write an h5ad file; what lies on disk is read and written a run of rows after the other.

    Raises `kind` if the table holds something that h5ad cannot store, `StorageError` as `replacing`.
    """
    import h5py
    from anndata.experimental import write_dispatched

    def one(write: Any, store: Any, key: str, part: Any, *, dataset_kwargs: Any, iospec: Any) -> None:
        packing = dict(dataset_kwargs)
        if hasattr(part, "dask"):  # so that one gene can be read by itself
            packing |= {"chunks": tuple(map(min, part.shape, (RUN, _GENES))), "shuffle": True}
        write(store, key, part, dataset_kwargs=packing)

    with replacing(target) as fresh, _HeldBack(fresh, "x+b") as stream:
        try:
            table.strings_to_categoricals()
            with h5py.File(stream, "w") as file:
                packing = {"compression": "gzip", "compression_opts": 1}
                write_dispatched(file, "/", table, one, dataset_kwargs=packing)
        except HistoscribeError:
            raise
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise kind(
                f"the table holds something that h5ad cannot store ({reason})",
                where=target,
                remedy="remove it from the table",
            ) from error
        if stream.refused is not None:
            raise stream.refused


class _HeldBack(io.FileIO):
    """A file that keeps what the disk refuses to itself: HDF5 would take the whole program down."""

    refused: OSError | None = None

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        try:
            while len(left) and self.refused is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.refused = error
        return len(data)

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.refused = self.refused or error
            return size or 0


def plain(value: Any) -> Any:
    """Numpy values, paths, dataclasses and their containers as JSON knows them; null where not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, os.PathLike):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Iterable):
        return [plain(entry) for entry in value]
    return str(value)


def as_json(document: Mapping[str, object], *, indent: int = 2) -> str:
    """A JSON object of anything that `plain` knows, with a line's end."""
    return json.dumps(plain(document), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def read_lines(path: Path) -> list[Any]:
    """What each line of a file of JSON holds, None where it is no JSON; nothing of a torn last one."""
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    found: list[Any] = []
    for line in filter(bytes.strip, lines):
        try:
            found.append(json.loads(line))
        except ValueError:
            if line.endswith(b"\n") or not found:
                found.append(None)
    return found


def add_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Write a line more, in place of one that a stop has torn; `StorageError` if it cannot be written."""
    try:
        with path.open("a+b") as stream:
            stream.truncate(_end_of_lines(stream))
            stream.write(json.dumps(entry, default=str).encode() + b"\n")
    except OSError as error:
        raise _storage_error(error, path) from error


def _end_of_lines(stream: IO[bytes]) -> int:
    """Where the last whole line ends, looked for from the end: a ledger grows with every line."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        at = stream.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _number(error: Exception) -> int:
    """The system's error number; HDF5 hides it in the text of an OSError or a RuntimeError."""
    number = getattr(error, "errno", None)
    hidden = re.search(r"errno = (\d+)", str(error))
    return number or (int(hidden[1]) if hidden else 0)


def _storage_error(error: Exception, target: Path) -> StorageError:
    number = _number(error)
    reason = os.strerror(number).lower() if number else str(error)
    remedy = REMEDIES.get(number, "choose another place")
    return StorageError(f"cannot write ({reason})", where=target, remedy=remedy)
