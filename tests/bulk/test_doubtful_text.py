"""Tables of text that may mean two things, or are cut off: refused, or said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from histoscribe.bulk import BulkTable, read_table
from histoscribe.errors import TableError

GENES = ["TP53", "EPCAM", "KRT8", "ESR1", "ERBB2", "CD3E", "ACTB", "GAPDH", "VIM", "MKI67"]
COUNTS = np.random.default_rng(0).poisson(20, (6, 10))


def text(
    values: np.ndarray = COUNTS,
    genes: list[str] = GENES,
    separator: str = ",",
    write: Callable[[object], str] = str,
) -> str:
    lines = [separator.join(["", *genes])]
    lines += [separator.join([f"S{n}", *map(write, row)]) for n, row in enumerate(values)]
    return "\n".join(lines) + "\n"


def read(folder: Path, content: str, scale: str | None = None) -> BulkTable:
    (folder / "table.csv").write_bytes(content.encode("latin-1"))
    return read_table(folder / "table.csv", scale=scale)


@pytest.mark.parametrize(("separator", "times"), [(";", 1000), (";", 50), ("\t", 50)])
def test_points_that_may_part_thousands_are_refused(separator: str, times: int, tmp_path: Path) -> None:
    written = text(COUNTS * times, GENES, separator, lambda value: f"{value:,}".replace(",", "."))
    with pytest.raises(TableError, match=r"the point in '\d+\.\d{3}' may mark thousands or decimals"):
        read(tmp_path, written)


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_points_that_mark_decimals_do(separator: str, tmp_path: Path) -> None:
    values = np.log2(COUNTS / 20 + 0.5)
    found = read(tmp_path, text(values, GENES, separator, lambda value: f"{value:.3f}"))
    np.testing.assert_allclose(found.table.X, values, atol=1e-3)
    three = text(values + 3, GENES, "\t", lambda value: f"{value:.3f}")
    np.testing.assert_allclose(read(tmp_path, three).table.X, values + 3, atol=1e-3)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = text()
    with pytest.raises(TableError, match="its last line has 4 cells, the first 11: the file is cut off"):
        read(tmp_path, whole[: whole.rindex("\n", 0, -1)] + "\nS5,1,2,3\n")
    blank = whole[: whole.rindex(",")] + ",\n\n"
    assert np.isnan(read(tmp_path, blank).table.X[-1, -1])


@pytest.mark.parametrize("start", ["PK\x03\x04", "\xd0\xcf\x11\xe0"])
def test_a_spreadsheet_is_called_one(start: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="this is a spreadsheet or an archive"):
        read(tmp_path, start + "\0" * 100)


def test_yes_and_no_are_no_expression(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no column holds numbers"):
        read(tmp_path, text(COUNTS > 20))
    found = read(tmp_path, text((COUNTS > 20).astype(int)))
    assert any("are they yes and no" in warning for warning in found.warnings)


def test_genes_without_a_name_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, text(genes=["", "", *GENES[2:]]))
    assert list(found.table.var_names) == GENES[2:]
    np.testing.assert_array_equal(found.table.X, COUNTS[:, 2:])
    assert any("2 genes without a name were left out" in warning for warning in found.warnings)


def test_numbers_of_a_spreadsheet_and_two_species_are_doubted(tmp_path: Path) -> None:
    both = [*GENES[:4], *(gene.capitalize() for gene in GENES[:4]), "2.31E+13", "VIM"]
    warnings = read(tmp_path, text(genes=both)).warnings
    assert any("(2.31E+13) look like numbers" in warning for warning in warnings)
    assert any("as of man and mouse" in warning for warning in warnings)


def test_a_stated_scale_is_held_against_the_values(tmp_path: Path) -> None:
    logs = text(np.log2(COUNTS + 1))
    assert any("not whole numbers" in warning for warning in read(tmp_path, logs, "counts").warnings)
    with pytest.raises(TableError, match=r"values up to .* are no log2 of abundances"):
        read(tmp_path, text(COUNTS * 100), "log2")
    below = read(tmp_path, text(np.log2(COUNTS / 20)), "linear").warnings
    assert any("said to be abundances are negative" in warning for warning in below)
