"""Threads and random state are set for a block and set back after it."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits

from histoscribe import Generator, Imputer, Predictor
from histoscribe.features.device import one_thread
from histoscribe.models.reproducible import seeded


def test_one_thread_lasts_as_long_as_its_block():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_seed_gives_the_same_numbers_and_is_set_back():
    expected = torch.Generator().manual_seed(3)
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(3):
        assert torch.equal(torch.rand(4), torch.rand(4, generator=expected))
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["generator-tcga11", "imputer-tcga11"])
def test_bundled_models_give_the_same_digits_however_many_threads_there_are(name, threads):
    model = (Generator if name.startswith("generator") else Imputer).load(name)
    values = np.log2(1 + np.random.default_rng(0).gamma(2, 50, (21, len(model.genes)))).astype(np.float32)
    table = anndata.AnnData(values, var=pd.DataFrame(index=list(model.genes)))
    found = []
    for number in (1, 2):
        threads(number)
        with threadpool_limits(number):
            if isinstance(model, Generator):
                found.append(model.generate(table, site=model.sites[1], samples=7).X)
            else:
                found.append([model.embed(table), model.restore(table[:, ::3]).layers["restored"]])
    np.testing.assert_equal(*found)


def test_a_prediction_has_the_same_digits_however_many_threads_there_are(threads):
    model, rng, found = Predictor.load("her2st-breast", device="cpu"), np.random.default_rng(0), []
    mean, deviation = model.fitted.space.descriptors
    tiles = (mean + deviation * rng.normal(size=(400, len(mean)))).astype(np.float32)
    centres_um = 100 * np.argwhere(np.ones((20, 20))).astype(float)
    for number in (1, 2):
        threads(number)
        with threadpool_limits(number):
            found.append(model.predict_encoded(tiles, centres_um))
    np.testing.assert_array_equal(*found)
