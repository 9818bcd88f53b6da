"""The effective number of spots: all of them where they are independent, few where tissue is smooth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import mannwhitneyu, norm

from histoscribe.evaluation.regions import effective_share

SIDE, GENES = 30, 150


def fields(smooth: float) -> np.ndarray:
    """Genes of no difference on a square array, alike within `smooth` spots; shape (spots, genes)."""
    rng = np.random.default_rng(0)
    around = rng.normal(size=(GENES, SIDE + 24, SIDE + 24))
    drawn = gaussian_filter(around, (0, smooth, smooth)) if smooth else around
    return drawn[:, 12:-12, 12:-12].reshape(GENES, -1).T


@pytest.mark.parametrize(("smooth", "low", "high"), [(0, 0.9, 1), (1, 0.05, 0.2), (2, 0.01, 0.06)])
def test_false_alarms_stay_rare_however_smooth_the_tissue(smooth: float, low: float, high: float) -> None:
    rows, columns = np.divmod(np.arange(SIDE**2), SIDE)
    first = (rows - 8) ** 2 + (columns - 8) ** 2 < 30
    second = (rows - 21) ** 2 + (columns - 21) ** 2 < 30
    x = fields(smooth)
    share = effective_share(x, np.column_stack([rows, columns]) * 100.0, first, second, 100.0)
    p = np.array([mannwhitneyu(x[first, g], x[second, g]).pvalue for g in range(GENES)])
    adjusted = 2 * norm.sf(norm.isf(p / 2) * np.sqrt(share))
    assert low <= np.median(share) <= high
    assert (adjusted < 0.05).mean() <= 0.1
    if smooth:
        assert (p < 0.05).mean() > 0.3


def test_a_gene_that_is_the_same_everywhere_keeps_all_its_spots() -> None:
    rows, columns = np.divmod(np.arange(100), 10)
    share = effective_share(np.ones((100, 1)), np.column_stack([rows, columns]), rows < 5, rows >= 5, 1.0)
    assert share.tolist() == [1.0]
