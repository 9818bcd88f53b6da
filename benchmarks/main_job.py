"""The main job on real sections, by the public API: train, predict an unseen section, score.

B4, C2, C3, C5 → C4 (HER2+ breast, section held out; its patient is among the training patients) and
MOB1 → MOB3 (mouse olfactory bulb, another animal), both with the default settings.

    python benchmarks/main_job.py DATA [--variant histoscribe] [--seed 0]

DATA holds `her2st/cohort.csv` and `mob/cohort.csv`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.predictor import Predictor, log_cp10k
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.section import Section, read_cohort

JOBS = (
    ("her2st", ("B4", "C2", "C3", "C5"), "C4", "section held out, its patient is in training"),
    ("mob", ("MOB1",), "MOB3", "animal held out"),
)


def score(measured: Section, predicted: Section) -> dict[str, Any]:
    """Pearson r per gene over the spots of one section; panel genes that the table lacks are counted."""
    panel = predicted.genes
    index = {gene: column for column, gene in enumerate(measured.genes)}
    shared = [gene for gene in panel if gene in index]
    table = measured.table
    counted = np.asarray(table.X.sum(axis=1)).reshape(-1) > 0
    truth = log_cp10k(table.X)[:, [index[gene] for gene in shared]].toarray()[counted]
    answer = predicted.table.to_df()[shared].to_numpy()[counted]
    r = gene_correlation(answer, truth)
    return {
        "genes": len(shared),
        "genes_missing": len(panel) - len(shared),
        "spots": int(counted.sum()),
        "mean_r": round(float(r.mean()), 4),
        "median_r": round(float(np.median(r)), 4),
        "top50_r": round(float(r[:50].mean()), 4),
    }


def main() -> None:
    """Run both jobs and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--variant", default="histoscribe")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    results = []
    for folder, training, held_out, split in JOBS:
        sections = {section.name: section for section in read_cohort(options.data / folder / "cohort.csv")}
        start = time.perf_counter()
        predictor = Predictor(options.variant, seed=options.seed)
        predictor.fit([sections[name] for name in training])
        fitted = time.perf_counter()
        predicted = predictor.predict(sections[held_out])
        done = time.perf_counter()
        results.append(
            {
                "training": training,
                "held_out": held_out,
                "split": split,
                **score(sections[held_out], predicted),
                "panel": predictor.card.panel_rule,
                "target": predictor.card.target,
                "encoder": predictor.card.encoder,
                "seeds": [options.seed + member for member in range(predictor.settings.members)],
                "blend": predictor.card.settings["blend"],
                "fit_seconds": round(fitted - start, 1),
                "predict_seconds": round(done - fitted, 1),
                "versions": predictor.card.versions,
            }
        )
    print(json.dumps({"variant": options.variant, "results": results}, indent=1))


if __name__ == "__main__":
    main()
