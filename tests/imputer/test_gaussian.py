from __future__ import annotations

import numpy as np
import torch

from histoscribe.imputer.gaussian import GaussianStart, fit_factors, regress_on_factors


def test_the_start_is_the_conditional_gaussian() -> None:
    random = np.random.default_rng(0)
    loadings = torch.from_numpy(random.normal(size=(30, 4)).astype(np.float32))
    noise = torch.from_numpy(random.uniform(0.2, 1, 30).astype(np.float32))
    start = GaussianStart(loadings, noise)
    values = torch.randn(6, 30)
    observed = torch.rand(6, 30) < 0.6
    observed[3] = observed[2]
    expected = start.expect(start.factors(values, observed))
    covariance = loadings @ loadings.T + torch.diag(noise)
    for i in range(6):
        seen, hidden = observed[i], ~observed[i]
        direct = covariance[hidden][:, seen] @ torch.linalg.solve(covariance[seen][:, seen], values[i, seen])
        assert torch.allclose(expected[i, hidden], direct, atol=1e-3)


def test_one_pattern_and_many_agree() -> None:
    start = GaussianStart(torch.randn(20, 3), torch.rand(20) + 0.3)
    values, observed = torch.randn(4, 20), torch.rand(4, 20) < 0.5
    together = start.factors(values, observed)
    alone = torch.cat([start.factors(values[i : i + 1], observed[i : i + 1]) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-4)


def test_factors_recover_a_covariance() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(size=(40, 3))
    values = (random.normal(size=(2000, 3)) @ truth.T + random.normal(0, 0.5, (2000, 40))).astype(np.float32)
    loadings, _ = fit_factors(values, 3)
    assert np.corrcoef((loadings @ loadings.T).ravel(), (truth @ truth.T).ravel())[0, 1] > 0.99


def test_factors_are_learned_from_tables_that_share_some_genes() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(size=(40, 3))
    values = (random.normal(size=(3000, 3)) @ truth.T + random.normal(0, 0.5, (3000, 40))).astype(np.float32)
    known = np.ones(values.shape, dtype=bool)
    known[:2500, :10] = False
    known[2500:, 30:] = False
    weights = np.where(np.arange(3000) < 2500, 0.01, 1.0)
    for some in (None, weights):
        loadings, noise = fit_factors(np.where(known, values, 0), 3, known=known, weights=some, inflation=1)
        assert np.corrcoef((loadings @ loadings.T).ravel(), (truth @ truth.T).ravel())[0, 1] > 0.98
        assert abs(noise.mean() - 0.25) < 0.02


def test_further_genes_are_regressed_on_known_factors() -> None:
    random = np.random.default_rng(2)
    scores = random.normal(size=(4000, 3)).astype(np.float32)
    truth = random.normal(size=(5, 3))
    values = (scores @ truth.T + random.normal(0, 0.5, (4000, 5))).astype(np.float32)
    loadings, noise = regress_on_factors(scores, np.zeros((3, 3), dtype=np.float32), values)
    assert np.allclose(loadings, truth, atol=0.05)
    assert np.allclose(noise, 0.25, atol=0.03)


def test_the_noise_is_inflated_as_asked_and_weights_scale_nothing() -> None:
    values = np.random.default_rng(3).normal(size=(200, 15)).astype(np.float32)
    plain, noise = fit_factors(values, 2, inflation=1.0)
    again, inflated = fit_factors(values, 2, inflation=2.5, weights=np.full(200, 7.0))
    assert np.allclose(inflated, 2.5 * noise, rtol=1e-3)
    assert np.allclose(plain @ plain.T, again @ again.T, atol=1e-3)
