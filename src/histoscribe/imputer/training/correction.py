"""Training the correction on rehearsed, held-out answers."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from histoscribe.arrays import Mask, Numbers
from histoscribe.imputer.gates import LEVEL_90, Gates, Rehearsal
from histoscribe.imputer.network import Corrector
from histoscribe.models.reproducible import Drawn, own_process
from histoscribe.models.training import Checkpoints, Optimisation, TrainingOptions, train
from histoscribe.progress import Progress

_BATCH = 32
_KEEP_EVERY = 100
_RATE = 2e-3
_TOLD, _ASKED = 2048, 1024

Batch = tuple[Tensor, ...]


def rehearsal_batches(
    rehearsals: list[Rehearsal], learned: Numbers, genes: int, steps: int, seed: int, first: int
) -> Iterator[Batch]:
    """Yield hidden values: of a random rehearsal random samples, random genes told and asked.

    Of the samples those `learned` from, and of the genes only the first are asked for: those that the table
    rehearsed with has. Each batch follows from the seed, its number and the process alone, so that training
    that goes on at `first` sees what it would have seen.
    """
    process, _ = own_process()
    places = [np.flatnonzero(np.isin(one.rows, learned)) for one in rehearsals]
    for step in range(first, steps):
        random = np.random.default_rng((seed, step, process))
        which = int(random.integers(len(rehearsals)))
        one, own = rehearsals[which], places[which]
        rows = random.choice(own, min(_BATCH, len(own)), replace=False)
        seen = np.flatnonzero(one.observed[rows].any(0))
        told = random.choice(seen, min(_TOLD, len(seen)), replace=False) if len(seen) else seen
        asked = random.choice(genes, min(_ASKED, genes), replace=False)
        yield tuple(gather(one, rows, told, asked))


def gather(one: Rehearsal, rows: NDArray[Any], told: NDArray[Any], asked: NDArray[Any]) -> Iterator[Tensor]:
    """Tensors of one batch: told values, their mask, indices, and what is known of the asked genes."""
    at_told, at_asked = np.ix_(rows, told), np.ix_(rows, asked)
    yield torch.from_numpy(one.truth[at_told].astype(np.float32))
    yield torch.from_numpy(one.observed[at_told])
    yield torch.from_numpy(np.asarray(told, dtype=np.int64))
    yield torch.from_numpy(np.asarray(asked, dtype=np.int64))
    for part in (one.gaussian, one.memory, one.truth):
        yield torch.from_numpy(part[at_asked].astype(np.float32))
    yield torch.from_numpy(one.scored[at_asked])
    yield torch.from_numpy(one.surprise[rows])
    yield torch.tensor([one.mode, one.knot])


class Correction(torch.nn.Module):
    """Gaussian likelihood of the hidden values around the blended expectation plus the correction."""

    def __init__(self, corrector: Corrector, gates: Gates) -> None:
        super().__init__()
        self.corrector, self.gates = corrector, gates

    def loss(self, batch: Batch, _step: int = 0) -> Tensor:
        """Negative log likelihood of one batch."""
        base, spread = self.blended(batch)
        shift, widening = self.shift(batch)
        missed, scored = batch[6] - base - shift, batch[7]
        loss = 0.5 * (missed / (spread * widening.exp())).square() + widening
        total: Tensor = (loss * scored).sum() / scored.sum().clamp_min(1)
        return total

    def shift(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The correction itself."""
        values, observed, told, asked, gaussian, memory = batch[:6]
        latents = self.corrector.encode(values, observed, told)
        return self.corrector.decode(latents, asked, memory - gaussian)

    def blended(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The gates' mean and spread of the asked genes."""
        asked, gaussian, memory, surprise, place = batch[3], batch[4], batch[5], batch[8], batch[9]
        at = int(place[0]), int(place[1])
        above = surprise.clamp_min(1e-3).log()[:, None] - self.gates.usual[at]
        factor = (self.gates.slope[at] * above).exp().clamp(0.3, 5.0)
        mean = gaussian + self.gates.gate[at] * (memory - gaussian)
        return mean, self.gates.spread[at][asked] * factor

    def optimise(self, steps: int) -> Optimisation:
        """AdamW with one cycle; the gene embedding, which starts well, learns slowly."""
        slow = [self.corrector.tokens.identity]
        fast = [p for p in self.corrector.parameters() if p is not slow[0]]
        groups = [{"params": fast}, {"params": slow}]
        optimiser = torch.optim.AdamW(groups, lr=_RATE, weight_decay=0.02)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, [_RATE, _RATE / 10], total_steps=max(steps, 2))
        return optimiser, cycle


def train_corrector(
    corrector: Corrector,
    gates: Gates,
    rehearsals: list[Rehearsal],
    held: Mask,
    options: TrainingOptions,
    progress: Progress,
    checkpoint: Path | None,
) -> None:
    """Train the correction on some patients and weigh it, in place, on the others.

    `held` (training samples,): those that only weigh: how far the correction is taken at each knot
    (`gates.share`) is what helps them, and nothing where it does not. `checkpoint`: a folder that keeps the
    state of the training every 100 steps; where it holds one of the same data and settings, training goes on
    from there.
    """
    steps, seed = options.steps, options.seed or 0
    rows = np.flatnonzero(~held)
    kept = None
    if checkpoint is not None:  # named after all that training depends on
        digest = hashlib.sha256(repr((options, torch.__version__)).encode())
        digest.update(rows.tobytes())
        for one in rehearsals:
            digest.update(one.truth.tobytes())
            digest.update(one.memory.tobytes())
        kept = Checkpoints(checkpoint / digest.hexdigest()[:16], _KEEP_EVERY)
    first = 0 if kept is None else kept.step
    data = Drawn(rehearsal_batches, rehearsals, rows, gates.own, steps, seed, first)
    correction, options = Correction(corrector, gates), replace(options, checkpoints=kept)
    loader, optimise = DataLoader(data, batch_size=None), partial(correction.optimise, steps)
    train(correction, loader, loss=correction.loss, optimise=optimise, options=options, progress=progress)
    with torch.no_grad():
        for one in rehearsals:
            _weigh(correction, one, np.flatnonzero(np.isin(one.rows, np.flatnonzero(held))))


def _weigh(correction: Correction, one: Rehearsal, places: Numbers) -> None:
    """Set share and, where there is a correction, recalibrate the spread at one knot."""
    at = (one.mode, one.knot)
    genes = np.arange(one.truth.shape[1])
    gain, power = 0.0, 0.0
    kept = []
    for start in range(0, len(places), _BATCH):
        rows = places[start : start + _BATCH]
        batch = tuple(gather(one, rows, np.flatnonzero(one.observed[rows].any(0)), genes))
        mean, spread = correction.blended(batch)
        shift, widening = correction.shift(batch)
        scored = batch[7]
        missed = (batch[6] - mean)[scored]
        gain += float((missed * shift[scored]).sum())
        power += float(shift[scored].square().sum())
        kept.append((missed, shift[scored], widening[scored], spread[scored]))
    share = gain / power if power > 0 else 0.0
    share = min(share, 1.0) if share > 0.1 else 0.0
    correction.gates.share[at] = share
    if kept and share > 0:
        missed, shift, widening, spread = (torch.cat(part) for part in zip(*kept, strict=True))
        ratio = ((missed - share * shift).abs() / (spread * (share * widening).exp())).numpy()
        correction.gates.spread[at] *= max(float(np.quantile(ratio, 0.9)) / LEVEL_90, 1e-3)
