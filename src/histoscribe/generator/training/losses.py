"""What training minimises: KL divergence, supervised InfoNCE over (cancer, site), and MMD."""

from __future__ import annotations

import torch

_SCALES = (0.5, 1.0, 2.0)


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Of the codes from the standard normal, in nats per sample."""
    total: torch.Tensor = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return total


def positives(
    cancers: torch.Tensor, sites: torch.Tensor, real_cancers: torch.Tensor, real_sites: torch.Tensor
) -> torch.Tensor:
    """Weights of the real samples that each generated one is pulled to; each row sums to 1.

    Those of the same cancer and site; where there are none, those of the same cancer or the same site.

    Returns
    -------
    Tensor of float32, shape (generated, real)
        A row is all 0 where neither cancer nor site is there.
    """
    same_cancer = (cancers[:, None] == real_cancers[None]).float()
    same_site = (sites[:, None] == real_sites[None]).float()
    both = same_cancer * same_site
    either = ((same_cancer + same_site) > 0).float()
    chosen = torch.where(both.sum(1, keepdim=True) > 0, both, either)
    return chosen / chosen.sum(1, keepdim=True).clamp_min(1e-6)


def info_nce(
    codes: torch.Tensor, real: torch.Tensor, weights: torch.Tensor, temperature: float = 0.2
) -> torch.Tensor:
    """Supervised InfoNCE (Khosla et al., 2020) of generated codes against real ones.

    Parameters
    ----------
    codes : Tensor, shape (generated, size)
    real : Tensor, shape (real, size)
    weights : Tensor, shape (generated, real)
        From `positives`.
    """
    centre = real.mean(0, keepdim=True)
    one = torch.nn.functional.normalize(codes - centre, dim=1)
    other = torch.nn.functional.normalize(real - centre, dim=1)
    logged = (one @ other.T / temperature).log_softmax(dim=1)
    matched = weights.sum(1) > 0
    loss: torch.Tensor = -(weights * logged).sum(1)[matched].sum() / matched.sum().clamp_min(1)
    return loss


def mmd(codes: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Squared maximum mean discrepancy, Gaussian kernels at the median distance (Gretton et al., 2012)."""
    whole = torch.cat([codes, real])
    away = torch.cdist(whole, whole).square()
    middle = away.detach().median().clamp_min(1e-6)
    kernel = torch.stack([torch.exp(-away / (scale * middle)) for scale in _SCALES]).mean(0)
    count = len(codes)
    inside, across, beyond = kernel[:count, :count], kernel[:count, count:], kernel[count:, count:]
    distance: torch.Tensor = inside.mean() - 2 * across.mean() + beyond.mean()
    return distance
