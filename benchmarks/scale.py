"""Time and memory of training on many spots.

    python benchmarks/scale.py [--spots 10000 100000 1000000] [--json]

Sections of 4,000 spots with 336 descriptors and 500 genes are made on disk: expression follows what the
descriptors show of a spot and its neighbours, with Poisson counts. Each size is trained in a process of its
own and scored on one more section of another patient. Peak memory is what the process held at most, mapped
files included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from histoscribe.graphs import context_means
from histoscribe.predictor import Predictor, panel_expression
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.ensemble import gene_correlation

SPOTS, DESCRIPTORS, GENES, FACTORS = 4000, 336, 500, 12
PITCH_UM = 100.0


def made_section(number: int, folder: Path) -> EncodedSection:
    """A section whose descriptors lie in a file."""
    shared, own = np.random.default_rng(0), np.random.default_rng(number + 1)
    seen, written = shared.normal(size=(FACTORS, DESCRIPTORS)), shared.normal(size=(FACTORS, GENES))
    side = int(np.ceil(np.sqrt(SPOTS)))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:SPOTS] * PITCH_UM
    factors = own.normal(size=(SPOTS, FACTORS)).astype(np.float32)
    factors += 2 * context_means(factors, places, PITCH_UM, (3.0,))
    noise = own.normal(scale=4, size=(SPOTS, DESCRIPTORS))
    path = folder / f"{number}.npy"
    np.save(path, (factors @ seen + noise).astype(np.float32))
    level = np.exp(0.3 * factors @ written + own.normal(scale=0.1, size=GENES) - 3)
    counts = csr_array(own.poisson(level).astype(np.float32))
    return EncodedSection(
        name=f"section {number}", patient=f"patient {number // 2}", features=np.load(path, mmap_mode="r"),
        centres_um=places, pitch_um=PITCH_UM, counts=counts, genes=[f"gene {gene}" for gene in range(GENES)],
    )  # fmt: skip


def one(spots: int) -> dict[str, float]:
    """Train on so many spots."""
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), max(2, round(spots / SPOTS))
        sections = [made_section(number, folder) for number in range(count)]
        before = _peak_gib()
        wall, work = time.perf_counter(), time.process_time()
        predictor = Predictor(device="cpu").fit_encoded(sections)
        wall, work = time.perf_counter() - wall, time.process_time() - work
        peak = _peak_gib()
        new = made_section(count + 1, folder)
        told = predictor.predict_encoded(np.asarray(new.features), new.centres_um)
        r = gene_correlation(told, panel_expression(new, predictor.genes)).mean()
    return {
        "spots": count * SPOTS, "seconds": wall, "processor_seconds": work, "peak_gib": peak,
        "before_gib": before, "r": float(r),
    }  # fmt: skip


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spots", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true", help="one JSON object, nothing else")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one)))
        return
    rows = []
    for spots in asked.spots:
        command = [sys.executable, __file__, "--one", str(spots)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout))
        if not asked.json:
            row = rows[-1]
            print(
                f"{row['spots']:>9,} spots: {row['seconds']:7.0f} s, of processor time "
                f"{row['processor_seconds']:.0f} s, peak {row['peak_gib']:.2f} GiB, "
                f"r on a new patient {row['r']:.3f}",
                flush=True,
            )
    if asked.json:
        print(json.dumps({"training": rows}))


if __name__ == "__main__":
    main()
