"""Reading files that may be damaged or hostile: bounded text, and HDF5 without links to elsewhere."""

import gzip
import io
import math
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from histoscribe.errors import SectionError

TEXT_BYTES = 2 << 30
SMALL_TEXT_BYTES = 256 << 20
HDF5_OBJECTS = 10_000
HDF5_UNPACKED = 200
"""Bytes that an HDF5 file may unpack to, per byte of the file; real ones stay below 50."""
HDF5_SPARE = 256 << 20
HDF5_CHUNK_BYTES = 256 << 20


def read_text(path: Path, limit: int = TEXT_BYTES) -> io.BytesIO:
    """Read a text file, plain or gzipped by content, of at most `limit` bytes unpacked; UTF-16 as UTF-8.

    Raises `SectionError` if it is missing, damaged, or larger than `limit`.
    """
    content = _content(path, limit)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # a spreadsheet's "Unicode text"
        content = content.decode("utf-16", "replace").encode()
    return io.BytesIO(content)


def _content(path: Path, limit: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as source:
            content = source.read(limit + 1)
    except FileNotFoundError as error:
        raise SectionError("there is no such file", where=path, remedy="check the path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SectionError("the gzip data are damaged or cut off", where=path, remedy=_AGAIN) from error
    except OSError as error:
        raise SectionError(f"cannot be read ({error.strerror or error})", where=path) from error
    if len(content) > limit:
        raise SectionError(f"holds more than {limit >> 20} MB of text", where=path, remedy=_WHICH)
    return content


@contextmanager
def unpacked(path: Path, limit: int = TEXT_BYTES) -> Iterator[Path]:
    """The file itself, or a temporary one of what it was packed from, bounded as `read_text` is."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if not packed:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.stem
        plain.write_bytes(_content(path, limit))
        yield plain


@contextmanager
def opened_hdf5(path: Path, *, whole: bool = True) -> Iterator[Any]:
    """Open an HDF5 file whose every object lies in the file itself, as an `h5py.File`.

    `whole`: whether to look at every object now. Otherwise take each by `hdf5_part`, which looks at it alone:
    for files of many objects of which few are read. Raises `SectionError` if it is no HDF5 file, is damaged,
    claims far more values than its size has room for, or reaches into other files by a link, external storage
    or a virtual data set. Damage that shows only while the block reads is reported alike.
    """
    import h5py

    if not path.is_file():
        raise SectionError("there is no such file", where=path, remedy="check the path")
    try:
        with unpacked(path) as plain:
            if not h5py.is_hdf5(plain):
                problem = "this is not an HDF5 file, or its beginning is lost"
                raise SectionError(problem, where=path, remedy=_AGAIN)
            with h5py.File(plain, "r") as file:
                if whole:
                    _refuse_foreign_content(file, path)
                yield file
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise SectionError("the HDF5 data are damaged or cut off", where=path, remedy=_AGAIN) from error


def hdf5_part(file: Any, name: str, path: Path) -> Any:
    """One object of an HDF5 file and all below it, looked at as `opened_hdf5` does; None where it is absent.

    Raises `SectionError` if it, or something on the way to it, lies in another file or claims more than
    it has room for.
    """
    import h5py

    item = file
    for part in name.split("/"):
        if not isinstance(item, h5py.Group) or part not in item:
            return None
        if not isinstance(item.get(part, getlink=True), h5py.HardLink):
            raise _foreign(f"{item.name}/{part} is a link", path)
        item = item[part]
    holder = item.parent if isinstance(item, h5py.Dataset) else item
    _refuse_foreign_content(holder, path)
    return item


def _refuse_foreign_content(file: Any, path: Path) -> None:
    import h5py

    seen: set[int] = set()
    spare = HDF5_SPARE + HDF5_UNPACKED * path.stat().st_size
    waiting = [file]
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise _foreign(f"{group.name}/{name} is a link into another file", path)
            if isinstance(link, h5py.SoftLink):
                continue
            item = group[name]
            address = int(h5py.h5o.get_info(item.id).addr)
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > HDF5_OBJECTS:
                raise SectionError(f"holds more than {HDF5_OBJECTS} objects", where=path, remedy=_WHICH)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                raise _foreign(f"{item.name} keeps its values in another file", path)
            elif isinstance(item, h5py.Dataset):
                _refuse_packing(item, path)
                spare -= 0 if item.shape is None else item.nbytes
                if spare < 0:
                    problem = f"claims far more values than it has room for ({item.name}: {item.shape})"
                    raise SectionError(problem, where=path, remedy=_WHICH)


def _refuse_packing(item: Any, path: Path) -> None:
    """Refuse giant chunks, and values compressed twice: a few bytes could unfold to any size."""
    import h5py

    if item.chunks is not None and math.prod(item.chunks) * item.dtype.itemsize > HDF5_CHUNK_BYTES:
        remedy = "write it in smaller chunks"
        raise SectionError(f"{item.name} has chunks of {item.chunks} values", where=path, remedy=remedy)
    settings = item.id.get_create_plist()
    filters = [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]
    harmless = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
    if sum(number not in harmless for number in filters) > 1:
        raise SectionError(f"{item.name} is compressed twice", where=path, remedy=_WHICH)


def _foreign(problem: str, path: Path) -> SectionError:
    remedy = "use a file that holds its own data; links out of a file are never followed"
    return SectionError(problem, where=path, remedy=remedy)


_AGAIN = "copy or download it again"
_WHICH = "check that this is the right file"
