"""Train the predictors that come with the package, and check their size.

Run it as `python scripts/train_bundled_predictors.py DATA`, where DATA holds `her2st/cohort.csv` and
`mob/cohort.csv`. The same data and package versions give the same weights on the same processor.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from histoscribe.models.store import FOLDER, WEIGHTS_FILE
from histoscribe.predictor import Predictor
from histoscribe.section import read_cohort

MOST_BYTES = 20_000_000
# Pictures of tissue go into a model only where its data set's licence allows to pass them on.
MODELS = {
    "her2st-breast": {
        "cohort": "her2st/cohort.csv",
        "tissue": "breast tumour (HER2+)",
        "crops": False,
        "licence": "Research use. Learned from HER2+ breast tumours of Andersson et al., Nature "
        "Communications 2021; their repository (almaan/her2st) states no licence, so no image of theirs is "
        "included.",
    },
    "olfactory-bulb": {
        "cohort": "mob/cohort.csv",
        "tissue": "mouse olfactory bulb",
        "crops": True,
        "licence": "MIT. Weights and reference crops from the olfactory bulb sections of the package "
        "STUtility.",
    },
}


def main() -> None:
    """Train what was named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=list(MODELS))
    given = parser.parse_args()
    for name, about in MODELS.items():
        if given.only not in (None, name):
            continue
        # The card says how it was made, without the place of the data.
        sys.argv[1:] = ["DATA", "--only", name]
        sections = read_cohort(given.data / str(about["cohort"]))
        model = Predictor(seed=0, licence=str(about["licence"]), device="cpu")
        model.fit(sections, encoder="builtin", crops=bool(about["crops"]))
        card = model.save(FOLDER / name, tissue=str(about["tissue"]), technology="Spatial Transcriptomics")
        size = (FOLDER / name / WEIGHTS_FILE).stat().st_size
        if size > MOST_BYTES:
            raise SystemExit(
                f"{name} has {size:,} bytes, more than the {MOST_BYTES:,} that a package may carry"
            )
        r = [scores["r"] for scores in card.held_out.values()]
        sys.stdout.write(
            f"{name}: {size:,} bytes, {len(card.genes)} genes, held-out mean r {sum(r) / len(r):.3f}\n"
        )


if __name__ == "__main__":
    main()
