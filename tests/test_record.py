"""The record: one set of keys, and everything that was written before it had a version."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pytest
from hypothesis import given, strategies as st

from histoscribe.errors import SectionError
from histoscribe.record import (
    AlignedTo,
    EvidenceRecord,
    Record,
    SlideReference,
    amend_record,
    installed_versions,
    keep_record,
    record_of,
)

FULL = Record(
    "predicted",
    "C4",
    "P3",
    mpp=0.25,
    spot_um=55.0,
    pitch_um=100.0,
    scale="log1p",
    target="log1p of counts per 10,000",
    slide=SlideReference("ab" * 32, "/slides/c4.svs", "../slides/c4.svs", 2.5),
    warnings=("one", "two"),
    notes=("three",),
    regions='{"type": "FeatureCollection", "features": []}',
    aligned=AlignedTo("C5", ((0.0, -1.0, 20.0), (1.0, 0.0, -3.5), (0.0, 0.0, 1.0)), "automatic", 12.5),
    command="histoscribe predict",
    versions={"torch": "2.13.0"},
    seed=3,
    model_name="her2",
    model_sha256="cd" * 32,
    model_licence="CC-BY-4.0",
    variant="histoscribe",
    encoder="builtin",
    training_sections=("A", "B"),
    training_patients=("P1", "P2"),
    split="patient out",
    panel_rule="most variable",
    panel_genes=("G1", "G2"),
    type_names=("tumour",),
    unlike_training_share=0.0,
    adapted=False,
    overlap=10,
    model_genes=20,
    restored_values=0,
    notice="mind",
    other={"theirs": 5},
)


def same(one: Record, other: Record) -> bool:
    left, right = one.to_mapping(), other.to_mapping()
    assert left.keys() == right.keys()
    for key, value in left.items():
        np.testing.assert_equal(right[key], value, err_msg=key)
    return True


def kept(record: Record) -> anndata.AnnData:
    table = anndata.AnnData(np.zeros((2, 2), dtype=np.float32))
    keep_record(table, record)
    return table


def test_every_field_comes_back_from_a_file(tmp_path: Path) -> None:
    kept(FULL).write_h5ad(tmp_path / "one.h5ad")
    back = record_of(anndata.read_h5ad(tmp_path / "one.h5ad"))
    assert same(back, FULL)
    assert back.slide == FULL.slide
    assert back.unlike_training_share == 0.0
    assert back.adapted is False
    assert back.training_sections == ("A", "B")
    assert back.other == {"theirs": 5}


def test_what_is_not_known_is_not_written() -> None:
    assert Record("measured", "C4").to_mapping() == {"record_version": 1, "kind": "measured", "name": "C4"}
    assert record_of(anndata.AnnData(np.zeros((1, 1)))).kind is None


def test_evidence_is_kept_as_arrays(tmp_path: Path) -> None:
    names = np.array(["A", "A", "B"], dtype=object)
    evidence = EvidenceRecord(names, names, np.arange(9, dtype=np.uint8), np.array([4, 9]), np.array([0, 2]))
    kept(Record("predicted", evidence=evidence)).write_h5ad(tmp_path / "one.h5ad")
    back = record_of(anndata.read_h5ad(tmp_path / "one.h5ad")).evidence
    assert back is not None
    np.testing.assert_array_equal(back.crops, evidence.crops)
    assert list(back.section) == ["A", "A", "B"]


def test_one_field_is_changed_and_the_others_stay() -> None:
    table = kept(FULL)
    amend_record(table, command="other", pitch_um=None)
    found = record_of(table)
    assert (found.command, found.pitch_um, found.name, found.other) == ("other", None, "C4", {"theirs": 5})


PREDICTED = {
    "kind": "predicted",
    "name": "C4",
    "patient": "P3",
    "mpp": 0.25,
    "spot_um": 55.0,
    "pitch_um": 100.0,
    "model_sha256": "ab",
    "variant": "histoscribe",
    "training_sections": np.array(["A"], dtype=object),
    "training_patients": np.array(["P1"], dtype=object),
    "model_licence": "CC-BY-4.0",
    "slide": "/slides/c4.svs",
    "slide_downsample": np.float64(2.0),
    "type_names": np.array(["tumour"], dtype=object),
    "unlike_training_share": np.float64(0.25),
    "evidence_section": np.array(["A"], dtype=object),
    "evidence_spot": np.array(["1x1"], dtype=object),
}


def test_a_prediction_of_an_earlier_version_is_read() -> None:
    found = Record.from_mapping(PREDICTED)
    assert (found.kind, found.name, found.patient, found.mpp) == ("predicted", "C4", "P3", 0.25)
    assert found.slide == SlideReference("", "/slides/c4.svs", "", 2.0)
    assert found.training_sections == ("A",)
    assert found.type_names == ("tumour",)
    assert found.unlike_training_share == 0.25
    assert found.evidence is not None
    assert found.values == "log1p"
    assert not found.measured


def test_a_relative_slide_of_an_earlier_version_stays_relative() -> None:
    found = Record.from_mapping({"kind": "measured", "slide": "images/c4.svs"})
    assert found.slide == SlideReference(relative="images/c4.svs")


def test_restored_and_synthetic_tables_of_earlier_versions_are_told() -> None:
    restored = {
        "kind": "restored",
        "scale": "log2",
        "model": "ab",
        "overlap": 7,
        "notes": ["adapted"],
        "adapted": np.True_,
    }
    found = Record.from_mapping(restored)
    assert (found.kind, found.values, found.model_sha256, found.overlap) == ("restored", "log2", "ab", 7)
    assert found.adapted is True
    section = Record.from_mapping({**restored, "kind": "predicted", "restored": True, "scale": "log1p"})
    assert (section.kind, section.values) == ("restored", "log1p")
    made = Record.from_mapping({"kind": "synthetic", "synthetic": True, "notice": "mind", "model": "cd"})
    assert (made.kind, made.notice, made.model_sha256) == ("generated", "mind", "cd")
    assert made.to_mapping()["synthetic"] is True


def test_a_card_may_stand_in_for_its_fields() -> None:
    card = json.dumps({"training": [{"section": "A", "patient": "P"}], "sha256": "ff", "genes": ["g"]})
    for own in ({"card": card}, {"model": card}, {"training_sections": np.array(["A"]), "sha256": "ff"}):
        found = Record.from_mapping(own)
        assert found.training_sections == ("A",)
        assert found.model_sha256 == "ff"


def test_odd_content_stays_empty() -> None:
    assert Record.from_mapping({}).training_sections == ()
    for odd in (None, 3, "text", "{broken", [1, 2], {"training": 5, "versions": "x", "genes": None}):
        found = Record.from_mapping(odd)
        assert found.versions == {}
        assert found.kind is None
        assert found.measured


@pytest.mark.parametrize(("value", "said"), [(-1.0, "not a positive"), ("fine", "not a number")])
def test_a_length_that_is_none_is_refused(value: object, said: str) -> None:
    with pytest.raises(SectionError, match=said):
        Record.from_mapping({"mpp": value})


@pytest.mark.parametrize(
    ("sections", "patients", "section", "patient", "split"),
    [
        ((), (), "A", "P", "unknown: the prediction does not name its training sections"),
        (("A",), ("P",), "A", "P", "in training"),
        (("A",), ("P",), "B", "P", "section out, same patient in training"),
        (("A",), ("P",), "B", "B", "section out, patient unknown"),
        (("A",), ("P",), "B", "Q", "patient out"),
    ],
)
def test_what_the_model_had_seen(sections, patients, section, patient, split) -> None:
    record = Record("predicted", training_sections=sections, training_patients=patients)
    assert record.split_of(section, patient) == split


@given(
    st.builds(
        Record,
        kind=st.sampled_from(["measured", "predicted", "restored", "generated", None]),
        name=st.text(),
        mpp=st.none() | st.floats(1e-3, 1e3),
        seed=st.none() | st.integers(-(2**31), 2**31),
        warnings=st.lists(st.text()).map(tuple),
        versions=st.dictionaries(st.text(), st.text()),
        adapted=st.none() | st.booleans(),
    )
)
def test_any_record_is_what_was_kept(record: Record) -> None:
    assert same(Record.from_mapping(record.to_mapping()), record)


def test_versions_name_python_and_numpy() -> None:
    assert {"python", "numpy"} <= installed_versions().keys()
