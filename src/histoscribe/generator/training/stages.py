"""Training in stages: the MetVAE on metastases, then source encoder and mixer; and what each minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from histoscribe.generator.metgen import MetGen
from histoscribe.generator.network import MetVAE
from histoscribe.generator.training.batches import Batch
from histoscribe.models.reproducible import Drawn
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.models.training import Loss, Optimisation, TrainingOptions

_TEMPERATURE = 0.2
_SCALES = (0.5, 1.0, 2.0)
_DIVERGENCE = 0.02
_WARMING = 0.4
_RATE = 1e-3


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Of the codes from the standard normal, in nats per sample."""
    total: Tensor = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return total


def positives(cancers: Tensor, sites: Tensor, real_cancers: Tensor, real_sites: Tensor) -> Tensor:
    """Weights (generated, real) of the real samples that each generated one is pulled to; rows sum to 1.

    Those of the same cancer and site; where there are none, those of the same cancer or the same site; a row
    is all 0 where neither is there.
    """
    same_cancer = (cancers[:, None] == real_cancers[None]).float()
    same_site = (sites[:, None] == real_sites[None]).float()
    both = same_cancer * same_site
    either = ((same_cancer + same_site) > 0).float()
    chosen = torch.where(both.sum(1, keepdim=True) > 0, both, either)
    return chosen / chosen.sum(1, keepdim=True).clamp_min(1e-6)


def info_nce(codes: Tensor, real: Tensor, weights: Tensor) -> Tensor:
    """Supervised InfoNCE (Khosla et al., 2020) of generated codes against real ones, by `positives`."""
    centre = real.mean(0, keepdim=True)
    one = torch.nn.functional.normalize(codes - centre, dim=1)
    other = torch.nn.functional.normalize(real - centre, dim=1)
    logged = (one @ other.T / _TEMPERATURE).log_softmax(dim=1)
    matched = weights.sum(1) > 0
    loss: Tensor = -(weights * logged).sum(1)[matched].sum() / matched.sum().clamp_min(1)
    return loss


def mmd(codes: Tensor, real: Tensor) -> Tensor:
    """Squared maximum mean discrepancy, Gaussian kernels at the median distance (Gretton et al., 2012)."""
    whole = torch.cat([codes, real])
    away = torch.cdist(whole, whole).square()
    middle = away.detach().median().clamp_min(1e-6)
    kernel = torch.stack([torch.exp(-away / (scale * middle)) for scale in _SCALES]).mean(0)
    count = len(codes)
    inside, across, beyond = kernel[:count, :count], kernel[:count, count:], kernel[count:, count:]
    distance: Tensor = inside.mean() - 2 * across.mean() + beyond.mean()
    return distance


def metvae_loss(network: MetVAE, batch: Batch, warm: float) -> Tensor:
    """Squared error of the profile, KL divergence as far as it is warmed up (0 to 1), and the two heads."""
    profiles, pairs = batch
    mean, log_variance = network.encode(profiles)
    codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    error = (network.decode(codes) - profiles).square().mean(1).mean()
    loss: Tensor = error + warm * _DIVERGENCE * kl_divergence(mean, log_variance) / mean.shape[1]
    for head, column in ((network.cancer, 0), (network.site, 1)):
        loss = loss + 0.1 * nn.functional.cross_entropy(head(codes), pairs[:, column])
    return loss


class ContrastiveLearner(nn.Module):
    """Mixed codes are pulled to real codes of the same cancer and site; the MetVAE is frozen.

    Beside InfoNCE: MMD, so that the codes are spread as real ones are; the heads of the MetVAE; and
    fidelity: differences among the mixed codes are those among the codes of the parents' linear
    mixtures, which keeps each parent's own features and the asked purity. What all metastases have
    beyond the mixtures is left free.
    """

    def __init__(self, model: MetGen) -> None:
        super().__init__()
        self.source, self.mixer = model.source, model.mixer
        self.met = model.met.eval().requires_grad_(False)

    def loss(self, batch: Batch, _step: int = 0) -> Tensor:
        """Loss of one batch."""
        primary, normal, mixed, purity, pairs, real, real_pairs = batch
        codes = self.mixer(self.source(primary, 0), self.source(normal, 1), purity)
        with torch.no_grad():
            target, _ = self.met.encode(mixed)
        weights = positives(pairs[:, 0], pairs[:, 1], real_pairs[:, 0], real_pairs[:, 1])
        faithful = ((codes - codes.mean(0)) - (target - target.mean(0))).square().mean()
        heads = nn.functional.cross_entropy(self.met.cancer(codes), pairs[:, 0])
        heads = heads + nn.functional.cross_entropy(self.met.site(codes), pairs[:, 1])
        apart: Tensor = (codes.mean(0) - real.mean(0)).square().mean()
        loss: Tensor = (
            0.05 * info_nce(codes, real, weights) + 2.0 * mmd(codes, real) + 0.02 * heads + faithful
        )
        return loss + 0.1 * apart


def train_metvae(model: MetGen, batches: Drawn[Batch], options: TrainingOptions, progress: Progress) -> None:
    """Train the MetVAE, in place, on `metastasis_batches`."""

    def loss(batch: Batch, step: int) -> Tensor:
        return metvae_loss(model.met, batch, min(1.0, (step + 1) / (_WARMING * options.steps)))

    _train(model.met, batches, loss, list(model.met.parameters()), options, progress)
    model.eval()


def train_mixer(model: MetGen, batches: Drawn[Batch], options: TrainingOptions, progress: Progress) -> None:
    """Train source encoder and mixer, in place, on `mixture_batches`; the MetVAE is frozen."""
    model.train()
    learner = ContrastiveLearner(model)
    learned = [*model.source.parameters(), *model.mixer.parameters()]
    _train(learner, batches, learner.loss, learned, options, progress)
    model.eval().requires_grad_(False)


def _train(
    network: nn.Module,
    batches: Drawn[Batch],
    loss: Loss,
    learned: list[nn.Parameter],
    options: TrainingOptions,
    progress: Progress,
) -> None:
    """AdamW with a cosine fall."""
    from histoscribe.models.training import train

    def optimise() -> Optimisation:
        optimiser = torch.optim.AdamW(learned, lr=_RATE, weight_decay=1e-3)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps, _RATE / 50)
        return optimiser, fall

    data = DataLoader(batches, batch_size=None)
    train(network, data, loss=loss, optimise=optimise, options=options, progress=progress)
