"""The bars on real tissue, with default settings; skipped where the data are absent.

Split: a section (C4) or an animal (MOB3) held out. Panel: the 250 most variable genes of the training
sections. Target: log1p of counts per 10,000 over all genes. Measure: mean per-gene Pearson r.
"""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.predictor import Predictor, log_cp10k
from histoscribe.predictor.blend import gene_correlation
from histoscribe.section import read_cohort

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize(
    ("folder", "training", "held_out", "bar"),
    [("her2st", ("B4", "C2", "C3", "C5"), "C4", 0.33), ("mob", ("MOB1",), "MOB3", 0.40)],
)
def test_unseen_sections_reach_the_bar(real_data, folder, training, held_out, bar):
    sections = {section.name: section for section in read_cohort(real_data / folder / "cohort.csv")}
    predictor = Predictor(device="cpu").fit([sections[name] for name in training])
    measured, predicted = sections[held_out], predictor.predict_section(sections[held_out])
    columns = [measured.genes.index(gene) for gene in predictor.genes if gene in measured.genes]
    shared = [gene for gene in predictor.genes if gene in measured.genes]
    counted = np.asarray(measured.table.X.sum(axis=1)).reshape(-1) > 0
    truth = log_cp10k(measured.table.X)[:, columns].toarray()[counted]
    r = gene_correlation(predicted.table.to_df()[shared].to_numpy()[counted], truth)
    assert r.mean() >= bar
