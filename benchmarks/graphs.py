"""How much faster one training epoch is than building the same graphs by Python loops.

The loops below do what public implementations do: for every pair of spots a distance and a functional
similarity. One epoch is forward, backward and optimiser step of the default network with both graphs.

    python benchmarks/graphs.py [--spots 200]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from histoscribe.models.reproducible import one_thread
from histoscribe.predictor.settings import GRAPHS, PredictorSettings
from histoscribe.predictor.training.batches import SpotBatches, TrainingSpots
from histoscribe.predictor.variants.histoscribe import VARIANT

GENES = 250
EPOCHS = 20


def graphs_by_loops(places: torch.Tensor, key: torch.Tensor, query: torch.Tensor, types: torch.Tensor) -> int:
    """Both graphs, one pair of spots at a time; the number of edges found."""
    spatial, functional = [], []
    for i in range(len(places)):
        for j in range(len(places)):
            distance = torch.sqrt(((places[i] - places[j]) ** 2).sum())
            if distance < 3.0:
                spatial.append((i, j))
            similarity = 0.7 * torch.sigmoid(key[i] @ query[j]) + 0.3 * float(types[i] == types[j])
            if similarity > 0.6 or i == j:
                functional.append((i, j))
    return len(spatial) + len(functional)


def main() -> None:
    """Time both on one synthetic section and print the ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spots", type=int, default=200)
    spots = parser.parse_args().spots
    settings, rng = PredictorSettings(graphs=GRAPHS), np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(spots)))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:spots]
    section = TrainingSpots(
        features=rng.normal(size=(spots, settings.components)).astype(np.float32),
        expression=rng.normal(size=(spots, GENES)).astype(np.float32),
        places=places.astype(np.float32),
        types=rng.integers(0, settings.types, spots),
        numbers=np.arange(spots, dtype=np.int64),
        trust=np.ones(spots, dtype=np.float32),
    )

    (batch,) = SpotBatches([section], settings.batch_spots, radius=1.5)
    network = VARIANT.build(settings, settings.components, GENES, seed=0)
    optimiser, _ = VARIANT.optimise(network, settings, EPOCHS + 3)
    seconds = []
    with one_thread():  # as the product trains
        for _ in range(EPOCHS + 3):
            start = time.perf_counter()
            optimiser.zero_grad()
            VARIANT.loss(network, batch, settings).backward()
            optimiser.step()
            seconds.append(time.perf_counter() - start)
    epoch = float(np.median(seconds[3:]))

    key = torch.from_numpy(rng.normal(size=(spots, 256)).astype(np.float32)) / 16
    start = time.perf_counter()
    graphs_by_loops(batch.places, key, key.flip(1), batch.types)
    loops = time.perf_counter() - start
    print(
        json.dumps(
            {
                "spots": spots,
                "epoch_seconds": round(epoch, 5),
                "loop_graphs_seconds": round(loops, 3),
                "ratio": round(loops / epoch, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
