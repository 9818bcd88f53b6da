"""Train the generator that comes with the package, on semi-synthetic metastases made from TCGA alone.

    python scripts/train_bundled_generator.py DATA [--out src/histoscribe/models/weights/generator-tcga11]

DATA is the folder of real data. All patients are learned from, so scores of this model on any of them say
nothing; docs/benchmarks/generator.md scores models trained on 60 % of the patients, in twice as many steps.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from histoscribe.generator import Generator
from histoscribe.generator.cohort import join
from histoscribe.progress import Progress
from histoscribe.simulate.metastases import read_tcga11, simulate_metastases

SEED = 2026
MET_STEPS, MIXING_STEPS = 300, 250
LICENCE = (
    "weights: BSD-3-Clause; learned from open-access expression of The Cancer Genome Atlas (NIH Genomic Data "
    "Sharing policy), taken from the R package MetaGSCA (GPL). Its metastases are semi-synthetic: primaries "
    "mixed with normal tissues of TCGA. It has seen no real metastasis and holds no patient's profile"
)
LARGEST = 20 * 1024**2


def main() -> None:
    """Train, save, and say how long it took and how large it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/histoscribe/models/weights/generator-tcga11"))
    arguments = parser.parse_args()
    start = time.monotonic()
    bed = simulate_metastases(read_tcga11(arguments.data), seed=SEED)
    progress = Progress(lambda step: sys.stderr.write(f"\r{step.message} {step.done}/{step.total}   "))
    model = Generator(met_steps=MET_STEPS, mixing_steps=MIXING_STEPS, seed=SEED, licence=LICENCE)
    model.fit(join([bed.train, bed.parents, bed.test]), progress=progress)
    model.save(
        arguments.out,
        tissue="tumours of 11 organs and normal tissue",
        technology="bulk RNA-seq (TCGA), metastases semi-synthetic",
    )
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    sys.stderr.write(f"\n{arguments.out}: {size / 1024**2:.1f} MB, {time.monotonic() - start:.0f} s\n")
    if size > LARGEST:
        raise SystemExit(f"{size:,} bytes are more than the {LARGEST:,} that may come with the package")


if __name__ == "__main__":
    main()
