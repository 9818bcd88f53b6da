"""`histoscribe predict` on a cohort: every section to a file of its name, and what is done stays done."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from importlib import import_module

import histoscribe
from histoscribe.section import write_section


def test_of_a_cohort_every_section_is_predicted_once(shell, model, cohort, tmp_path):
    folder, out = shutil.copytree(cohort.parent, tmp_path / "cohort"), tmp_path / "all"

    def outcomes():
        result = shell("predict", model, folder / "cohort.csv", "--out", out, "--json")
        assert result.exit_code == 0, result.stderr
        return Counter(entry["outcome"] for entry in json.loads(result.stdout)["records"])

    assert outcomes() == {"done": 3}
    names = ["S1", "S2", "S3"]
    assert [histoscribe.open(out / f"{name}.h5ad").name for name in names] == names
    assert outcomes() == {"done before": 3}
    with (folder / "S3_spots.tsv").open("a") as spots:  # its own files decide
        spots.write("\n")
    assert outcomes() == {"done before": 2, "done": 1}


def test_what_another_guide_made_is_not_taken(shell, model, cohort, tmp_path, monkeypatch):
    keys, guide = [], shutil.copytree(cohort.parent, tmp_path / "guide") / "cohort.csv"
    guide.write_text("".join(guide.read_text().splitlines(keepends=True)[:2]))
    monkeypatch.setattr(
        import_module("histoscribe.cli.predict"),
        "run_batch",
        lambda _, ledger: keys.append(ledger.key("S3")) or [],
    )
    for _ in range(2):
        words = ("--guide", guide, "--out", tmp_path / "all")
        assert shell("predict", model, cohort, *words).exit_code == 0
        with (guide.parent / "S1_spots.tsv").open("a") as spots:
            spots.write("\n")
    assert len(set(keys)) == 2


def test_no_section_of_a_cohort_is_replaced_by_a_result(shell, model, cohort, tmp_path):
    measured = tmp_path / "S3.h5ad"
    write_section(histoscribe.read_cohort(cohort)[2], measured)
    named, whole = tmp_path / "named.csv", measured.read_bytes()
    named.write_text(f"section,patient,path\nS2,P,{measured.name}\nS3,Q,{measured.name}\n")
    guided = cohort.parent / "S3.tif"
    for words in (
        ("predict", model, named, "--out", tmp_path),
        ("predict", model, named, "--section", "S3", "--out", measured),
        ("predict", model, guided, "--mpp", 1, "--guide", measured, "--out", measured),
        ("impute", named, "--section", "S3", "--out", measured),
    ):
        result = shell(*words)
        assert (result.exit_code, measured.read_bytes()) == (2, whole), result.stderr
        assert "replace its own input" in result.stderr
