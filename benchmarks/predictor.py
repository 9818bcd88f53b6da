"""Speed and memory of the predictor: training, predicting, retrieving, as one JSON object.

`python benchmarks/predictor.py train DATA` trains the default on the 5 HER2+ sections of
DATA/her2st/cohort.csv, tiles described beforehand. `predict` predicts 5,000 tiles × 1,000 genes from
descriptors; `memory` does so at three sizes, each in a process of its own; `retrieve` looks for the top 200
of 1 million reference spots × 256.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (20_000, 40_000, 80_000)


def train(data: Path) -> dict[str, Any]:
    """Seconds of `fit_encoded` on five sections."""
    from histoscribe.features import encoder_named
    from histoscribe.predictor import Predictor, encode_section
    from histoscribe.section import read_cohort

    encoder = encoder_named("builtin")
    sections = [encode_section(section, encoder) for section in read_cohort(data / "her2st" / "cohort.csv")]
    start, used = time.perf_counter(), time.process_time()
    Predictor(seed=0, device="cpu").fit_encoded(sections)
    return {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - used}


def predict(tiles: int, genes: int) -> dict[str, Any]:
    """Seconds of `predict_encoded` for a dense grid by a model of 1,000 reference spots."""
    from histoscribe.predictor import EncodedSection, Predictor

    rng = np.random.default_rng(0)

    def section(name: str, side: int) -> EncodedSection:
        places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) * 100.0
        hidden = np.sin(places @ rng.uniform(0.002, 0.01, (2, 6)))
        features = hidden @ rng.normal(size=(6, 336)) + rng.normal(size=(side**2, 336))
        counts = rng.poisson(np.exp(0.3 * hidden @ rng.normal(size=(6, genes)))).astype(np.float32)
        names = [f"G{number}" for number in range(genes)]
        return EncodedSection(name, name, features.astype(np.float32), places, 100.0, counts, names)

    sections = [section("A", 22), section("B", 22)]
    model = Predictor(seed=0, device="cpu", panel_size=genes, epochs=5).fit_encoded(sections)
    side = int(np.ceil(np.sqrt(tiles)))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:tiles] * 100.0
    features = rng.normal(size=(tiles, 336)).astype(np.float32)
    model.predict_encoded(features[:200], places[:200])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, used = time.perf_counter(), time.process_time()
    model.predict_encoded(features, places)
    return {
        "tiles": tiles,
        "genes": genes,
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_mb_before": before / 1024,
    }


def memory() -> list[dict[str, Any]]:
    """`predict` at three sizes of 250 genes, each in a fresh process."""
    found = []
    for tiles in SIZES:
        command = [sys.executable, __file__, "predict", "--tiles", str(tiles), "--genes", "250"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return found


def retrieve(references: int) -> dict[str, Any]:
    """Exact search beside the bare product of the matrices in the same blocks, the middle of three runs."""
    from threadpoolctl import threadpool_info

    from histoscribe.predictor.retrieval.gallery import retrieve as search

    rng = np.random.default_rng(0)
    keys, queries = (rng.standard_normal((count, 256), dtype=np.float32) for count in (references, 1000))

    def multiply() -> None:
        for block in range(0, len(keys), 16_384):
            queries @ keys[block : block + 16_384].T

    product, exact = _timed(multiply), _timed(lambda: search(queries, keys, 200))
    return {
        "references": references,
        "threads": {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()},
        "product": product,
        "exact": exact,
        "ratio": exact["seconds"] / product["seconds"],
    }


def _timed(job: Callable[[], Any]) -> dict[str, float]:
    """Middle of three runs, in seconds of the clock and of the processor."""
    spent = []
    for _ in range(3):
        start, used = time.perf_counter(), time.process_time()
        job()
        spent.append((time.perf_counter() - start, time.process_time() - used))
    clock, processor = (sorted(column)[1] for column in zip(*spent, strict=True))
    return {"seconds": clock, "processor_seconds": processor}


def main() -> None:
    """Measure one thing and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["train", "predict", "memory", "retrieve"])
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--tiles", type=int, default=5000)
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--references", type=int, default=1_000_000)
    given = parser.parse_args()
    found: Any
    match given.what:
        case "train":
            found = train(given.data)
        case "predict":
            found = predict(given.tiles, given.genes)
        case "memory":
            found = memory()
        case _:
            found = retrieve(given.references)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
