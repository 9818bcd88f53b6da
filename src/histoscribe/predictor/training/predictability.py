"""Which genes a predictor could learn from a cohort, before one is trained."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from histoscribe.arrays import Floats, Wide
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.intervals import HeldOutTissue
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.target import choose_panel, panel_expression
from histoscribe.predictor.training.learning import choose_inputs, inner_folds, reliability, ridge_folds

_NEIGHBOURS = 6


def predictability(sections: Sequence[EncodedSection], genes: int = 1000) -> pd.DataFrame:
    """How far image and neighbours can tell each gene in a cohort.

    Returns
    -------
    DataFrame
        One row a gene, the most predictable first. `image`, `low`, `high`: r between what a ridge reads from
        the image and what was measured on sections that it had not seen (halves of a single one), and its 95
        % interval; `neighbours`: r of a spot with the mean of its six nearest; `predictable`: the mean of
        both, for either is noisy and only what hangs together in space can be seen.

    Raises
    ------
    TableError
        If the sections have no gene in common.
    """
    panel = choose_panel(sections, genes)
    settings = choose_inputs(sections, panel, PredictorSettings())
    held = [
        HeldOutTissue(answers[0], truth, None, np.ones(len(truth)))
        for answers, truth, _ in ridge_folds(sections, panel, [settings])
    ]
    scores = reliability(panel, held, inner_folds(sections)[1])
    table = pd.DataFrame(scores).T.rename(columns={"r": "image"})
    around = [_from_neighbours(section, panel_expression(section, panel)) for section in sections]
    table["neighbours"] = np.mean(around, axis=0).round(4)
    table["predictable"] = ((table["image"] + table["neighbours"]) / 2).round(4)
    table.index.name = "gene"
    return table.sort_values("predictable", ascending=False, kind="stable")


def _from_neighbours(section: EncodedSection, expression: Floats) -> Wide:
    """r of each gene with the mean of a spot's nearest spots; 0 where there are too few."""
    count = min(_NEIGHBOURS, len(expression) - 1)
    if count < 1:
        return np.zeros(expression.shape[1])
    nearest = cKDTree(section.centres_um).query(section.centres_um, k=count + 1)[1][:, 1:]
    return np.asarray(gene_correlation(expression[nearest].mean(axis=1), expression), dtype=np.float64)
