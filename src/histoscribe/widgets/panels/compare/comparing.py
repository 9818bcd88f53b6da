"""Measured beside predicted: matched spots, every gene's r and its interval; runs on any thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Layer
from pandas import DataFrame

from histoscribe.arrays import Floats
from histoscribe.evaluation import compare, gene_scores
from histoscribe.evaluation.matching import Match
from histoscribe.progress import Progress
from histoscribe.record import Split
from histoscribe.section import Section, log_gene
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import COMPARED, DERIVED, LayerData
from histoscribe.widgets.layers.raster import like

_NEEDED = ("scipy.stats", "histoscribe.evaluation.comparison")
_TOLD = {
    "pearson": ("r here", "Pearson r between measured and predicted over the spots of this section"),
    "low": ("low", "Lower end of the 95 % interval of r, by resampling patches of tissue of five pitches"),
    "high": ("high", "Upper end of the 95 % interval of r, by resampling patches of tissue of five pitches"),
    "held_out_r": ("held-out r", "Pearson r that the model states for tissue it had not seen"),
    "spearman": ("Spearman", "Rank correlation over the spots of this section"),
    "mae": ("MAE", "Mean absolute error, log1p of counts per 10,000"),
    "detected": ("spots with it", "Share of measured spots with at least one count"),
}
COLUMNS, MEANINGS = ({name: both[place] for name, both in _TOLD.items()} for place in (0, 1))


@dataclass(frozen=True, eq=False)
class Compared:
    """A prediction beside a measurement."""

    measured: Section
    predicted: Section
    match: Match
    """Which rows of the two show the same place."""
    genes: DataFrame
    """One row a gene, best r first, with the columns of `COLUMNS`."""
    split: Split
    """Whether the model had seen this tissue."""

    def difference(self, gene: str) -> Floats | None:
        """Predicted − measured on the measured spots, NaN without prediction; None if one lacks it."""
        if not all(gene in one.table.var_names for one in (self.measured, self.predicted)):
            return None
        measured = log_gene(self.measured, gene)
        values = np.full(len(measured), np.nan, dtype=np.float32)
        rows = self.match.measured
        values[rows] = log_gene(self.predicted, gene)[self.match.predicted] - measured[rows]
        return values

    def values(self, gene: str) -> tuple[Floats, Floats]:
        """Measured and predicted values of a gene on the matched spots."""
        measured, predicted = (log_gene(one, gene) for one in (self.measured, self.predicted))
        return measured[self.match.measured], predicted[self.match.predicted]


def compare_sections(request: tuple[Section, Section], progress: Progress) -> Compared:
    """Score every gene of a measured and a predicted section; `TableError` if no spot or gene is common."""
    load_libraries(*_NEEDED)
    measured, predicted = request
    progress.report("matching spots and genes")
    done = compare(measured, predicted)
    scores = gene_scores(done, predicted, progress=progress)
    return Compared(measured, predicted, done.match, scores, done.summary["split"])


def described_difference(compared: Compared, beside: Layer) -> LayerData:
    """Describe the layer of predicted − measured, shaped like `beside`."""
    section = compared.measured
    data, described, kind = like(beside, section, f"{section.name} difference")
    described["metadata"] |= {DERIVED: DIFFERENCE, DIFFERENCE: compared.difference, COMPARED: compared}
    return data, described, kind
