"""The scores of one method on one held-out section."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.benchmark.predictor.peers import Prediction
from histoscribe.evaluation.measures import mae_per_gene, mse_per_gene, pearson_per_gene, spearman_per_gene
from histoscribe.evaluation.spatial import moran_per_gene, recovered_share, ssim_per_gene
from histoscribe.predictor import EncodedSection

TOP = 50
KEPT = (1.0, 0.75, 0.5, 0.25)
"""Shares of the genes, surest first, over which the selective risk is taken."""
_SIGNIFICANT = 0.05

Scores = dict[str, Wide]


@dataclass(frozen=True, eq=False)
class Truth:
    """What was measured on a held-out section."""

    section: EncodedSection
    expression: Floats
    """The target, shape (spots, panel)."""
    moran: Wide
    """Moran's I of each gene, shape (panel,)."""
    variable: Mask
    """Whether the gene varies in space: corrected p below 0.05. Shape (panel,)."""


def measured_truth(section: EncodedSection, expression: Floats) -> Truth:
    """Look at the measured target of a held-out section."""
    moran, p = moran_per_gene(expression, section.centres_um, section.pitch_um)
    return Truth(section, expression, moran, p < _SIGNIFICANT)


def score(truth: Truth, told: Prediction) -> Scores:
    """Every measure, one value per gene (one value for `svg_recovered`).

    A gene predicted as a constant has no correlation and counts as 0 here. `pearson_top50` is over the first
    50 genes of the panel: the most variable ones of the training sections; `pearson_best50` over the 50 genes
    of highest r on the held-out section itself, as papers report it, which flatters. `svg_pearson` is over
    genes whose measured Moran's I is significant; `svg_recovered` the share of the 50 highest that the
    prediction has among its own 50 highest. `coverage` is the share of measured values within the 90 %
    intervals. `pearson_surest_50%` is r over the half of the genes that the method is surest of by what it
    held out in training, `pearson_like_surest_50%` the same over the spots that it does not find unlike: the
    selective risk.
    """
    measured, predicted = truth.expression, told.expression
    r = np.nan_to_num(pearson_per_gene(measured, predicted))
    places, pitch = truth.section.centres_um, truth.section.pitch_um
    recovered = recovered_share(truth.moran, moran_per_gene(predicted, places, pitch)[0], TOP)
    found = {
        "pearson": r,
        f"pearson_top{TOP}": r[:TOP],
        f"pearson_best{TOP}": np.sort(r)[::-1][:TOP],
        "spearman": np.nan_to_num(spearman_per_gene(measured, predicted)),
        "mse": mse_per_gene(measured, predicted),
        "mae": mae_per_gene(measured, predicted),
        "ssim": ssim_per_gene(measured, predicted, places, pitch),
        "svg_pearson": r[truth.variable],
        "svg_recovered": np.array([recovered]),
    }
    if told.low is not None and told.high is not None:
        slack = 1e-4  # a measured value that made a bound does not fall out of it by rounding
        inside = (measured >= told.low - slack) & (measured <= told.high + slack)
        found["coverage"] = inside.mean(axis=0)
        found["interval_width"] = (told.high - told.low).mean(axis=0, dtype=np.float64)
    if told.surety is not None and told.novelty is not None:
        surest = np.argsort(-told.surety, kind="stable")
        like = told.novelty <= 1
        for share in KEPT:
            kept = surest[: max(round(share * len(r)), 1)]
            found[f"pearson_surest_{share:.0%}"] = r[kept]
            if like.sum() > 2:
                found[f"pearson_like_surest_{share:.0%}"] = np.nan_to_num(
                    pearson_per_gene(measured[like][:, kept], predicted[like][:, kept])
                )
    return found


def permuted(truth: Truth, told: Prediction) -> Scores:
    """The correlations of a prediction with the spots in random order: what chance gives."""
    order = np.random.default_rng(0).permutation(len(truth.expression))
    r = np.nan_to_num(pearson_per_gene(truth.expression[order], told.expression))
    return {"pearson": r, f"pearson_top{TOP}": r[:TOP]}


def mean_over_seeds(runs: Sequence[Scores]) -> Scores:
    """The same measures averaged over seeds, gene by gene."""
    return {measure: np.mean([run[measure] for run in runs], axis=0) for measure in runs[0]}
