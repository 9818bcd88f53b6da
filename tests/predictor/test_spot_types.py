"""Spot types come from nuclei and labels in every format, and teach the gate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from histoscribe.errors import SectionError, SettingError, TableError
from histoscribe.features import encoder_named
from histoscribe.predictor import Predictor
from histoscribe.predictor.training.spot_types import (
    NUCLEAR_TYPES,
    ClassifiedCells,
    nuclear_types,
    prevailing,
    read_cells,
    with_labels,
)


def test_the_prevailing_nuclei_name_the_type():
    names = encoder_named("builtin").feature_names
    features = np.zeros((5, len(names)), dtype=np.float32)
    features[1:, names.index("nuclei, 128 µm window (log per mm²)")] = 7
    for row, kind in enumerate(("small round", "elongated", "large"), start=1):
        features[row, names.index(f"{kind} nuclei, 128 µm window (share)")] = 0.7
    assert [NUCLEAR_TYPES[kind].split()[0] for kind in nuclear_types(features, names)] == [
        "no",
        "small",
        "elongated",
        "large",
        "other",
    ]


def test_encoders_without_nuclei_are_refused():
    with pytest.raises(SettingError, match="does not describe nuclei"):
        nuclear_types(np.zeros((3, 2), dtype=np.float32), ("a", "b"))


def test_hovernet_and_qupath_and_plain_tables_agree(tmp_path):
    places = [(10.0, 20.0), (30.0, 5.0)]  # x, y
    nuclei = {str(n): {"centroid": list(place), "type": n + 1} for n, place in enumerate(places)}
    (tmp_path / "hover.json").write_text(json.dumps({"mag": 40, "nuc": nuclei}))
    (tmp_path / "plain.csv").write_text("x,y,class\n10,20,neoplastic\n30,5,inflammatory\n")
    (tmp_path / "qupath.tsv").write_text(
        "Image\tName\tClass\tCentroid X µm\tCentroid Y µm\n"
        "a.svs\tNucleus\tneoplastic\t5\t10\na.svs\tNucleus\tinflammatory\t15\t2.5\n"
    )
    for name in ("hover.json", "plain.csv", "qupath.tsv"):
        cells = read_cells(tmp_path / name, mpp=0.5)
        np.testing.assert_allclose(cells.centres, [[20, 10], [5, 30]])
        assert cells.classes == ("neoplastic", "inflammatory")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", '{"nuc": [1]}'),
        ("a.json", '{"nuc": {"1": {"centroid": [1, NaN], "type": 1}}}'),
        ("a.csv", "x,y\n1,2\n"),
        ("a.csv", "x,y,class\n1,east,tumour\n"),
    ],
)
def test_damaged_tables_of_cells_are_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match="no cells"):
        read_cells(tmp_path / name)


def test_the_majority_within_reach_decides():
    cells = ClassifiedCells(np.array([[0.0, 0], [0, 1], [1, 0], [50, 50]]), ("b", "a", "b", "c"))
    assert prevailing(cells, np.array([[0.0, 0], [50, 49], [200, 200]]), 3.0) == ["b", "c", "no cell"]


def test_labels_teach_the_gate(make_section):
    quick = {"epochs": 40, "members": 1, "panel_size": 10, "width": 32, "radii": (), "device": "cpu"}
    sections = [make_section("S1", seed=1), make_section("S2", seed=2)]
    kind = {
        section.name: {
            spot: "dark" if value > 0 else "light"
            for spot, value in zip(section.spots, section.features[:, 0], strict=True)
        }
        for section in sections
    }
    labelled = with_labels(sections, kind)
    assert labelled[0].type_names == ("dark", "light")
    model = Predictor(**quick, type_source="given").fit_encoded(labelled)
    assert model.card.settings["type_names"] == ["dark", "light"]
    unseen = make_section("S3", seed=3)
    inputs = model.fitted.read(unseen.features, unseen.centres_um)
    told = model.fitted.predict(inputs, torch.device("cpu"))
    assert (told.types == (unseen.features[:, 0] <= 0)).mean() > 0.7
    with pytest.raises(SectionError, match="S1"):
        Predictor(**quick, type_source="given").fit_encoded([replace(labelled[0], types=None), labelled[1]])


def test_spots_without_a_label_are_named(make_section):
    section = make_section("S1")
    with pytest.raises(TableError, match="99 of 100 spots have no type"):
        with_labels([section], {"S1": {"0": "dark"}})
