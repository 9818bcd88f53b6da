from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from histoscribe.errors import Cancelled, SectionError
from histoscribe.formats import kind_of
from histoscribe.progress import Progress, Step
from histoscribe.section import read_cohort, read_cohort_csv, write_section

Make = Callable[..., Any]
HEADER = "section,patient,path,positions,slide,pitch_um,spot_um"


@pytest.fixture
def cohort(legacy: Make, space_ranger: Make, tmp_path: Path) -> Path:
    """Three sections in three formats."""
    legacy(name="A1")
    run = space_ranger(name="run").folder
    path = tmp_path / "cohort.csv"
    path.write_text(f"{HEADER}\nA1,A,A1.tsv.gz,A1_selection.tsv,A1.png,200,100\nR,B,run,,,,\n")
    write_section(read_cohort([run])[0], tmp_path / "H.h5ad")
    path.write_text(path.read_text() + "H,,H.h5ad\n")
    return path


def test_every_format_in_one_cohort(cohort: Path) -> None:
    steps: list[Step] = []
    sections = read_cohort(cohort, Progress(steps.append))
    assert [(s.name, s.patient, s.table.n_obs) for s in sections] == [
        ("A1", "A", 64),
        ("R", "B", 80),
        ("H", "run", 80),
    ]
    assert (steps[-1].done, steps[-1].total) == (3, 3)


def test_only_three_columns_are_required(cohort: Path) -> None:
    cohort.write_text("path,section,patient\nrun,R,B\n")
    assert [section.name for section in read_cohort(cohort)] == ["R"]


def test_sections_by_their_paths(cohort: Path) -> None:
    sections = read_cohort([cohort.parent / "run", cohort.parent / "H.h5ad"][:1])
    assert [(section.name, section.patient) for section in sections] == [("run", "run")]
    with pytest.raises(SectionError, match="sections named twice: H"):
        read_cohort([cohort.parent / "H.h5ad", cohort.parent / "H.h5ad"])


def test_reading_can_be_stopped(cohort: Path) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        read_cohort(cohort, progress)


def test_a_byte_order_mark_and_spaces_do_no_harm(cohort: Path) -> None:
    cohort.write_bytes("\ufeffsection, patient, path\r\n R , B , run \r\n\r\n".encode())
    assert [section.name for section in read_cohort(cohort)] == ["R"]


@pytest.mark.parametrize(
    "content",
    [
        "section\tpatient\tpath\nR\tMüller\trun\n".encode("utf-16"),
        "Section;Patient;Path\nR;Müller;run\n".encode("latin-1"),
        ",section,patient,path\n0,R,Müller,run\n".encode(),
    ],
)
def test_a_cohort_is_read_as_spreadsheets_and_pandas_write_it(content: bytes, cohort: Path) -> None:
    cohort.write_bytes(content)
    assert [(section.name, section.patient) for section in read_cohort(cohort)] == [("R", "Müller")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column 'section'"),
        (HEADER, "the cohort is empty"),
        ("section,patient,file\nA,B,run", "unknown column 'file'; no column 'path'; the columns are section"),
        ("section,section,patient,path\nA,A,B,run", "column 'section' twice"),
        ("section,patient,path\nA,B,gone", "line 2: path gone does not exist"),
        (f"{HEADER}\nA,B,A1.tsv.gz,gone.tsv,lost.png,,", "line 2: positions gone.tsv does not exist"),
        (f"{HEADER}\nA,B,A1.tsv.gz,gone.tsv,lost.png,,", "line 2: slide lost.png does not exist"),
        ("section,patient,path\nA,B,run\nA,B,run", "sections named twice: A"),
        ("section,patient,path\n,B,run", "line 2: no section"),
        ("section,patient,path\nA,B,", "line 2: no path"),
        (
            "section,patient,path\nA,B,https://x.org/s",
            "path is an address (https://x.org/s); download it first",
        ),
        (f"{HEADER}\nA,B,run,,,wide,", "line 2: pitch_um is wide, not a positive number"),
        (f"{HEADER}\nA,B,run,,,-4,", "line 2: pitch_um is -4, not a positive number"),
        (f"{HEADER}\nA,B,run,,,nan,", "line 2: pitch_um is nan, not a positive number"),
        ("section,patient,path\nA,B,run,C", "line 2 has 4 cells, the header 3"),
        ("section,patient,path\nA,B,A1.tsv.gz", "table of counts without positions"),
    ],
)
def test_mistakes_are_named(cohort: Path, text: str, sentence: str) -> None:
    cohort.write_text(text)
    with pytest.raises(SectionError) as caught:
        read_cohort(cohort)
    assert sentence in str(caught.value)


def test_an_empty_list_is_named() -> None:
    with pytest.raises(SectionError, match="no section was named"):
        read_cohort([])


def test_a_folder_of_slides_is_no_cohort(tmp_path: Path) -> None:
    with pytest.raises(SectionError, match=r"this folder is no cohort; name a CSV with the columns section"):
        read_cohort_csv(tmp_path)


def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(SectionError, match="there is no such file"):
        read_cohort(tmp_path / "none.csv")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_spreadsheets_of_other_countries_part_cells_otherwise(
    separator: str, space_ranger: Callable, tmp_path: Path
) -> None:
    space_ranger("run")
    lines = ["section|patient|path|pitch_um", "A|P|run|100,0"]
    path = tmp_path / "cohort.csv"
    path.write_text("\ufeff" + "\n".join(lines).replace("|", separator), encoding="utf-8")
    assert kind_of(path) == "cohort"
    (section,) = read_cohort(path)
    assert (section.name, section.patient, section.pitch_um) == ("A", "P", 100.0)
