"""The benchmark verb on a small cohort: what it prints and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.mark.slow
def test_json_holds_settings_and_records(shell: Callable, cohort: Path):
    words = ("--methods", "mean,ridge", "--panel-size", 10, "--encoder", "builtin", "--json")
    result = shell("benchmark", "predictor", cohort, *words)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["settings"]["split"] == "section"
    assert document["settings"]["command"].startswith("histoscribe benchmark predictor")
    keys = {"method", "dataset", "split", "fold", "measure", "value", "low", "high"}
    assert all(set(record) == keys for record in document["records"])
    assert {record["fold"] for record in document["records"]} == {"S1", "S2", "S3", "all"}
    ridge = [r for r in document["records"] if r["method"] == "ridge" and r["fold"] == "all"]
    assert next(r["value"] for r in ridge if r["measure"] == "pearson") > 0.1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--methods", "magic"], "no method is called 'magic'"),
        (["--encoder", "magic"], "magic"),
        (["--folds", "S9"], "no fold is called 'S9'"),
    ],
)
def test_what_does_not_exist_is_named_before_sections_are_described(
    shell: Callable, cohort: Path, tmp_path: Path, words: list[str], expected: str
):
    result = shell("benchmark", "predictor", cohort, *words, "--store", tmp_path / "store")
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_report_is_written_and_a_run_goes_on_from_its_ledger(shell: Callable, cohort: Path, tmp_path: Path):
    page, ledger = tmp_path / "report.html", tmp_path / "scores.jsonl"
    words = [
        "benchmark", "predictor", cohort, "--methods", "mean,ridge", "--panel-size", 10,
        "--encoder", "builtin", "--ledger", ledger,
    ]  # fmt: skip
    first = shell(*words, "--folds", "S1", "--json")
    assert first.exit_code == 0, first.stderr
    assert len(ledger.read_text().splitlines()) == 2
    second = shell(*words, "--out", page)
    assert second.exit_code == 0, second.stderr
    assert len(ledger.read_text().splitlines()) == 6
    text = page.read_text()
    assert "<svg" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_a_panel_chosen_with_a_held_out_section_is_refused(shell: Callable, cohort: Path, tmp_path: Path):
    genes = tmp_path / "panel.txt"
    genes.write_text("ANY\n")
    words = ["--methods", "mean", "--panel", genes, "--panel-chosen-on", "S2"]
    result = shell("benchmark", "predictor", cohort, *words, "--store", tmp_path / "store")
    assert result.exit_code == 2
    assert "chosen with S2" in result.stderr
    assert not (tmp_path / "store").exists(), "sections were described in vain"


def test_a_foreign_method_runs_in_the_benchmark(
    foreign_package: Path, shell: Callable, cohort: Path, tmp_path: Path
) -> None:
    words = ("--methods", "foreign-median,mean", "--panel-size", 10, "--folds", "S1", "--encoder", "builtin")
    result = shell("benchmark", "predictor", cohort, *words, "--json", "--table", tmp_path / "t.md")
    assert result.exit_code == 0, result.stderr
    scores = {
        (one["method"], one["measure"]): one["value"]
        for one in json.loads(result.stdout)["records"]
        if one["fold"] == "S1"
    }
    assert scores["foreign-median", "mse"] != scores["mean", "mse"]
    assert scores["foreign-median", "pearson"] == 0
    assert "| foreign-median |" in (tmp_path / "t.md").read_text()
    unknown = shell("benchmark", "predictor", cohort, "--methods", "magic")
    assert "foreign-median" in unknown.stderr


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("predictor", "--guide", "random:0.3", "--target", "published"), "--target"),
        (("predictor", "--guide", "random:0.3", "--seeds", 2), "--seeds"),
        (("predictor", "--panel-chosen-on", "S1"), "--panel-chosen-on"),
        (("imputer", "--task", "spots", "--class", "kind"), "--class"),
        (("imputer", "--task", "random", "--section", "S1"), "--section"),
    ],
)
def test_what_would_be_passed_over_is_refused(shell, cohort, words, option):
    result = shell("benchmark", words[0], cohort, *words[1:])
    assert result.exit_code == 2
    assert f"eave {option} out" in result.stderr


def test_given_spots_are_benchmarked(shell, cohort):
    words = ("--split", "patient", "--guide", "random:0.3", "--methods", "own mean,kriging")
    result = shell("benchmark", "predictor", cohort, *words, "--encoder", "builtin", "--json")
    assert result.exit_code == 0, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["settings"]["given"] == ["30 % given at random"]
    assert {one["method"] for one in outcome["records"]} == {"own mean", "kriging"}


def test_the_word_simulated_wins_over_a_folder_of_that_name(
    shell: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def simulate(number: int, **_: object) -> SimpleNamespace:
        return SimpleNamespace(name=f"simulated {number}", genes=["A", "B", "C"], warnings=())

    monkeypatch.setattr("histoscribe.simulate.simulate_section", simulate)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simulated").mkdir()
    result = shell("benchmark", "imputer", "simulated", "--task", "spots", "--section", "S9")
    assert result.exit_code == 2
    assert "simulated 4" in result.stderr
