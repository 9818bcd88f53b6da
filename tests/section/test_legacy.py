from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscribe.errors import SectionError
from histoscribe.section import open_section, read_legacy

Make = Callable[..., Any]


def rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    packed = path.suffix == ".gz"
    text = gzip.decompress(path.read_bytes()).decode() if packed else path.read_text()
    new = "\n".join(change(text.splitlines())) + "\n"
    path.write_bytes(gzip.compress(new.encode()) if packed else new.encode())


def test_counts_meet_their_positions_by_name(legacy: Make) -> None:
    files = legacy()
    section = read_legacy(files.counts, files.positions, files.slide, patient="A")
    assert section.table.obs_names.tolist() == files.spots
    np.testing.assert_array_equal(section.table.X.toarray(), files.values)
    assert section.genes[0] == "FO538757.1"
    assert (section.name, section.patient, section.spot_um, section.pitch_um) == ("A1", "A", 100.0, 200.0)


def test_pixel_x_is_the_column(legacy: Make) -> None:
    files = legacy()
    section = read_legacy(files.counts, files.positions, files.slide)
    assert section.table.obs_names[1] == "2x4"
    np.testing.assert_allclose(section.centres[1], [120.0, 40.0])
    np.testing.assert_allclose(section.table.obsm["spatial"][1], [40.0, 120.0])
    assert section.table.obs["array_col"].iloc[1] == pytest.approx(2.01)


def test_mpp_comes_from_the_array_even_where_spots_are_missing(legacy: Make) -> None:
    files = legacy()
    rewrite(files.positions, lambda lines: [lines[0], *lines[1::5]])
    section = read_legacy(files.counts, files.positions)
    assert section.mpp == pytest.approx(200 / 40, rel=1e-3)
    assert section.slide is None
    assert any("51 spots have counts but no position" in warning for warning in section.warnings)


def test_a_checkerboard_has_its_pitch_within_a_row(legacy: Make) -> None:
    files = legacy(checkerboard=True)
    section = read_legacy(files.counts, files.positions)
    assert section.mpp == pytest.approx(200 / 80, rel=1e-3)
    assert section.pitch_um == pytest.approx(200 / np.sqrt(2))
    assert any("checkerboard" in warning for warning in section.warnings)


def test_only_selected_spots_are_kept(legacy: Make) -> None:
    files = legacy()
    rewrite(files.positions, lambda lines: [*lines[:10], *(line[:-1] + "0" for line in lines[10:])])
    section = read_legacy(files.counts, files.positions)
    assert section.table.n_obs == 9
    assert section.warnings == ()


def test_positions_without_counts_are_reported(legacy: Make) -> None:
    files = legacy()
    rewrite(files.counts, lambda lines: lines[:-3])
    section = read_legacy(files.counts, files.positions)
    assert section.warnings == ("3 of 64 selected positions have no counts and were left out",)


def test_other_shapes_of_the_table_read_the_same(legacy: Make, tmp_path: Path) -> None:
    files = legacy()
    lines = gzip.decompress(files.counts.read_bytes()).decode().splitlines()
    cells = [line.split("\t") for line in lines]
    wanted = read_legacy(files.counts, files.positions).table.to_df()
    shapes = {
        "commas.csv": [",".join(row) for row in cells],
        "turned.tsv": ["\t".join(column) for column in zip(*cells, strict=True)],
        "quoted.csv": [",".join(f'"{cell}"' for cell in row) for row in cells],
        "no_corner.tsv": ["\t".join(cells[0][1:]), *lines[1:]],
        "adjusted.tsv": [lines[0], *(line.replace("x", ".02x", 1) for line in lines[1:])],
    }
    for name, content in shapes.items():
        (tmp_path / name).write_text("\n".join(content) + "\n")
        found = read_legacy(tmp_path / name, files.positions).table.to_df()
        assert found.equals(wanted), name


def test_spots_beside_the_image_are_refused(legacy: Make, tmp_path: Path, png: Make) -> None:
    files = legacy()
    png(tmp_path / "small.png", 200, 200)
    with pytest.raises(SectionError, match=r"of 64 spots lie outside the image \(200 × 200 pixels\)"):
        read_legacy(files.counts, files.positions, tmp_path / "small.png")


def test_a_counts_table_alone_says_what_is_missing(legacy: Make) -> None:
    with pytest.raises(SectionError, match="table of counts without positions; name its positions"):
        open_section(legacy().counts)


def unicode_text(text: str) -> bytes:
    """As a spreadsheet writes it."""
    return text.encode("utf-16")


def with_totals(text: str) -> bytes:
    return f"{text}Total\t1\t2\t3\t4\t5\n__ambiguous\t1\t2\t3\t4\t5\n".encode()


