"""Training on folds of whole patients: what pools, how long it learns, and what it answers on new ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from histoscribe.arrays import Numbers, Wide
from histoscribe.labeller.labels import Label, columns_of
from histoscribe.labeller.network import Pooling, SlideNetwork
from histoscribe.labeller.prior import Prior, smoothing_of
from histoscribe.models.reproducible import Drawn, seeded
from histoscribe.models.training import Optimisation, TrainingOptions, train
from histoscribe.progress import Progress

FOLDS, STAGES = 5, 8
_BAGS, _TILES = 8, 256
_RATE, _DECAY = {"mean": 3e-3, "attention": 3e-3, "transformer": 1e-3}, 0.05


@dataclass(frozen=True)
class Plan:
    """One way of learning."""

    pooling: Pooling
    prior: bool = False
    """Whether related labels borrow from each other."""

    def __str__(self) -> str:
        return f"{self.pooling}{' with the prior' * self.prior}"


@dataclass(frozen=True, eq=False)
class Attempt:
    """A plan, carried out on every fold and looked at in stages."""

    plan: Plan
    states: list[list[dict[str, Tensor]]]
    """Weights of each fold's network at each stage."""
    answers: Wide
    """On the fold that a network has not seen, shape (stages, slides, outputs)."""
    losses: Wide
    """Of these, shape (stages, folds)."""


def tile_batches(
    bags: Sequence[Tensor], learned: Numbers, steps: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some tiles of some slides (bags, tiles, inputs), and the rows of these slides."""
    random, order = np.random.default_rng(seed), list[int]()
    for _ in range(steps):
        while len(order) < _BAGS:
            order += random.permutation(learned).tolist()
        rows, order = order[:_BAGS], order[_BAGS:]
        some = [bags[row][random.integers(0, len(bags[row]), _TILES)] for row in rows]
        yield torch.stack(some).float(), torch.tensor(rows)


def try_out(
    plan: Plan,
    bags: Sequence[Tensor],
    labels: Sequence[Label],
    fold: Numbers,
    prior: Prior | None,
    *,
    steps: int,
    seed: int,
    device: str,
    progress: Progress,
) -> Attempt:
    """Train one network a fold, each on the patients of the other folds; `bags`: tiles of each slide."""
    folds, every = np.unique(fold), -(-steps // STAGES)
    answers = np.zeros((STAGES, len(bags), columns_of(labels)[-1].stop))
    states, losses = [], np.zeros((STAGES, len(folds)))
    for place, one in enumerate(folds):
        out, inside = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
        graph = np.zeros((len(labels),) * 2) if prior is None or not plan.prior else prior(inside)
        with seeded(seed + place):
            smoothing = torch.from_numpy(smoothing_of(graph, labels))
            network = SlideNetwork(bags[0].shape[1], plan.pooling, smoothing)
        own = _Fold(network, bags, labels, out, every)
        told, long = f"learning by {plan}, fold {place + 1} of {len(folds)}", every * STAGES
        options = TrainingOptions(told, long, seed + place, device=device, clip=1.0, report_every=10)
        network.train()
        optimiser = torch.optim.AdamW(network.parameters(), _RATE[plan.pooling], weight_decay=_DECAY)
        optimise = partial(_as_it_is, optimiser)
        data = DataLoader(Drawn(tile_batches, bags, inside, long, seed + place), batch_size=None)
        train(network, data, loss=own.loss, optimise=optimise, options=options, progress=progress)
        own.look()
        answers[:, out], losses[:, place] = np.stack(own.answers), own.losses
        states.append(own.states)
    return Attempt(plan, states, answers, losses)


def _as_it_is(optimiser: torch.optim.Optimizer) -> Optimisation:
    return optimiser, None


class _Fold:
    """The training of one network, which is looked at on its fold in stages."""

    def __init__(
        self, network: SlideNetwork, bags: Sequence[Tensor], labels: Sequence[Label], out: Numbers, every: int
    ) -> None:
        self.network, self.bags, self.out, self.labels, self.every = network, bags, out, labels, every
        self.targets = torch.from_numpy(np.column_stack([label.values for label in labels]))
        self.weights, inside = torch.zeros_like(self.targets), np.delete(np.arange(len(bags)), out)
        self.weights[inside] = weights_of(self.targets[inside], labels)
        self.states, self.answers, self.losses = list[dict[str, Tensor]](), list[Wide](), list[float]()

    def loss(self, batch: tuple[Tensor, Tensor], step: int) -> Tensor:
        if step and step % self.every == 0:
            self.look()
        tiles, rows = batch[0], batch[1].cpu()
        targets, weights = self.targets[rows].to(tiles), self.weights[rows].to(tiles)
        return loss_of(self.network(tiles), targets, weights, self.labels)

    def look(self) -> None:
        """Keep the weights, and what they answer on the fold."""
        network = self.network.eval()
        told = torch.stack([network.answer(self.bags[row]) for row in self.out]).double()
        asked = self.targets[self.out]
        self.answers.append(told.numpy())
        self.losses.append(float(loss_of(told, asked, weights_of(asked, self.labels), self.labels)))
        state = network.state_dict()
        self.states.append({name: value.detach().cpu().clone() for name, value in state.items()})
        network.train()


def weights_of(targets: Tensor, labels: Sequence[Label]) -> Tensor:
    """What each slide counts for each label: the same in all for each class, 0 where it is not known."""
    found = torch.zeros_like(targets)
    for place, label in enumerate(labels):
        own = targets[:, place]
        known = ~own.isnan()
        if label.classes:
            number = own[known].long().bincount(minlength=len(label.classes)).double()
            found[known, place] = (len(own) / (number > 0).sum() / number.clamp(min=1))[own[known].long()]
        else:
            found[known, place] = len(own) / max(int(known.sum()), 1)
    return found


def loss_of(answers: Tensor, targets: Tensor, weights: Tensor, labels: Sequence[Label]) -> Tensor:
    """Mean over labels of cross entropy, or of squared error for numbers, weighted."""
    total = answers.new_zeros(())
    wanted = targets.nan_to_num()
    for place, (label, columns) in enumerate(zip(labels, columns_of(labels), strict=True)):
        own, asked = answers[:, columns], wanted[:, place]
        if len(label.classes) > 2:
            each = functional.cross_entropy(own, asked.long(), reduction="none")
        elif label.classes:
            each = functional.binary_cross_entropy_with_logits(own[:, 0], asked, reduction="none")
        else:
            each = (own[:, 0] - asked) ** 2
        total = total + (each * weights[:, place]).sum()
    return total / (len(answers) * len(labels))


def share_out(labels: Sequence[Label], patients: Sequence[str], seed: int) -> Numbers:
    """The fold of each slide: whole patients, rare classes first, so that each fold has its share of all."""
    names, which = np.unique(np.asarray(patients), return_inverse=True)
    member = np.column_stack([label.member for label in labels])
    own = np.zeros((len(names), member.shape[1]))
    np.maximum.at(own, which, member)
    rare = own / np.maximum(own.sum(0), 1)
    random = np.random.default_rng(seed)
    load, size, fold = np.zeros((FOLDS, own.shape[1])), np.zeros(FOLDS), np.zeros(len(names), dtype=np.int64)
    for one in np.lexsort((random.random(len(names)), -rare.max(1))):
        cost = load @ rare[one] + 1e-6 * size + 1e-9 * random.random(FOLDS)
        fold[one] = best = int(cost.argmin())
        load[best] += own[one]
        size[best] += 1
    return np.asarray(fold[which], dtype=np.int64)
