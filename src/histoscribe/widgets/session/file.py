"""The session file: JSON with a version, read with bounds on everything, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from histoscribe.errors import StorageError
from histoscribe.files import replacing
from histoscribe.widgets.session.schema import MOST_NUMBERS, VERSION, Session

SUFFIX = ".histoscribe.json"
_MOST_BYTES = 1 << 26


def write_content(content: Session, path: Path) -> None:
    """Write a session's content, atomically; `StorageError` if it cannot be written."""
    with replacing(path) as fresh:
        fresh.write_text(content.model_dump_json(), encoding="utf-8")


def read_content(path: Path) -> Session:
    """Read a session file and check every value.

    Raises `StorageError` if the file is missing, too large, damaged, of a later version, or no session.
    """
    try:
        with open(path, "rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StorageError(f"cannot be read ({reason})", where=path, remedy="check the path") from error
    if len(text) > _MOST_BYTES or text.count(b",") > 4 * MOST_NUMBERS:
        raise StorageError("it holds far more than a session does", where=path, remedy="check the file")
    try:
        return Session.model_validate_json(text)
    except ValidationError as error:
        raise _in_words(error, path) from error


def relative(path: str, session: Path) -> str:
    """A path as seen from the session's folder, where both are on one drive and not far apart."""
    try:
        near = Path(os.path.relpath(Path(path).resolve(), session.resolve().parent)).as_posix()
    except ValueError:
        return str(Path(path).resolve())
    return near if near.count("../") <= 3 else str(Path(path).resolve())


def resolved(path: str, session: Path) -> Path:
    """The path that the session file means."""
    return session.resolve().parent / Path(path)


def _in_words(error: ValidationError, path: Path) -> StorageError:
    """What is wrong first of all, and what to do."""
    faults = error.errors(include_url=False, include_context=False)
    wrong = {fault["loc"]: fault for fault in faults}
    first = faults[0]
    if first["type"] == "json_invalid":
        return StorageError("this is no session file, or its end is lost", where=path)
    if ("format",) in wrong or (first["type"] == "model_type" and not first["loc"]):
        remedy = f"choose a *{SUFFIX} file"
        return StorageError("this is no session of Histoscribe", where=path, remedy=remedy)
    if ("version",) in wrong:
        found = wrong["version",]["input"]
        problem = f"this session has format version {found!r:.20}, known is {VERSION}"
        remedy = "open it with the version of Histoscribe that wrote it, or a later one"
        return StorageError(problem, where=path, remedy=remedy)
    words = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return StorageError(f"the session is damaged ({words})", where=path, remedy="save it again")
