"""The bar on real tissue, with default settings; skipped where the data are absent.

The longer one, of breast tumours, is in `benchmarks/main_job.py`. Split: animal MOB3 held out. Panel: the
250 most variable genes of the training section. Target: log1p of counts per 10,000 over all genes. Measure:
mean per-gene Pearson r.
"""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.predictor import Predictor, log_cp10k
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.section import read_cohort

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


def test_another_animal_reaches_the_bar(real_data):
    sections = {section.name: section for section in read_cohort(real_data / "mob" / "cohort.csv")}
    predictor = Predictor(device="cpu").fit([sections["MOB1"]])
    measured, predicted = sections["MOB3"], predictor.predict(sections["MOB3"])
    columns = [measured.genes.index(gene) for gene in predictor.genes if gene in measured.genes]
    shared = [gene for gene in predictor.genes if gene in measured.genes]
    counted = np.asarray(measured.table.X.sum(axis=1)).reshape(-1) > 0
    truth = log_cp10k(measured.table.X)[:, columns].toarray()[counted]
    r = gene_correlation(predicted.table.to_df()[shared].to_numpy()[counted], truth)
    assert r.mean() >= 0.40
