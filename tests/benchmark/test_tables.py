"""The benchmark's Markdown: every method once, best first, with what is left out or added apart."""

from __future__ import annotations

import pytest

from histoscribe.benchmark.predictor.benchmark import _LAYOUT as WIDE
from histoscribe.benchmark.report import write_benchmark_report
from histoscribe.benchmark.tables import TableLayout, as_markdown, tables_of, write_tables
from histoscribe.errors import StorageError

R = {
    "histoscribe": (0.4, 0.3),
    "ridge": (0.2, 0.3),
    "bleep": (0.5, 0.1),
    "histoscribe without linear": (0.3, 0.3),
    "histoscribe with both graphs": (0.4, 0.35),
    "permuted control": (0.01, -0.01),
}


def outcome() -> dict:
    records = []
    for method, (a, b) in R.items():
        for fold, value in (("A", a), ("B", b), ("all", (a + b) / 2)):
            bounds = {"low": value - 0.1, "high": value + 0.1}
            same = {"method": method, "dataset": "made", "fold": fold}
            records.append({**same, "measure": "pearson", "value": value, **bounds})
            if method == "histoscribe":
                bounds = {"low": 0.8, "high": 1.0}
                records.append({**same, "measure": "coverage", "value": 0.9, **bounds})
    ours = sum(R["histoscribe"]) / 2
    paired = [
        {
            "dataset": "made",
            "measure": "pearson",
            "other": name,
            "difference": ours - sum(both) / 2,
            "low": -0.01,
            "high": 0.2,
            "p_sections": 0.5,
            "p_genes": 0.1,
        }
        for name, both in R.items()
        if name not in ("histoscribe", "permuted control")
    ]
    return {"settings": {"target": "clean", "seeds": [0]}, "records": records, "paired": paired}


@pytest.fixture
def tables(tmp_path) -> list[list[str]]:
    write_tables(outcome(), tmp_path / "t.md", WIDE)
    return [block.splitlines() for block in (tmp_path / "t.md").read_text().split("\n\n")]


def test_methods_are_ranked_with_their_sections(tables):
    names = [line.split(" | ")[0] for line in tables[0][2:]]
    assert names == ["| **histoscribe**", "| bleep", "| ridge"]
    assert "| 0.400 | 0.300 | 0.350 (0.250 to 0.450) |" in tables[0][2]
    assert all(line.count("|") == tables[0][0].count("|") for line in tables[0])


def test_differences_coverage_and_control_stand_below(tables):
    assert tables[1][2] == "| bleep | +0.0500 (-0.0100 to +0.2000) | 0.500 | 1.0e-01 |"
    assert tables[2][2].startswith("| coverage of the 90 % intervals | 0.900 | 0.900 | 0.900")
    assert tables[2][3].endswith("| 0.010 | -0.010 | 0.000 |")


def test_what_is_left_out_or_added_is_compared_with_the_default(tables):
    assert [line.split(" | ")[0] for line in tables[3][2:]] == [
        "| as it is",
        "| without linear",
        "| with both graphs",
    ]
    assert "+0.0500" in tables[3][3]
    assert "-0.0250" in tables[3][4]


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_tables(outcome(), tmp_path / "file" / "t.md", WIDE)


def by_seed() -> dict:
    """Two methods, one measure at two rates and one alone, over seeds."""
    records = []
    for method, worse in (("gene mean", 0.2), ("histoscribe", 0.0)):
        for fold, low, high in (("seed 1", 0.5, 0.5), ("all", 0.4, 0.6)):
            for measure in ("RMSE, 10% missing", "RMSE, 50% missing", "joint"):
                records.append(
                    {
                        "method": method, "dataset": "made", "fold": fold, "measure": measure,
                        "value": 0.5 + worse, "low": low + worse, "high": high + worse,
                    }
                )  # fmt: skip
    return {"settings": {"seeds": [1]}, "records": records, "paired": []}


def test_measures_that_share_a_beginning_share_a_table():
    grouped, single = tables_of(by_seed(), TableLayout())
    assert grouped.head == ("RMSE", "10% missing", "50% missing")
    assert grouped.rows[1] == ("histoscribe", "0.500 ± 0.100", "0.500 ± 0.100")
    assert single.head == ("made", "gene mean", "histoscribe")
    assert single.rows == (("joint", "0.700 ± 0.100", "0.500 ± 0.100"),)
    assert "| **histoscribe** | 0.500" in as_markdown([grouped])


@pytest.mark.parametrize(("lower", "first"), [(True, "histoscribe"), (False, "gene mean")])
def test_methods_are_ranked_by_what_is_better(lower, first):
    values = {(one["method"], one["fold"], one["measure"]): one for one in by_seed()["records"]}
    assert TableLayout(headline="RMSE", lower=lower).ranked(values, "RMSE, 10% missing")[0] == first


@pytest.mark.parametrize(
    ("made", "layout"), [(outcome, WIDE), (by_seed, TableLayout(headline="RMSE", lower=True))]
)
def test_the_report_shows_every_table_and_needs_no_network(made, layout, tmp_path):
    write_benchmark_report(made(), tmp_path / "r.html", layout)
    page = (tmp_path / "r.html").read_text()
    assert page.count("<h3") == len(tables_of(made(), layout)) + 1
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")