def with_names_of_r(text: str) -> bytes:
    head, *lines = text.splitlines()
    return "\n".join([head, *(f"X{line}" for line in lines)]).encode()


def with_semicolons(text: str) -> bytes:
    return text.replace("\t", ";").encode()


@pytest.mark.parametrize("change", [unicode_text, with_totals, with_names_of_r, with_semicolons])
def test_counts_that_went_through_another_program_are_the_same(change: Callable, legacy: Callable) -> None:
    files = legacy()
    files.counts.write_bytes(gzip.compress(change(gzip.decompress(files.counts.read_bytes()).decode())))
    found = read_legacy(files.counts, files.positions, files.slide)
    np.testing.assert_array_equal(found.table.X.toarray(), files.values)


def test_positions_that_went_through_a_spreadsheet_are_the_same(legacy: Callable) -> None:
    files = legacy()
    before = read_legacy(files.counts, files.positions, files.slide)
    text = files.positions.read_text().replace(".", ",").replace("\t", ";").replace("new_x", "New_X")
    files.positions.write_text(text.replace("pixel_x", "Pixel_X"))
    found = read_legacy(files.counts, files.positions, files.slide)
    np.testing.assert_array_equal(found.centres, before.centres)
    assert found.mpp == before.mpp


def test_a_position_without_a_number_costs_its_spot(legacy: Callable) -> None:
    files = legacy()
    lines = files.positions.read_text().splitlines()
    lines[3] = "\t".join([*lines[3].split("\t")[:4], "NA", "NA", "1"])
    files.positions.write_bytes(unicode_text("\n".join(lines)))
    found = read_legacy(files.counts, files.positions, files.slide)
    lost = "x".join(lines[3].split("\t")[:2])
    assert set(files.spots) - set(found.table.obs_names) == {lost}
    assert any(lost in words for words in found.warnings)


@pytest.mark.parametrize(
    ("part", "change", "sentence"),
    [
        ("counts", lambda lines: [], "not a table of counts"),
        ("counts", lambda lines: lines[:1], "not a table of counts"),
        ("counts", lambda lines: [*lines[:5], lines[5].rsplit("\t", 1)[0]], "not a whole table of counts"),
        ("counts", lambda lines: [lines[0] + "\tMORE", *lines[1:]], "the first line names 6 columns"),
        ("counts", lambda lines: [*lines, lines[4]], "spots named twice: 2x6"),
        (
            "counts",
            lambda lines: [*lines, lines[1].replace("2x3", "tumour")],
            "rows that are no spots: tumour",
        ),
        ("counts", lambda lines: [*lines, "99x99\t1\t2\tx\t4\t5"], "not a whole table of counts"),
        ("counts", lambda lines: [*lines, "99x99\t1\t2\tnan\t4\t5"], "1 counts are missing or infinite"),
        ("counts", lambda lines: [*lines, "99x99\t1\t2\t-3\t4\t5"], "1 counts are negative"),
        (
            "counts",
            lambda lines: [lines[0], "77x77\t1\t2\t3\t4\t5"],
            "do not join: the counts have spots like 77x77",
        ),
        ("positions", lambda lines: [lines[0].replace("pixel_x", "px"), *lines[1:]], "no column pixel_x"),
        ("positions", lambda lines: [*lines, lines[1]], "spots listed twice: 9x10"),
        (
            "positions",
            lambda lines: [lines[0], *(f"{line[:-2]}?\t1" for line in lines[1:])],
            "no number in",
        ),
        (
            "positions",
            lambda lines: [lines[0], *(line[:-1] + "0" for line in lines[1:])],
            "no spot is selected",
        ),
        ("positions", lambda lines: lines[:2], "fewer than two selected spots"),
    ],
)
def test_damage_is_named(legacy: Make, part: str, change: Any, sentence: str) -> None:
    files = legacy()
    rewrite(getattr(files, part), change)
    with pytest.raises(SectionError) as caught:
        read_legacy(files.counts, files.positions, files.slide)
    assert sentence in str(caught.value)
    assert caught.value.where == str(getattr(files, part))


def test_values_that_are_no_whole_numbers_are_doubted(legacy: Make) -> None:
    files = legacy()
    rewrite(files.counts, lambda lines: [lines[0], *(line.replace("\t1", "\t1.5") for line in lines[1:])])
    assert any(
        "normalised, not raw counts?" in each for each in read_legacy(files.counts, files.positions).warnings
    )


def test_cut_gzip_is_named(legacy: Make) -> None:
    files = legacy()
    files.counts.write_bytes(files.counts.read_bytes()[:-20])
    with pytest.raises(SectionError, match="damaged or cut off"):
        read_legacy(files.counts, files.positions)
