"""The session file: JSON with a version, read with bounds on everything, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from histoscribe.errors import StorageError
from histoscribe.files import replacing

SUFFIX = ".histoscribe.json"
FORMAT, VERSION = "histoscribe session", 1
_MOST_BYTES = 1 << 26
_MOST_ENTRIES = 2_000
MOST_NUMBERS = 1_000_000
_LONGEST = 8_192
_DEEPEST = 40

Content = dict[str, Any]
Check = Callable[[Any], bool]


def write_content(content: Mapping[str, Any], path: Path) -> None:
    """Write a session's content, atomically.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with replacing(path) as fresh:
        text = json.dumps(
            {"format": FORMAT, "version": VERSION, **content}, ensure_ascii=False, allow_nan=False
        )
        fresh.write_text(text, encoding="utf-8")


def read_content(path: Path) -> Content:
    """Read a session file and check every value that is used later; what is unknown is dropped.

    Returns
    -------
    dict
        `sources`, `layers`, `view` and `panels`, in the shape that `write_content` was given; sessions
        written before panels were kept have none.

    Raises
    ------
    StorageError
        If the file is missing, too large, damaged, of a later version, or no session.
    """
    content = _parsed(path)
    if content.get("format") != FORMAT:
        raise StorageError("this is no session of Histoscribe", where=path, remedy=f"choose a *{SUFFIX} file")
    if content.get("version") != VERSION:
        raise StorageError(
            f"this session has format version {content.get('version')!r:.20}, known is {VERSION}",
            where=path,
            remedy="open it with the version of Histoscribe that wrote it, or a later one",
        )
    try:
        sources = _entries(content, "sources", _SOURCE)
        layers = _entries(content, "layers", _LAYER)
        view = _checked(content.get("view"), _VIEW, "view")
        panels = _entries(content, "panels", _PANEL) if "panels" in content else []
        _check_drawn(layers)
        if len({one["id"] for one in sources}) < len(sources):
            raise ValueError("two sources have one id")
    except (ValueError, TypeError, OverflowError) as error:
        raise StorageError(f"the session is damaged ({error})", where=path, remedy="save it again") from error
    return {"sources": sources, "layers": layers, "view": view, "panels": panels}


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


def _parsed(path: Path) -> Content:
    try:
        with open(path, "rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StorageError(f"cannot be read ({reason})", where=path, remedy="check the path") from error
    if len(text) > _MOST_BYTES or text.count(b",") > 4 * MOST_NUMBERS:
        raise StorageError("it holds far more than a session does", where=path, remedy="check the file")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StorageError("this is no session file, or its end is lost", where=path) from error
    return content if isinstance(content, dict) else {}


def _entries(content: Content, key: str, checks: Mapping[str, Check]) -> list[Content]:
    entries = content.get(key)
    if not isinstance(entries, list) or len(entries) > _MOST_ENTRIES:
        raise ValueError(f"{key} is no list of at most {_MOST_ENTRIES}")
    return [_checked(entry, checks, f"{key} {place}") for place, entry in enumerate(entries)]


def _checked(entry: Any, checks: Mapping[str, Check], where: str) -> Content:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is no object")
    for key, check in checks.items():
        if not check(entry.get(key)):
            raise ValueError(f"{key} of {where} is missing or not possible")
    return {key: entry.get(key) for key in checks}


def _check_drawn(layers: list[Content]) -> None:
    """Check what lies in the file itself: every column as long as there are shapes or points."""
    corners = 0
    for layer in layers:
        checks, columns = _DRAWN.get(layer["show"], ({}, ()))
        if not checks:
            continue
        found = layer["drawn"] = _checked(layer["drawn"], checks, layer["name"])
        if layer["show"] == "map":
            corners += len(found["values"])
            continue
        counts = [len(found[name]) for name in columns] + [len(one) for one in found["features"].values()]
        if any(count != len(found["data"]) for count in counts):
            raise ValueError(f"a column of {layer['name']} does not fit its shapes or points")
        corners += sum(map(len, found["data"]))
    if corners > MOST_NUMBERS:
        raise ValueError("its shapes and maps hold too many numbers")


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and "\0" not in value


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _number(low: float = -1e12, high: float = 1e12) -> Check:
    def check(value: Any) -> bool:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return real and math.isfinite(value) and low <= value <= high

    return check


def _list_of(check: Check, least: int = 0, most: int = MOST_NUMBERS) -> Check:
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(check, value))


