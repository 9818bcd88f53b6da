"""What a bounded gallery costs: r on held-out tissue, with fewer and fewer of the training spots to look up.

    python benchmarks/gallery.py DATA/her2st/cohort.csv [--split section] [--seeds 0] [--draws 5]

Each fold's model is trained once, on all training spots. Then its retrieval is left a random share of them,
`--draws` times each, and the held-out sections are predicted anew: all else, the weights of the parts too, is
as it was. r is the mean over the panel genes (the 250 most variable ones of the training sections, those of
them that all sections have); a constant counts as 0. The default keeps 50,000 spots, so the shares stand for
cohorts of 50,000 divided by the share.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from histoscribe.benchmark.predictor.benchmark import GenePanel
from histoscribe.benchmark.predictor.splits import make_folds
from histoscribe.evaluation.measures import pearson_per_gene
from histoscribe.features import encoder_named
from histoscribe.predictor import EncodedSection, Predictor, encode_section, panel_expression
from histoscribe.predictor.model import FittedPredictor
from histoscribe.predictor.target import common_genes
from histoscribe.predictor.training.fitting import gallery_spots
from histoscribe.section import read_cohort

SHARES = (0.75, 0.5, 0.25, 0.1)


def bounded(fitted: FittedPredictor, share: float, draw: int) -> FittedPredictor:
    """The same model, whose retrieval has a random share of its spots left."""
    count = len(fitted.values)
    kept = gallery_spots(count, round(share * count), draw)
    keys = [each[kept] for each in fitted.keys]
    return replace(fitted, values=fitted.values[kept], trust=fitted.trust[kept], keys=keys, crops=None)


def mean_r(fitted: FittedPredictor, panel: Sequence[str], tests: Sequence[EncodedSection]) -> float:
    """Mean over sections and genes."""
    found = []
    for section in tests:
        inputs = fitted.read(section.features, section.centres_um)
        told = fitted.predict(inputs, torch.device("cpu")).expression
        r = pearson_per_gene(panel_expression(section, panel), np.asarray(told))
        found.append(np.nan_to_num(r).mean())
    return float(np.mean(found))


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--split", choices=["section", "patient"], default="section")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--draws", type=int, default=5)
    asked = parser.parse_args()
    encoder = encoder_named("both")
    sections = [encode_section(section, encoder) for section in read_cohort(asked.cohort)]
    shared = set(common_genes(sections))
    rows = []
    for seed in asked.seeds:
        for fold in make_folds(sections, asked.split):
            train, tests = ([sections[place] for place in part] for part in (fold.train, fold.test))
            panel = GenePanel().of(train, shared)
            model = Predictor(seed=seed, device="cpu", panel=panel).fit_encoded(train)
            whole = mean_r(model.fitted, panel, tests)
            lost = {
                f"{share:.0%}": [
                    whole - mean_r(bounded(model.fitted, share, draw), panel, tests)
                    for draw in range(asked.draws)
                ]
                for share in SHARES
            }
            rows.append(
                {"fold": fold.name, "seed": seed, "spots": len(model.fitted.values), "r": whole, "lost": lost}
            )
    each = {share: np.array([row["lost"][share] for row in rows]) for share in rows[0]["lost"]}
    summary = {
        share: {"mean": values.mean(), "worst_fold": values.mean(axis=1).max()}
        for share, values in each.items()
    }
    print(json.dumps({"split": asked.split, "lost": summary, "folds": rows}, indent=1))


if __name__ == "__main__":
    main()
