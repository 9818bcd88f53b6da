"""The guided benchmark: which spots are given, and what is scored."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.benchmark import run_benchmark
from histoscribe.benchmark.predictor import GenePanel, guided_benchmark
from histoscribe.benchmark.predictor.guided import GivenShare
from histoscribe.errors import SettingError
from histoscribe.predictor import EncodedSection

CHEAP = ["own mean", "own ridge", "kriging", "label propagation"]


def made(name: str, patient: str) -> EncodedSection:
    """100 spots; a smooth field drives the first descriptor and ten of fourteen genes."""
    random = np.random.default_rng(len(name) + ord(name[0]))
    rows, columns = np.divmod(np.arange(100), 10)
    driver = np.sin(rows / 2) + np.cos(columns / 3)
    features = np.column_stack([driver, random.normal(size=(100, 3))]).astype(np.float32)
    loadings = np.r_[np.linspace(0.4, 1, 5), -np.linspace(0.4, 1, 5), np.zeros(4)]
    counts = random.poisson(np.exp(3 + driver[:, None] * loadings))
    genes = [f"g{number}" for number in range(14)]
    places = np.column_stack([rows, columns]) * 100.0
    return EncodedSection(name, patient, features, places, 100.0, counts, genes)


def test_given_spots_are_a_share_at_random_or_around_a_point():
    section = made("a1", "a")
    scattered, block = GivenShare.read("random:0.2,block:0.25")
    np.testing.assert_array_equal(
        scattered.of(section, 3), np.sort(np.random.default_rng(3).permutation(100)[:20])
    )
    rows = block.of(section, 0)
    far = np.linalg.norm(section.centres_um - 0.3 * 900, axis=1)
    assert len(rows) == 25
    assert far[rows].max() <= np.delete(far, rows).min()
    assert len({tuple(block.of(section, draw)) for draw in range(5)}) == 5


@pytest.mark.parametrize("text", ["random", "block:1.5", "stripes:0.2", "random:0.2,"])
def test_other_shares_are_refused(text):
    with pytest.raises(SettingError, match="which spots are given"):
        GivenShare.read(text)


def test_only_spots_that_were_not_given_are_scored():
    sections = [made("a1", "a"), made("b1", "b")]
    benchmark = guided_benchmark(
        sections, "random:0.2,block:0.3", dataset="made", methods=CHEAP, panel=GenePanel(8)
    )
    outcome = run_benchmark(benchmark)
    values = {
        (one["dataset"], one["method"], one["measure"]): one["value"]
        for one in outcome["records"]
        if one["fold"] == "all"
    }
    for given in ("made, 20 % given at random", "made, 30 % given in a block"):
        assert values[given, "own mean", "pearson"] == 0
        assert values[given, "own ridge", "pearson"] > 0.5
        assert values[given, "own ridge", "mse"] < values[given, "own mean", "mse"]
    assert values["made, 20 % given at random", "kriging", "pearson"] > 0.5
    assert values["made, 20 % given at random", "label propagation", "pearson"] > 0.3
