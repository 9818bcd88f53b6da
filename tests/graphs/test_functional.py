"""The functional graph: weighted, differentiable in both projections, of bounded degree."""

from __future__ import annotations

import pytest
import torch

from histoscribe.errors import SettingError
from histoscribe.graphs import functional_graph


def projections(count: int, width: int = 8, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    key, query = (torch.randn(count, width, generator=generator, requires_grad=True) for _ in range(2))
    return key, query, torch.randint(0, 3, (count,), generator=generator)


@pytest.mark.parametrize("count", [1, 2, 30, 300])
def test_degree_is_bounded_and_everyone_has_its_self_edge(count):
    key, query, types = projections(count)
    edges = functional_graph(key, query, types, degree=7, window=64)
    source, target = edges.index
    own = source == target
    assert own.sum() == count
    assert torch.bincount(target[~own], minlength=count).max() <= 7
    assert ((edges.weight > 0) & (edges.weight <= 1)).all()
    assert len(torch.unique(edges.index, dim=1).T) == edges.index.shape[1]


@pytest.mark.parametrize("count", [40, 300])
def test_gradients_reach_both_projections(count):
    key, query, types = projections(count)
    functional_graph(key, query, types, window=64).weight.sum().backward()
    assert key.grad.abs().sum() > 0
    assert query.grad.abs().sum() > 0


def test_small_graphs_hold_the_best_of_all_pairs():
    key, query, types = projections(50)
    edges = functional_graph(key, query, types, degree=5, quantile=0.0)
    unit = torch.nn.functional.normalize
    score = unit(query, dim=-1) @ unit(key, dim=-1).T + 0.3 * (types[:, None] == types[None])
    score.fill_diagonal_(-torch.inf)
    for target in range(50):
        found = set(edges.index[0][edges.index[1] == target].tolist()) - {target}
        assert found == set(score[target].topk(5).indices.tolist())


def test_threshold_follows_the_quantile():
    key, query, types = projections(200)
    kept = [
        functional_graph(key, query, types, degree=10, quantile=q).index.shape[1] for q in (0.0, 0.5, 0.9)
    ]
    assert kept[0] == 200 * 11
    assert kept[1] == pytest.approx(200 * 6, rel=0.02)
    assert kept[2] == pytest.approx(200 * 2, rel=0.05)


def test_windows_find_most_of_the_strongest_edges():
    centres = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    label = torch.arange(1200) % 20
    noise = torch.randn(1200, 8, generator=torch.Generator().manual_seed(2))
    spots = centres[label] + 0.05 * noise
    edges = functional_graph(spots, spots, label % 3, degree=6, quantile=0.0, window=200)
    source, target = edges.index
    assert (label[source] == label[target]).float().mean() > 0.95


def test_the_same_input_gives_the_same_graph():
    first, second = (functional_graph(*projections(500), window=128) for _ in range(2))
    assert torch.equal(first.index, second.index)
    assert torch.equal(first.weight, second.weight)


@pytest.mark.parametrize("wrong", [{"degree": 0}, {"quantile": 1.0}, {"quantile": -0.1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(SettingError, match="out of range"):
        functional_graph(*projections(10), **wrong)