def _either(*values: Any) -> Check:
    return lambda value: any(value is one or (isinstance(value, str) and value == one) for one in values)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _plain(value: Any, depth: int = 0) -> bool:
    """Whether it is made of words, numbers, lists and objects alone, not too deep."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        return all(_text(key) and _plain(one, depth + 1) for key, one in value.items())
    if isinstance(value, list):
        return all(_plain(one, depth + 1) for one in value)
    return value is None or _flag(value) or _text(value) or _number()(value)


_KINDS = ("polygon", "rectangle", "ellipse", "line", "path")
_PAIR, _RGBA = _list_of(_number(), 2, 2), _list_of(_number(0, 1), 4, 4)
_SOURCE: dict[str, Check] = {
    "id": _text,
    "kind": _either("section", "slide"),
    "path": _text,
    "slide": _text,
    "slide_downsample": _number(1e-3, 1e6),
    "mpp": _or_none(_number(1e-4, 1e4)),
    "name": _text,
    "spots": _number(0),
    "bin_um": _or_none(_number(0.1, 1e4)),
}
_LAYER: dict[str, Check] = {
    "show": _either("spots", "slide", "shapes", "points", "map"),
    "source": _text,
    "name": _text,
    "visible": _flag,
    "opacity": _number(0, 1),
    "drawn": _or_none(lambda value: isinstance(value, dict)),
}
_COMMON: dict[str, Check] = {
    "face_color": _list_of(_RGBA),
    "affine": _list_of(_list_of(_number(), 3, 3), 3, 3),
    "units": _text,
    "features": lambda value: isinstance(value, dict) and all(map(_list_of(_plain), value.values())),
}
_SHAPES: dict[str, Check] = {
    **_COMMON,
    "data": _list_of(_list_of(_PAIR, 2)),
    "types": _list_of(_either(*_KINDS)),
    "edge_color": _list_of(_RGBA),
    "edge_width": _list_of(_number(0, 1e6)),
    "metadata": lambda value: isinstance(value, dict) and _plain(value),
}
_POINTS: dict[str, Check] = {**_COMMON, "data": _list_of(_PAIR), "size": _list_of(_number(0, 1e6))}
_MAP: dict[str, Check] = {
    **dict.fromkeys(("kind", "title", "unit", "gene", "legend"), _text),
    "values": _list_of(_or_none(_number())),
    "limits": _PAIR,
    "colours": _text,
    "classes": _list_of(_text, most=_MOST_ENTRIES),
}
_DRAWN = {
    "map": (_MAP, ()),
    "shapes": (_SHAPES, ("types", "edge_color", "face_color", "edge_width")),
    "points": (_POINTS, ("size", "face_color")),
}
_VIEW: dict[str, Check] = {
    "gene": _text,
    "more": _list_of(_text, most=8),
    "layout": _either("blend", "multiples"),
    "pinned": _list_of(_text, most=_MOST_ENTRIES),
    "colour_map": _text,
    "low": _number(0, 100),
    "high": _number(0, 100),
    "shared": _flag,
    "side_by_side": _flag,
    "centre": _PAIR,
    "zoom": _number(1e-9, 1e9),
    "scale_bar": _flag,
    "active": _or_none(_number(0, _MOST_ENTRIES)),
}
_PANEL: dict[str, Check] = {
    "name": _text,
    "area": _either("left", "right", "top", "bottom"),
    "floating": _flag,
    "tabbed_with": _text,
    "front": _flag,
    "box": _list_of(_number(-1e5, 1e5), 4, 4),
    "choices": lambda value: isinstance(value, dict) and len(value) <= _MOST_ENTRIES and _plain(value),
    "own": lambda value: isinstance(value, dict) and len(value) <= _MOST_ENTRIES and _plain(value),
}
