"""HEST-1k as it lies on disk, with the traps of the real archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histoscribe.errors import HistoscribeError, SectionError
from histoscribe.formats import format_of, kind_of
from histoscribe.section import Section, open_section, read_cohort, read_cohort_csv

OTHER = {"dataset_title": "Another study"}


def doubts(section: Section) -> str:
    return "; ".join(section.warnings)


@pytest.fixture(scope="module")
def archive(write_hest: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    sections = {
        "INT1": {"patient": "patient 1 "},
        "INT2": {},
        "INT3": {"patient": " "},
        "INT4": {"patient": None, "license": None},
        "NCBI1": OTHER,
        "TENX95": {"st_technology": "Xenium", "patient": None, **OTHER, "pixel_size_um_embedded": 0.2125},
        "TENX128": {"patient": None, "dataset_title": "Twice"},
        "TENX153": {"patient": "Same", "dataset_title": "Not one"},
        "TENX155": {"patient": "Same", "dataset_title": "Not one"},
    }  # fmt: skip
    return write_hest(tmp_path_factory.mktemp("hest"), sections)


def test_a_folder_and_its_table_are_a_cohort(archive: Path) -> None:
    assert kind_of(archive) == "cohort"
    assert format_of(archive).name == "a folder in HEST-1k's layout"
    assert kind_of(archive / "HEST_v1_3_0.csv") == "cohort"
    assert format_of(archive / "st" / "INT1.h5ad").name == "a section of HEST-1k"
    assert read_cohort_csv(archive) == read_cohort_csv(archive / "HEST_v1_3_0.csv")
    section = read_cohort([archive / "st" / "INT2.h5ad"])[0]
    assert (section.name, section.genes[:2]) == ("INT2", ["G0", "G1"])


def test_a_patient_is_one_within_a_study_however_written(archive: Path) -> None:
    patients = {row.section: row.patient for row in read_cohort_csv(archive)}
    assert patients["INT1"] == patients["INT2"] == "A study: patient 1"
    assert patients["NCBI1"] == "Another study: patient 1"
    assert patients["INT3"] == patients["INT4"] == "A study"
    assert "who may be one of those named" in doubts(open_section(archive / "st" / "INT3.h5ad"))
    assert patients["TENX153"] != patients["TENX155"]


def test_a_tissue_is_taken_once(archive: Path, write_hest: Callable[..., Path], tmp_path: Path) -> None:
    names = {row.section for row in read_cohort_csv(archive)}
    assert "TENX155" in names
    assert "TENX128" not in names
    assert "TENX128 and TENX155 are one tissue" in doubts(open_section(archive / "st" / "TENX155.h5ad"))
    alone = write_hest(tmp_path / "alone", {"TENX128": {}})
    assert [row.section for row in read_cohort_csv(alone)] == ["TENX128"]


def test_a_section_lies_on_its_slide_with_all_its_spots(archive: Path) -> None:
    section = open_section(archive / "st" / "INT2.h5ad")
    assert section.slide is not None
    assert section.slide.path == archive / "wsis" / "INT2.tif"
    assert (section.mpp, section.spot_um, section.alignment) == (1.0, 55.0, "fits")
    assert section.pitch_um == pytest.approx(100, rel=0.01)
    assert section.table.n_obs == 56
    assert "in_tissue means nothing" in doubts(section)
    assert "licence" not in doubts(section)
    assert "its licence is not stated" in doubts(open_section(archive / "st" / "INT4.h5ad"))


def test_pooled_transcripts_are_bins_at_the_estimated_scale(archive: Path) -> None:
    section = open_section(archive / "st" / "TENX95.h5ad")
    assert (section.mpp, section.pitch_um, section.spot_um) == (1.0, 100.0, 100.0)
    assert "declares 0.2125 µm per pixel, its spots say 1: the spots were believed" in doubts(section)


def test_a_scale_that_nobody_estimated_is_called_so(write_hest: Callable[..., Path], tmp_path: Path) -> None:
    sections = {
        "A": {"pixel_size_um_estimated": None},
        "B": {"pixel_size_um_estimated": None, "pixel_size_um_embedded": None},
        "C": {"inter_spot_dist": 200.0},
    }  # fmt: skip
    root = write_hest(tmp_path / "hest", sections)
    one, none, far = (open_section(root / "st" / f"{name}.h5ad") for name in "ABC")
    assert one.mpp == 1.0
    assert "nobody estimated them" in doubts(one)
    assert none.mpp == pytest.approx(1.0, rel=0.01)
    assert "spots lie 200 µm apart, by their µm per pixel 100" in doubts(far)


def test_an_absent_slide_is_said_and_damage_is_one_sentence(
    write_hest: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_hest(tmp_path / "hest", {"A": {}})
    (root / "wsis" / "A.tif").unlink()
    section = open_section(root / "st" / "A.h5ad")
    assert section.slide is not None
    assert section.slide.levels[0].downsample == 4.0
    assert "its slide wsis/A.tif is not there" in doubts(section)
    (root / "metadata" / "A.json").write_text("[1")
    with pytest.raises(SectionError, match=r"A\.json: this is damaged"):
        read_cohort_csv(root)
    (root / "metadata" / "A.json").unlink()
    (root / "st" / "A.h5ad").unlink()
    with pytest.raises(SectionError, match="holds no section"):
        read_cohort(root)
    with pytest.raises(HistoscribeError, match="holds no section"):
        read_cohort(root / "HEST_v1_3_0.csv")


def test_without_the_table_the_records_beside_it_say_the_same(
    write_hest: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_hest(tmp_path / "hest", {"A": {}, "B": {"patient": "Patient 2"}})
    before = read_cohort_csv(root)
    (root / "HEST_v1_3_0.csv").unlink()
    assert read_cohort_csv(root) == before
    record = json.loads((root / "metadata" / "A.json").read_text())
    (root / "metadata" / "A.json").write_text(json.dumps({**record, "patient": "Patient 3"}))
    assert read_cohort_csv(root)[0] == replace(before[0], patient="A study: patient 3")


def test_places_are_those_of_the_full_image(archive: Path) -> None:
    section = open_section(archive / "st" / "TENX95.h5ad")
    np.testing.assert_allclose(section.centres[0], [80, 80])
    np.testing.assert_allclose(section.centres[1], [80, 180])
