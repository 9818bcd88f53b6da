"""HDF5 that may be damaged or hostile: without links to elsewhere, and no giant claims."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from histoscribe.bounds.content import AGAIN, WHICH, unpacked
from histoscribe.errors import HistoscribeError, SectionError, told_as

HDF5_OBJECTS = 10_000
HDF5_UNPACKED = 200
"""Bytes that an HDF5 file may unpack to, per byte of the file; real ones stay below 50."""
HDF5_SPARE = 256 << 20
HDF5_CHUNK_BYTES = 256 << 20
_OWN = "use a file that holds its own data; links out of a file are never followed"


@contextmanager
def opened_hdf5(
    path: Path, *, whole: bool = True, kind: type[HistoscribeError] = SectionError
) -> Iterator[Any]:
    """Open an HDF5 file whose every object lies in the file itself, as an `h5py.File`.

    `whole`: whether to look at every object now. Otherwise take each by `hdf5_part`, which looks at it alone:
    for files of many objects of which few are read. Raises `HistoscribeError` as `kind`, if it is no HDF5
    file, is damaged, claims far more values than its size has room for, or reaches into other files by a
    link, external storage or a virtual data set. Damage that shows only while the block reads is reported
    alike.
    """
    import h5py

    if not path.is_file():
        raise kind("there is no such file", where=path, remedy="check the path")
    foreign = (OSError, RuntimeError, KeyError, ValueError)
    damaged = "the HDF5 data are damaged or cut off"
    with told_as(kind, damaged, *foreign, where=path, remedy=AGAIN, reason=False), unpacked(path) as plain:
        if not h5py.is_hdf5(plain):
            raise kind("this is not an HDF5 file, or its beginning is lost", where=path, remedy=AGAIN)
        with h5py.File(plain, "r") as file:
            if whole:
                _refuse_foreign_content(file, path, kind)
            yield file


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
            raise SectionError(f"{item.name}/{part} is a link", where=path, remedy=_OWN)
        item = item[part]
    holder = item.parent if isinstance(item, h5py.Dataset) else item
    _refuse_foreign_content(holder, path, SectionError)
    return item


def _refuse_foreign_content(file: Any, path: Path, kind: type[HistoscribeError]) -> None:
    import h5py

    seen: set[int] = set()
    spare = HDF5_SPARE + HDF5_UNPACKED * path.stat().st_size
    waiting = [file]
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise kind(f"{group.name}/{name} is a link into another file", where=path, remedy=_OWN)
            if isinstance(link, h5py.SoftLink):
                continue
            item = group[name]
            address = int(h5py.h5o.get_info(item.id).addr)
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > HDF5_OBJECTS:
                raise kind(f"holds more than {HDF5_OBJECTS} objects", where=path, remedy=WHICH)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise kind(f"{item.name} keeps its values in another file", where=path, remedy=_OWN)
                _refuse_packing(item, path, kind)
                spare -= 0 if item.shape is None else item.nbytes
                if spare < 0:
                    problem = f"claims far more values than it has room for ({item.name}: {item.shape})"
                    raise kind(problem, where=path, remedy=WHICH)


def _refuse_packing(item: Any, path: Path, kind: type[HistoscribeError]) -> None:
    """Refuse giant chunks, and values compressed twice: a few bytes could unfold to any size."""
    import h5py

    if item.chunks is not None and math.prod(item.chunks) * item.dtype.itemsize > HDF5_CHUNK_BYTES:
        problem = f"{item.name} has chunks of {item.chunks} values"
        raise kind(problem, where=path, remedy="write it in smaller chunks")
    settings = item.id.get_create_plist()
    filters = [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]
    harmless = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
    if sum(number not in harmless for number in filters) > 1:
        raise kind(f"{item.name} is compressed twice", where=path, remedy=WHICH)
