"""Outlines of segmented cells, whole and damaged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscribe.errors import SectionError
from histoscribe.section import open_section
from histoscribe.section.readers.cells import read_cells
from runs.hd import simulate_hd
from runs.spaceranger_hd import write_spaceranger_hd


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not a GeoJSON file of cells"),
        ("\x00\xff", "not a GeoJSON file"),
        ('{"features": []}', "holds no cell"),
        ('{"features": [', "cell 1 is damaged"),
        ('{"features": [{}]}', "cell 1 is damaged"),
        ('{"features": [3]}', "cell 1 is damaged"),
        ('{"features": [{"properties": {"cell_id": 1}, "geometry": null}]}', "cell 1 is damaged"),
        ('{"features": [' + "[" * 100_000, "cell 1 is damaged"),
        ('{"features": [' + '{"a": "' + "x" * (1 << 21), "cell 1 is damaged"),
    ],
)
def test_damaged_outlines_are_named(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.geojson"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SectionError, match=sentence):
        read_cells(path)


def outline(number: Any, ring: Any, kind: str = "Polygon") -> dict[str, Any]:
    return {"properties": {"cell_id": number}, "geometry": {"type": kind, "coordinates": ring}}


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ([outline(1, [[[0, 0], [1, 0]]])], "cell 1 is damaged"),
        ([outline(1, [[[0, 0], [1, 0], [None, 1]]])], "cell 1 is damaged"),
        ([outline(1, [[[0, 0], [1, 0], [1, 1]]], "Point")], "cell 1 is damaged"),
        ([outline("x", [[[0, 0], [1, 0], [1, 1]]])], "cell 1 is damaged"),
        ([outline(4, [[[0, 0], [1, 0], [1, 1]]])] * 2, "cells listed twice: cellid_000000004-1"),
    ],
)
def test_damaged_cells_are_named(cells: list[Any], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": cells}))
    with pytest.raises(SectionError, match=sentence):
        read_cells(path)


def test_the_centre_is_that_of_the_area(tmp_path: Path) -> None:
    square = [[1000.0, 10.0], [1004.0, 10.0], [1004.0, 12.0], [1000.0, 12.0], [1000.0, 10.0]]
    speck = [[0.0, 0.0], [0.1, 0.0], [0.1, 0.1]]
    cells = [outline(1, [square]), outline(2, [[square], [speck]][::-1], "MultiPolygon")]
    cells.append(outline(3, [[[5, 7], [5, 7], [5, 7]]]))
    path = tmp_path / "cells.geojson"
    path.write_text(json.dumps({"features": cells}))
    found = read_cells(path)
    np.testing.assert_allclose(found.centres, [[11, 1002], [11, 1002], [7, 5]])
    np.testing.assert_allclose(found.areas, [8, 8, 0])


@pytest.mark.parametrize("damage", [{"geometry": None}, outline(4, [[]]), outline(4, [[[0, 0], [1, 1]]])])
def test_a_damaged_cell_among_others_costs_itself(damage: dict[str, Any], tmp_path: Path) -> None:
    write_spaceranger_hd(simulate_hd(1, genes=14, mpp=2.0), tmp_path / "hd")
    path = tmp_path / "hd" / "segmented_outputs" / "cell_segmentations.geojson"
    whole, cells = open_section(path.parent), json.loads(path.read_text())
    cells["features"][3] |= damage
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(json.dumps(cells).encode()))
    path.unlink()
    found = open_section(path.parent)
    assert set(whole.table.obs_names) - set(found.table.obs_names) == {"cellid_000000004-1"}
    assert any("no outline and were left out: cellid_000000004-1" in words for words in found.warnings)
