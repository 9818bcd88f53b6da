"""How far prediction could go on a cohort: ceilings, and learning curves of the default, as one JSON object.

`python benchmarks/limits.py DATA/mob/cohort.csv` holds out one section at a time, with the panel of 250 genes
that the others give, and prints the mean per-gene Pearson r of

- `noise`: the square root of the reliability of measured values, from counts thinned in halves. Nothing that
  does not see the counts themselves can pass it;
- `neighbours`: the measured spots around each spot, weighed by depth and by a Gaussian of one pitch, the spot
  itself left out: smoothing of the held-out measurements;
- `same section`: a kernel machine on the same descriptors that learns from all other spots of the held-out
  section (leave one out in closed form): no staining, no animal and no patient lies between;
- `seen depth`: what the benchmark's depth-only would reach if it had to read the depth from the image: a
  ridge from descriptors to log depth, and a line per gene through it, both learned on the other sections. Its
  `r of depth` is the correlation of the depth read with the true one;
- `other sections`: the default, trained on a share of the other sections' spots, drawn at random from seed 0.

With `--split patient` the other sections are those of other patients.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from histoscribe.benchmark.predictor.splits import make_folds
from histoscribe.features import encoder_named
from histoscribe.predictor import EncodedSection, Predictor, choose_panel, encode_section, log_cp10k
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.inputs import scale_of, standardised
from histoscribe.predictor.linear import weighted_ridge
from histoscribe.predictor.target import panel_expression, spot_weights
from histoscribe.rows import squared_distances
from histoscribe.section import read_cohort

SHARES = (0.125, 0.25, 0.5, 1.0)
STRENGTHS = (0.25, 0.5, 1.0, 2.0)


def noise_ceiling(section: EncodedSection, panel: list[str]) -> float:
    """Mean over genes of the square root of the split-half reliability, corrected to full depth."""
    rng = np.random.default_rng(0)
    columns = [list(section.genes).index(gene) for gene in panel]
    counts = sparse.csr_matrix(section.counts).astype(np.int64)
    first = counts.copy()
    first.data = rng.binomial(counts.data, 0.5)
    halves = [log_cp10k(part.astype(np.float32))[:, columns].toarray() for part in (first, counts - first)]
    r = np.clip(gene_correlation(*halves), 0, 1)
    return float(np.sqrt(2 * r / (1 + r)).mean())


def neighbours(section: EncodedSection, truth: NDArray[np.float32]) -> float:
    """r of each spot with the weighted mean of the measured spots around it."""
    places = section.centres_um / section.pitch_um
    squares = ((places[:, None] - places[None]) ** 2).sum(-1)
    weights = np.exp(-squares / 2) * spot_weights([section])
    np.fill_diagonal(weights, 0)
    smooth = weights @ truth / weights.sum(axis=1, keepdims=True)
    return float(gene_correlation(smooth.astype(np.float32), truth).mean())


def same_section(section: EncodedSection, truth: NDArray[np.float32]) -> float:
    """Leave-one-out r of kernel ridge regression within the section, at the best of four strengths."""
    seen = standardised(section.features, scale_of(section.features))
    squares = squared_distances(seen, seen).astype(np.float64)
    kernel = np.exp(-squares / np.median(squares))
    trust = 1 / spot_weights([section])
    rest = truth - truth.mean(axis=0)
    reached = []
    for strength in STRENGTHS:
        inverse = np.linalg.inv(kernel + strength * np.diag(trust))
        left_out = rest - inverse @ rest / np.diag(inverse)[:, None]
        reached.append(gene_correlation(left_out.astype(np.float32), truth).mean())
    return float(max(reached))


def seen_depth(
    training: list[EncodedSection], section: EncodedSection, panel: list[str], truth: NDArray[np.float32]
) -> dict[str, float]:
    """r of depth read from the image, and of genes as lines through it; all centred per section."""
    seen = [standardised(part.features, scale_of(part.features)) for part in (*training, section)]
    depths = [np.log1p(np.asarray(part.counts.sum(axis=1)).ravel()) for part in (*training, section)]
    known = np.concatenate([depth - depth.mean() for depth in depths[:-1]])[:, None]
    values = [panel_expression(part, panel) for part in training]
    centred = np.concatenate([part - part.mean(axis=0) for part in values])
    slopes = known.T @ centred / (known**2).sum()
    read = seen[-1] @ weighted_ridge(np.concatenate(seen[:-1]), known, np.ones(len(known)))
    return {
        "r of depth": float(np.corrcoef(read[:, 0], depths[-1])[0, 1]),
        "genes": float(gene_correlation((read @ slopes).astype(np.float32), truth).mean()),
    }


def other_sections(
    training: list[EncodedSection], section: EncodedSection, panel: list[str], truth: NDArray[np.float32]
) -> dict[str, float]:
    """r of the default by the share of the training spots that it learned from."""
    rng, found = np.random.default_rng(0), {}
    for share in SHARES:
        parts = [
            part.part(np.sort(rng.permutation(len(part.spots))[: round(share * len(part.spots))]), part.name)
            for part in training
        ]
        model = Predictor(seed=0, device="cpu", panel=panel).fit_encoded(training if share == 1 else parts)
        predicted = model.predict_encoded(section.features, section.centres_um)
        found[f"{share:g}"] = float(gene_correlation(predicted, truth).mean())
    return found


def main() -> None:
    """Print every limit per held-out section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--split", choices=("section", "patient"), default="section")
    given = parser.parse_args()
    encoder = encoder_named("builtin")
    sections = [encode_section(section, encoder) for section in read_cohort(given.cohort)]
    found: dict[str, Any] = {}
    for fold in make_folds(sections, given.split):
        training = [sections[number] for number in fold.train]
        for section in (sections[number] for number in fold.test):
            shared = set(section.genes)
            panel = [gene for gene in choose_panel(training, 250) if gene in shared]
            truth = panel_expression(section, panel)
            found[section.name] = {
                "noise": noise_ceiling(section, panel),
                "neighbours": neighbours(section, truth),
                "same section": same_section(section, truth),
                "seen depth": seen_depth(training, section, panel, truth),
                "other sections": other_sections(training, section, panel, truth),
            }
            sys.stderr.write(f"{section.name}: {json.dumps(found[section.name])}\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
