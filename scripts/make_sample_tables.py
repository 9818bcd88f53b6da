"""Make the tables of samples among the sample data: six invented breast tumours, whole and as a panel.

    python scripts/make_sample_tables.py [--out sample_data]

Each is the mean breast primary of the bundled generator mixed with its mean normal breast at a drawn purity,
with random deviations of each gene: nobody's profile. Values are log2 of abundance. `primary.csv` has all of
the model's genes, `panel.csv` every third of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from histoscribe.generator.parents import mix
from histoscribe.models import bundled

SAMPLES, SEED, DEVIATION = 6, 2026, 0.4
PURITY = (0.6, 0.9)
EVERY = 3


def main() -> None:
    """Write both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("sample_data"))
    folder = parser.parse_args().out
    model = bundled("generator-tcga11")
    card = json.loads((model / "card.json").read_text())
    weights = load_file(model / "weights.safetensors")
    stored = {name: values.astype(np.float32) for name, values in weights.items()}
    random = np.random.default_rng(SEED)
    tumour = stored["primary_mean"][card["settings"]["cancers"].index("BRCA")]
    normal = stored["normal_mean"][card["settings"]["sites"].index("breast")]
    purity = random.uniform(*PURITY, SAMPLES).astype(np.float32)
    mixed = mix(np.tile(tumour, (SAMPLES, 1)), np.tile(normal, (SAMPLES, 1)), purity)
    values = mixed + random.normal(0, DEVIATION * stored["standard.sd"], mixed.shape)
    names = [f"T{number + 1}" for number in range(SAMPLES)]
    table = pd.DataFrame(np.maximum(values, 0).T, index=pd.Index(card["genes"], name="gene"), columns=names)
    table.to_csv(folder / "primary.csv", float_format="%.2f")
    table.iloc[::EVERY].to_csv(folder / "panel.csv", float_format="%.2f")


if __name__ == "__main__":
    main()
