from __future__ import annotations

import numpy as np
import torch

from histoscribe.imputer.gates import KNOTS, Gates
from histoscribe.imputer.gaussian import GaussianStart, fit_factors
from histoscribe.imputer.network import WIDTH, Corrector
from histoscribe.imputer.reference import ReferenceMemory, choose_references
from histoscribe.imputer.training.filled import FilledTable, GaussianOptions, assign_folds


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


def test_the_memory_knows_what_it_has_seen() -> None:
    samples = torch.randn(50, 12)
    observed = torch.ones(50, 12, dtype=torch.bool)
    offered = torch.arange(12) < 9
    values, surprise = ReferenceMemory(samples).read(samples, observed & offered, offered)
    assert (values - samples).square().mean() < 0.05
    assert (surprise < 0.01).all()


def test_references_are_bounded() -> None:
    assert len(choose_references(np.zeros(10, dtype=int), 20, 0)) == 10
    chosen = choose_references(np.repeat([-1, 0], [100, 15]), 20, 0)
    assert len(set(chosen.tolist())) == 20
    assert set(range(100, 115)) <= set(chosen.tolist())


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


def test_patients_are_never_split() -> None:
    folds = assign_folds(["a", "a", "b", "c", "c", "d"], 3, 0)
    assert folds[0] == folds[1]
    assert folds[3] == folds[4]


def test_the_correction_starts_as_none_and_ignores_what_is_hidden() -> None:
    torch.manual_seed(0)
    network = Corrector(torch.randn(10, WIDTH)).eval()
    values, observed, genes = torch.randn(3, 10), torch.rand(3, 10) < 0.7, torch.arange(10)
    observed[:, 0] = True
    latents = network.encode(values, observed, genes)
    shift, widening = network.decode(latents, genes[:4], torch.ones(3, 4))
    assert shift.abs().max() == 0
    assert widening.abs().max() == 0
    changed = torch.where(observed, values, 99.0)
    assert torch.allclose(latents, network.encode(changed, observed, genes))


def test_looking_up_between_knots_is_continuous() -> None:
    gates = Gates(5)
    gates.gate[0] = torch.linspace(0, 1, len(KNOTS[0]))
    observed = torch.ones(1, 5, dtype=torch.bool)
    gate, share, spread = gates.look_up(0, observed, torch.ones(1))
    assert gate.item() == 1.0
    assert share.item() == 0.0
    assert spread.shape == (1, 5)


def test_held_out_samples_have_no_say_in_what_is_remembered() -> None:
    random = np.random.default_rng(0)
    blocks = np.ones((60, 12), dtype=bool)
    blocks[:20, 8:] = False
    folds = np.repeat([-1, 0, 1], 20)
    memories = []
    for scale in (1.0, -3.0):
        filled = np.random.default_rng(1).normal(size=(60, 12)).astype(np.float32)
        filled[folds == 1] *= scale
        filled[~blocks] = random.normal(size=80)
        lesson, train, choice = (
            FilledTable(filled, blocks, blocks, folds, 0),
            folds != 1,
            GaussianOptions(2, 1.0, 0.1),
        )
        memories.append(lesson.memory(train, choice, 100, lesson.start(train, choice)).samples)
    assert torch.equal(*memories)
    assert len(memories[0]) == 40
