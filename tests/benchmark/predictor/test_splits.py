from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st

from histoscribe.benchmark.predictor.splits import Fold, make_folds, refuse_leak, refuse_seen_panel
from histoscribe.errors import SettingError


@dataclass(frozen=True)
class Named:
    name: str
    patient: str


def cohort(patients: list[int]) -> list[Named]:
    return [Named(f"s{place}", f"p{patient}") for place, patient in enumerate(patients)]


@given(st.lists(st.integers(0, 4), min_size=2, max_size=12))
def test_by_section_every_section_is_tested_once_and_never_trained_on(patients: list[int]):
    sections = cohort(patients)
    folds = make_folds(sections, "section")
    assert [fold.test for fold in folds] == [(place,) for place in range(len(sections))]
    assert all({*fold.train, *fold.test} == set(range(len(sections))) for fold in folds)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=12).filter(lambda ids: len(set(ids)) > 1))
def test_by_patient_no_patient_stands_on_both_sides(patients: list[int]):
    sections = cohort(patients)
    folds = make_folds(sections, "patient")
    assert sorted(place for fold in folds for place in fold.test) == list(range(len(sections)))
    for fold in folds:
        assert {patients[place] for place in fold.train}.isdisjoint({patients[place] for place in fold.test})


def test_one_patient_cannot_be_split_by_patient():
    with pytest.raises(SettingError, match="at least two"):
        make_folds(cohort([1, 1, 1]), "patient")


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(SettingError, match="section, patient"):
        make_folds(cohort([1, 2]), "spot")  # type: ignore[arg-type]


def test_a_patient_on_both_sides_is_refused():
    fold = Fold("mine", train=(0,), test=(1,))
    refuse_leak(fold, cohort([1, 1]), "section")
    with pytest.raises(SettingError, match="p1 stands in training and in test"):
        refuse_leak(fold, cohort([1, 1]), "patient")


def test_two_sections_of_one_name_are_refused():
    with pytest.raises(SettingError, match="a name and a patient of its own"):
        refuse_leak(Fold("mine", (0,), (1,)), [Named("a", "x"), Named("a", "y")], "section")


def test_a_panel_that_saw_the_test_section_is_refused():
    sections = cohort([1, 2, 3])
    fold = make_folds(sections, "section")[1]
    refuse_seen_panel(["s0", "s2"], fold, sections)
    with pytest.raises(SettingError, match="chosen with s1"):
        refuse_seen_panel(["s0", "s1"], fold, sections)
