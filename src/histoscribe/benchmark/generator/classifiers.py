"""Dense classifiers of profiles: what recognises cancer, site and subtype."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

_HIDDEN = 128
_BATCH = 128


class DenseClassifier:
    """One hidden layer on standardised genes, trained with dropout.

    Parameters
    ----------
    steps : int
    seed : int
    """

    def __init__(self, *, steps: int = 400, seed: int = 0) -> None:
        self.steps, self.seed = steps, seed

    def fit(self, values: NDArray[np.float32], labels: NDArray[np.str_]) -> DenseClassifier:
        """Learn from profiles, shape (samples, genes), and a label each."""
        self.classes, places = np.unique(labels, return_inverse=True)
        self.mean, self.sd = values.mean(0), np.maximum(values.std(0), 0.1)
        torch.manual_seed(self.seed)
        random = np.random.default_rng(self.seed)
        self.network = torch.nn.Sequential(
            torch.nn.Dropout(0.2), torch.nn.Linear(values.shape[1], _HIDDEN), torch.nn.ReLU(),
            torch.nn.Dropout(0.4), torch.nn.Linear(_HIDDEN, len(self.classes)),
        )  # fmt: skip
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, weight_decay=1e-2)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        wanted = torch.from_numpy(places.astype(np.int64))
        for _ in range(self.steps):
            rows = random.integers(len(values), size=min(_BATCH, len(values)))
            loss = torch.nn.functional.cross_entropy(self.network(self._units(values[rows])), wanted[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            fall.step()
        self.network.eval()
        return self

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.str_]:
        """The likeliest label of each profile."""
        with torch.inference_mode():
            found = self.network(self._units(values)).argmax(1).numpy()
        return np.asarray(self.classes[found])

    def _units(self, values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.clip((values - self.mean) / self.sd, -8, 8).astype(np.float32))
