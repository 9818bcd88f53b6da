"""Spot types from nuclei or labels: what the network's gate is taught. Never from expression.

Three sources beside image clusters: the built-in nuclear descriptors, tables of classified cells (HoVer-Net's
JSON, QuPath's export, or any table with x, y and class), and tables with one label per spot.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.errors import SettingError, TableError, told_as
from histoscribe.features import TileEncoder
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.section import Section

NUCLEAR_TYPES = ("no nuclei", "small round nuclei", "elongated nuclei", "large nuclei", "other nuclei")
# HoVer-Net's numbers on PanNuke.
_PANNUKE = ("no label", "neoplastic", "inflammatory", "connective", "necrotic", "non-neoplastic epithelial")
_NO_CELL = "no cell"
_MOST_BYTES = 1024**3
_REACH_UM = 64.0
_X = ("x", "centroid x", "centroid x px", "x px", "pxl_col_in_fullres")
_Y = ("y", "centroid y", "centroid y px", "y px", "pxl_row_in_fullres")
_CLASS = ("class", "classification", "type", "label", "name", "cell_type")
_SPOT = ("barcode", "spot", "spot_id", "index")


@dataclass(frozen=True, eq=False)
class ClassifiedCells:
    """Classified cells of one slide: centres (cells, 2) in full-resolution pixels as (row, column)."""

    centres: Wide
    classes: tuple[str, ...]


def typed(
    encoded: Sequence[EncodedSection],
    sections: Sequence[Section],
    source: str | PathLike[str],
    encoder: TileEncoder,
) -> list[EncodedSection]:
    """Encoded sections with spot types.

    `sections`: the same, as read. `source`: `nuclei` for the built-in classes; or a folder that holds, for
    each section, one file named after it. `encoder`: what described them. Raises `SettingError` if the
    encoder does not describe nuclei; `TableError` if a file is missing or cannot be used.
    """
    if str(source) == "nuclei":
        names = getattr(encoder, "feature_names", ())
        return [
            replace(one, types=nuclear_types(one.features, names), type_names=NUCLEAR_TYPES)
            for one in encoded
        ]
    labels = {}
    for section in sections:
        found = [path for path in sorted(Path(source).glob("*")) if path.stem == section.name]
        if len(found) != 1:
            problem = f"{len(found)} files are named after section {section.name}"
            remedy = "put one table per section into this folder, or say nuclei"
            raise TableError(problem, where=source, remedy=remedy)
        labels[section.name] = read_types(found[0], section)
    return with_labels(encoded, labels)


def nuclear_types(features: Floats, names: Sequence[str]) -> Numbers:
    """The kind of nucleus that prevails in each tile's central 128 µm, as numbers into `NUCLEAR_TYPES`.

    `features` (tiles, d): by the built-in encoder; `names`: its `feature_names`. Raises `SettingError` if the
    descriptors do not describe nuclei.
    """
    wanted = [
        "nuclei, 128 µm window (log per mm²)",
        "small round nuclei, 128 µm window (share)",
        "elongated nuclei, 128 µm window (share)",
        "large nuclei, 128 µm window (share)",
    ]
    if not set(wanted) <= set(names):
        remedy = "use builtin, or give labels"
        raise SettingError("this encoder does not describe nuclei", where="--types", remedy=remedy)
    density, *shares = (features[:, list(names).index(name)] for name in wanted)
    small, elongated, large = shares
    other = np.maximum(1 - small - elongated - large, 0)
    kind = 1 + np.argmax(np.stack([small, elongated, large, other]), axis=0)
    return np.asarray(np.where(density > 0, kind, 0), dtype=np.int64)


def read_cells(path: str | PathLike[str], *, mpp: float | None = None) -> ClassifiedCells:
    """Read classified cells.

    `path`: HoVer-Net's `.json`, or a table (`.csv`, `.tsv`, `.txt`) with x, y and a class, such as QuPath's
    export; columns in µm need `mpp`. `mpp`: µm per full-resolution pixel. Raises `TableError` if the file
    cannot be read as either.
    """
    path = _checked(path)
    remedy = "give HoVer-Net's JSON, or a table with columns x, y (pixels or µm) and class"
    wrong = (ValueError, KeyError, TypeError, AttributeError, IndexError)
    with told_as(TableError, "no cells were found here", *wrong, where=path, remedy=remedy):
        if path.suffix.lower() == ".json":
            return _hovernet(json.loads(path.read_text(encoding="utf-8")))
        table = _table(path)
        rows, columns = (_places(table, names, mpp) for names in (_Y, _X))
        classes = tuple(str(value) for value in _column(table, _CLASS).fillna("no label"))
    return ClassifiedCells(np.stack([rows, columns], axis=1), classes)


def prevailing(cells: ClassifiedCells, centres: Wide, reach: float) -> list[str]:
    """The most frequent class of the cells within `reach` pixels of each centre; `no cell` where none is."""
    if not cells.classes:
        return [_NO_CELL] * len(centres)
    near = cKDTree(cells.centres).query_ball_point(centres, reach, return_sorted=True)
    found = [Counter(cells.classes[place] for place in places) for places in near]
    return [min(counts, key=lambda name: (-counts[name], name)) if counts else _NO_CELL for counts in found]


def read_types(path: str | PathLike[str], section: Section) -> dict[str, str]:
    """The type of every spot of a section, by spot name, from a table of spots or of cells.

    Raises `TableError` if the file cannot be used.
    """
    checked = _checked(path)
    if checked.suffix.lower() != ".json":
        table = _table(checked)
        spot = next((name for name in table.columns if name in _SPOT), None)
        if spot is not None:
            values = _column(table, _CLASS).fillna("no label")
            return {str(a): str(b) for a, b in zip(table[spot], values, strict=True)}
    cells = read_cells(checked, mpp=section.mpp)
    centres = section.centres_um / section.mpp
    found = prevailing(cells, centres, max(section.spot_um / 2, _REACH_UM) / section.mpp)
    return dict(zip((str(name) for name in section.table.obs_names), found, strict=True))


def with_labels(
    sections: Sequence[EncodedSection], labels: Mapping[str, Mapping[str, str]]
) -> list[EncodedSection]:
    """Give encoded sections their spots' labels, numbered alike in all.

    `labels`: by section name, then by spot name. Raises `TableError` if a spot has no label.
    """
    for section in sections:
        lacking = [spot for spot in section.spots if spot not in labels.get(section.name, {})]
        if lacking:
            problem = f"{len(lacking)} of {len(section.spots)} spots have no type, such as {lacking[0]}"
            raise TableError(problem, where=section.name, remedy="give a type for every spot that has counts")
    names = sorted({labels[section.name][spot] for section in sections for spot in section.spots})
    number = {name: place for place, name in enumerate(names)}
    return [
        replace(
            section,
            types=np.array([number[labels[section.name][spot]] for spot in section.spots], dtype=np.int64),
            type_names=tuple(names),
        )
        for section in sections
    ]


def _hovernet(content: Any) -> ClassifiedCells:
    nuclei = list(content["nuc"].values())
    centres = np.array([entry["centroid"] for entry in nuclei], dtype=np.float64).reshape(-1, 2)[:, ::-1]
    if not np.isfinite(centres).all():
        raise ValueError("a centroid is not finite")
    kinds = [int(entry.get("type") or 0) for entry in nuclei]
    named = (_PANNUKE[kind] if 0 <= kind < 6 else f"type {kind}" for kind in kinds)
    return ClassifiedCells(centres, tuple(named))


def _checked(path: str | PathLike[str]) -> Path:
    path = Path(path)
    if not path.is_file():
        raise TableError("there is no such file", where=path, remedy="check the path")
    if path.stat().st_size > _MOST_BYTES:
        raise TableError("this table is too large", where=path, remedy="export fewer columns")
    return path


def _table(path: Path) -> Any:
    with told_as(TableError, "this is no table", ValueError, where=path, remedy="give CSV or TSV"):
        table = pd.read_csv(path, sep=None, engine="python", encoding_errors="replace")
    table.columns = table.columns.astype(str).str.strip().str.lower()
    return table.loc[:, ~table.columns.duplicated(keep="last")]


def _column(table: Any, names: Sequence[str]) -> Any:
    for name in names:
        if name in table:
            return table[name]
    raise KeyError(f"no column is called {names[0]}")


def _places(table: Any, names: Sequence[str], mpp: float | None) -> Wide:
    """Positions in pixels; a column that says µm is divided by the µm per pixel."""
    in_um = [name for unit in ("µm", "um") if (name := f"centroid {names[0]} {unit}") in table]
    if in_um and mpp is None:
        raise KeyError("positions are in µm and the slide's µm per pixel are unknown")
    values = _column(table, in_um or names).to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a position is not finite")
    return np.asarray(values / mpp if in_um and mpp is not None else values)
