"""Where a store of many small files lies: a folder, or a URL; every read bounded, none outside of it."""

import os
import stat
from pathlib import Path
from typing import Any, Protocol

from histoscribe.errors import DependencyError, SlideError, reason_of, told_as

_SECONDS = 8  # to connect, and between two pieces of an answer
_ABSENT = (401, 403, 404, 410)  # what servers answer for an object that is not there


class Place(Protocol):
    """Where the files of a store are read from."""

    @property
    def where(self) -> str:
        """Its path or URL, for messages."""
        ...

    def read(self, key: str, limit: int, start: int | None = None, stop: int | None = None) -> bytes | None:
        """Read a file or bytes `start` to `stop` of it; None where it is not there.

        A negative `start` counts from the end. Raises `ValueError` if more than `limit` bytes would come.
        """
        ...


class Folder:
    """A local folder; links that lead out of it are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self.where = str(root)

    def read(self, key: str, limit: int, start: int | None = None, stop: int | None = None) -> bytes | None:
        """See `Place.read`."""
        file = os.path.realpath(os.path.join(self._root, *key.split("/")))
        if not file.startswith(self._root + os.sep):
            raise ValueError(f"{key} leads out of the folder")
        try:
            about = os.stat(file)
            if not stat.S_ISREG(about.st_mode):
                return None
            first = max(0, about.st_size + start) if start is not None and start < 0 else start or 0
            last = min(about.st_size, stop) if stop is not None else about.st_size
            if last - first > limit:
                raise ValueError(f"{key} has {last - first} bytes, more than the {limit} it can need")
            with open(file, "rb") as stream:
                stream.seek(first)
                return stream.read(max(0, last - first))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _gone(self.where, error) from error


class Remote:
    """A URL, read through fsspec.

    Raises `DependencyError` if fsspec, or what it needs for this kind of URL, is not installed.
    """

    def __init__(self, url: str) -> None:
        self.where = url.rstrip("/")
        remedy = "install it: pip install 'napari-histoscribe[slides]'"
        with told_as(
            DependencyError, "a URL needs a package that is not installed", ImportError, remedy=remedy
        ):
            import fsspec

            options: dict[str, Any] = {}
            if url.startswith("http"):
                import aiohttp

                patience = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS, sock_read=_SECONDS)
                options = {"client_kwargs": {"timeout": patience}}
            self._files: Any = fsspec.core.url_to_fs(self.where, **options)[0]

    def read(self, key: str, limit: int, start: int | None = None, stop: int | None = None) -> bytes | None:
        """See `Place.read`."""
        whole = start is None and stop is None
        first, last = (0, limit + 1) if whole else (start, stop)
        try:
            content = bytes(self._files.cat_file(f"{self.where}/{key}", start=first, end=last))
        except FileNotFoundError:
            return None
        except Exception as error:  # fsspec passes on what its many backends raise
            if getattr(error, "status", None) in _ABSENT:
                return None
            raise _gone(self.where, error) from error
        if not whole and first is not None and len(content) > (-first if first < 0 else (last or 0) - first):
            # this server does not answer with parts
            content = content[first:last]
        if len(content) > limit:
            raise ValueError(f"{key} has more than the {limit} bytes it can need")
        return content


def _gone(where: str, error: Exception) -> SlideError:
    problem = f"can no longer be read ({reason_of(error)})"
    return SlideError(problem, where=where, remedy="check that its disk or server is still there")
