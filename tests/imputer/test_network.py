from __future__ import annotations

import torch

from histoscribe.imputer.network import WIDTH, Corrector, Tokens, identities_from


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


def test_levels_are_binned_in_order_and_cut_at_the_ends() -> None:
    bins = Tokens.bins(torch.tensor([-99.0, -3.0, 0.0, 3.0, 99.0]))
    assert bins.tolist() == [0, 0, 8, 15, 15]


def test_identities_come_from_the_covariance() -> None:
    loadings = torch.randn(30, 4)
    identities = identities_from(loadings)
    assert identities.shape == (30, WIDTH)
    assert torch.allclose(identities.square().mean(), torch.tensor(1.0), atol=1e-4)
    likeness, truth = identities @ identities.T, loadings @ loadings.T
    assert torch.corrcoef(torch.stack([likeness.ravel(), truth.ravel()]))[0, 1] > 0.999
