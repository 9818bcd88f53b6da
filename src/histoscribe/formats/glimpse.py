"""A first look at a path: little is read, nothing is opened."""

import itertools
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from histoscribe.errors import HistoscribeError

_HEAD = 1 << 16
_MOST_NAMES = 10_000
_URL = re.compile(r"^(https?|s3|gs|file):/+(.*)$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Glimpse:
    """What is seen of a path at little cost."""

    path: Path
    """The file or folder; of a URL only its name."""
    head: bytes = b""
    """The first 64 KiB of a file; empty for a folder and a URL."""
    names: frozenset[str] = field(default=frozenset())
    """What lies in a folder, at most 10,000 names."""
    url: str = ""
    """Where it lies, if that is no local path."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return not self.head and not self.url

    def below(self, folder: str) -> frozenset[str]:
        """The names in a folder within the folder; none where there is none."""
        return names_in(self.path / folder) if folder in self.names else frozenset()

    def named(self, *patterns: str, within: Iterable[str] | None = None) -> bool:
        """Whether a name in the folder (or `within`) fits one of the patterns."""
        names = self.names if within is None else within
        return any(fnmatch(name, pattern) for name in names for pattern in patterns)

    @cached_property
    def unpacked(self) -> bytes:
        """The first bytes, unpacked where they are gzipped; empty where they are damaged."""
        if not self.head.startswith(b"\x1f\x8b"):
            return self.head
        try:
            return zlib.decompressobj(wbits=31).decompress(self.head, _HEAD)
        except zlib.error:
            return b""

    @cached_property
    def text(self) -> str:
        """The beginning as text, unpacked where it is gzipped; empty where it is binary."""
        head = self.unpacked
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            return head[: len(head) // 2 * 2].decode("utf-16", "replace")
        if b"\0" in head:
            return ""
        try:
            return head.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return head.decode("utf-8-sig" if error.start > len(head) - 4 else "latin-1", "ignore")

    @cached_property
    def hdf5(self) -> frozenset[str] | None:
        """The names at the top of an HDF5 file and, as `group/name`, in `obs`, `obsm` and `uns`.

        Empty for other files, None where the file is damaged. Links to elsewhere are not followed.
        """
        if not self.head.startswith(b"\x89HDF\r\n\x1a\n"):
            return frozenset()
        import h5py

        found: set[str] = set()
        try:
            with h5py.File(self.path, "r") as file:
                for name in itertools.islice(file, _MOST_NAMES):
                    found.add(name)
                    own = isinstance(file.get(name, getlink=True), h5py.HardLink)
                    if own and name in ("obs", "obsm", "uns") and isinstance(file[name], h5py.Group):
                        found |= {f"{name}/{part}" for part in itertools.islice(file[name], _MOST_NAMES)}
        except (OSError, RuntimeError, KeyError, ValueError):
            return None
        return frozenset(found)


def remote_url(place: str | os.PathLike[str]) -> str | None:
    """The URL that a string, or a path made of one, stands for; None for a local path."""
    found = _URL.match(str(place).replace("\\", "/") if os.name == "nt" else str(place))
    if found is None:
        return None
    scheme, rest = found[1].lower(), found[2]
    return f"file:///{rest}" if scheme == "file" else f"{scheme}://{rest}"


def located(place: str | os.PathLike[str]) -> Path | str:
    """A local path, of a `file://` URL too, or the URL."""
    url = remote_url(place)
    if url is None or url.startswith("file://"):
        return Path(place if url is None else url.removeprefix("file://"))
    return url


def glimpse(place: str | os.PathLike[str], kind: type[HistoscribeError] = HistoscribeError) -> Glimpse:
    """Look at a path without opening it.

    Raises `HistoscribeError` as `kind`, if there is nothing, it cannot be read, or it is an empty file.
    """
    path = located(place)
    if isinstance(path, str):
        return Glimpse(Path(path.rstrip("/").rpartition("/")[2]), url=path)
    try:
        if path.is_dir():
            return Glimpse(path, names=names_in(path))
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise kind("there is no such file or folder", where=path, remedy="check the path") from None
    except OSError as error:
        raise kind(f"cannot be opened ({error.strerror})", where=path, remedy="check its rights") from error
    if not head:
        raise kind("the file is empty", where=path, remedy="copy it again")
    return Glimpse(path, head)


def names_in(folder: Path) -> frozenset[str]:
    """What lies in a folder, at most 10,000 names; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in itertools.islice(entries, _MOST_NAMES))
    except OSError:
        return frozenset()
