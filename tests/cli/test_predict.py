"""`histoscribe predict` on a cohort: every section to a file of its name, and what is done stays done."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import histoscribe


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
