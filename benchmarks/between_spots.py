"""Between spots: what a simulated Visium section teaches itself at 16 µm, beside interpolation.

Run as `python benchmarks/between_spots.py [SEED ...]`. The truth is what the simulation expects within 8 µm
of each place of a 16 µm grid; only places within the array's hull are scored.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from histoscribe.predictor import log_cp10k, predict_itself
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.simulate import simulate_section
from histoscribe.simulate.cells import place_cells
from histoscribe.simulate.fields import stream
from histoscribe.simulate.genes import plan_genes
from histoscribe.simulate.section import PITCH_UM, express
from histoscribe.simulate.tissue import grow_tissue

GENES, SIZE_UM, GRID_UM = 100, 1500.0, 16.0


def kriged(places: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Ordinary kriging with an exponential covariance, length and nugget by leaving spots out."""
    among, to = cdist(places, places) / PITCH_UM, cdist(asked, places) / PITCH_UM
    tried = []
    for length in (1.0, 2.0, 4.0, 8.0):
        for nugget in (0.1, 0.3, 1.0, 3.0, 10.0):
            inverse = np.linalg.inv(np.exp(-among / length) + nugget * np.eye(len(places)))
            mean = inverse.sum(axis=0) @ values / inverse.sum()
            error = float(((inverse @ (values - mean) / np.diag(inverse)[:, None]) ** 2).mean())
            tried.append((error, length, mean + np.exp(-to / length) @ (inverse @ (values - mean))))
    return min(tried, key=lambda one: one[0])[2]


def main(seeds: list[int]) -> None:
    """Print a row for each seed: mean r over genes."""
    print("| seed | spots | places | nearest | linear | kriging | the section itself |")
    print("| --- " * 7 + "|")
    for seed in seeds:
        section = simulate_section(seed, genes=GENES, size_um=SIZE_UM)
        tissue = grow_tissue(seed, section.patient, SIZE_UM)
        cells, plan = place_cells(tissue, seed), plan_genes(GENES).for_patient(section.patient)
        found = predict_itself(section, panel=section.genes, pitch_um=GRID_UM)
        asked, spots = found.centres_um, section.centres_um
        truth = express(
            tissue, cells, plan, asked, GRID_UM, 1.0, 3000.0, stream("truth", seed, section.patient)
        ).truth
        values = log_cp10k(section.table.X).toarray()
        linear = LinearNDInterpolator(spots, values)(asked)
        inside = np.isfinite(linear[:, 0])
        told = {
            "nearest": values[cKDTree(spots).query(asked)[1]],
            "linear": linear,
            "kriging": kriged(spots, values, asked),
            "itself": np.asarray(found.table.X),
        }
        r = {name: gene_correlation(said[inside], truth[inside]).mean() for name, said in told.items()}
        cells_of = " | ".join(f"{value:.3f}" for value in r.values())
        print(f"| {seed} | {len(spots)} | {inside.sum()} | {cells_of} |", flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [0, 1, 2])
