"""Train the imputer that comes with the package, on TCGA's primary tumours and paired normals of 11 cancers.

    python scripts/train_bundled_imputer.py DATA [--out src/histoscribe/models/weights/imputer-tcga11]

DATA is the folder of real data. All samples are learned from, so scores of this model on any of them
say nothing; the card's held-out scores are from patients held out inside the training.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from histoscribe.bulk import read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.imputer import Imputer
from histoscribe.progress import Progress

TABLE = "bulk/tcga11_tumor_normal.expr.csv.gz"
LICENCE = (
    "weights: BSD-3-Clause; learned from, and remembering in standardised form, open-access expression of "
    "The Cancer Genome Atlas (NIH Genomic Data Sharing policy), taken from the R package MetaGSCA (GPL)"
)
LARGEST = 20 * 1024**2


def main() -> None:
    """Train, save, and say how long it took and how large it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/histoscribe/models/weights/imputer-tcga11"))
    arguments = parser.parse_args()
    start = time.monotonic()
    path = arguments.data / TABLE
    bulk = with_samples(read_table(path), file_beside(path), roles={"patient": "patient"})
    checkpoint = arguments.out.parent.parent / f".{arguments.out.name}.training"
    progress = Progress(lambda step: sys.stderr.write(f"\r{step.message} {step.done}/{step.total}   "))
    model = Imputer(licence=LICENCE).fit(bulk, checkpoint=checkpoint, progress=progress)
    model.save(
        arguments.out, tissue="tumours of 11 organs and normal tissue", technology="bulk RNA-seq (TCGA)"
    )
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    seconds = time.monotonic() - start
    sys.stdout.write(f"\n{arguments.out}: {len(model.genes):,} genes, {size / 1e6:.1f} MB, {seconds:.0f} s\n")
    if size > LARGEST:
        sys.exit("the model is larger than 20 MB")


if __name__ == "__main__":
    main()
