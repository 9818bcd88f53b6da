"""Make the classifier that comes with the package: the bundled imputer's samples with their labels.

    python scripts/train_bundled_classifier.py DATA [--out src/histoscribe/models/weights/classifier-tcga11]

DATA is the folder of real data. All samples are remembered: what it says of any of them is no score.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from histoscribe.bulk import read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.classifier import Classifier
from histoscribe.models import bundled, read_card

MEMORY, TABLE = "imputer-tcga11", "bulk/tcga11_tumor_normal.expr.csv.gz"


def main() -> None:
    """Label, and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/histoscribe/models/weights/classifier-tcga11"))
    given = parser.parse_args()
    path = given.data / TABLE
    about = with_samples(read_table(path), file_beside(path)).table.obs
    card = read_card(bundled(MEMORY))
    known = about.loc[list(card.sections)]
    tumour = (known["sample_type"] == "primary_tumor").to_numpy()
    labels = [
        str(cancer) if own else f"normal tissue beside {cancer}"
        for cancer, own in zip(known["cancer"], tumour, strict=True)
    ]
    model = Classifier(licence=card.licence).fit(MEMORY, labels)
    model.save(given.out, tissue="tumours of 11 organs and normal tissue", technology="bulk RNA-seq (TCGA)")


if __name__ == "__main__":
    main()
