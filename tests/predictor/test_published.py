from __future__ import annotations

import pytest
import torch

from histoscribe.predictor.variants.published import PublishedNetwork, attend, functional_mask


def a_mask(spots: int) -> torch.Tensor:
    mask = torch.rand(spots, spots) < 0.3
    return mask.fill_diagonal_(True)


@pytest.fixture
def network() -> PublishedNetwork:
    torch.manual_seed(0)
    return PublishedNetwork(12, 9, width=16, heads=4).eval()


def test_attention_over_all_pairs_is_attention_along_the_edges(network: PublishedNetwork) -> None:
    hidden, mask = torch.randn(30, 16), a_mask(30)
    edges = mask.nonzero().T.flip(0)

    told, shares = attend(network.functional, hidden, mask)
    wanted, (index, weights) = network.functional(hidden, edges, return_attention_weights=True)

    torch.testing.assert_close(told, wanted)
    torch.testing.assert_close(shares, weights)
    assert torch.equal(index[1], mask.nonzero()[:, 0])


def test_both_ways_of_attention_teach_the_same(network: PublishedNetwork) -> None:
    hidden, mask = torch.randn(20, 16), a_mask(20)
    layer = network.spatial
    attend(layer, hidden, mask)[0].square().sum().backward()
    dense = {name: value.grad.clone() for name, value in layer.named_parameters() if value.grad is not None}
    layer.zero_grad()
    layer(hidden, mask.nonzero().T.flip(0)).square().sum().backward()

    assert dense.keys() == {"lin.weight", "att_src", "att_dst", "bias"}
    for name, value in layer.named_parameters():
        torch.testing.assert_close(dense[name], value.grad, rtol=1e-4, atol=1e-4)


def test_a_spot_looks_at_itself_and_at_those_alike() -> None:
    key = torch.tensor([[10.0, 0.0], [0.0, 10.0], [-10.0, 0.0]])
    types = torch.tensor([0, 1, 0])

    mask = functional_mask(key, key, types)

    # Products of 0 give 0.35 to other types; the same type adds 0.3, too little where the product is -100.
    assert mask.tolist() == [[True, False, False], [False, True, False], [False, False, True]]
    assert functional_mask(key, key.abs(), types)[0, 2]


def test_a_spot_reads_its_neighbours_and_no_others(network: PublishedNetwork) -> None:
    expression, places = torch.rand(4, 9), torch.tensor([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0]])
    spatial = torch.tensor([[0, 1, 2, 3, 1, 0, 3, 2], [0, 1, 2, 3, 0, 1, 2, 3]])
    types = torch.tensor([0, 1, 2, 3])
    for weight in (network.key.weight, network.query.weight, network.key.bias, network.query.bias):
        torch.nn.init.zeros_(weight)
    changed = expression.clone()
    changed[3] += 1

    with torch.no_grad():
        before, after = (
            network.embed_spots(given, places, types, spatial) for given in (expression, changed)
        )

    moved = (before - after).abs().sum(1) > 1e-6
    assert moved.tolist() == [False, False, True, True]
