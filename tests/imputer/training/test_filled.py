from __future__ import annotations

import numpy as np
import torch
from anndata import AnnData

from histoscribe.bulk import as_table
from histoscribe.imputer.training.fitting import FilledTable, GaussianOptions, fill_table
from histoscribe.imputer.training.table import prepare


def test_held_out_samples_have_no_say_in_what_is_remembered() -> None:
    random = np.random.default_rng(0)
    blocks = np.ones((60, 12), dtype=bool)
    blocks[:20, 8:] = False
    folds = np.repeat([-1, 0, 1], 20)
    memories = []
    for scale in (1.0, -3.0):
        filled = np.random.default_rng(1).normal(size=(60, 12)).astype(np.float32)
        filled[folds == 1] *= scale
        filled[~blocks] = random.normal(size=80)
        lesson, train, choice = (
            FilledTable(filled, blocks, blocks, folds, 0),
            folds != 1,
            GaussianOptions(2, 1.0, 0.1),
        )
        memories.append(lesson.memory(train, choice, 100, lesson.start(train, choice)).samples)
    assert torch.equal(*memories)
    assert len(memories[0]) == 40


def test_holes_are_filled_with_what_the_factors_expect() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(120, 3)) @ random.normal(size=(3, 30)) + random.normal(0, 0.1, (120, 30)) + 8
    holes = random.random(values.shape) < 0.2
    holed = AnnData(np.where(holes, np.nan, values).astype(np.float32))
    holed.var_names = [f"GENE{number}" for number in range(30)]
    table = prepare(as_table(holed, scale="log2"), None)
    filled = fill_table(table, 0)
    found = table.standard.undo(filled.filled)
    assert np.array_equal(filled.known, ~holes)
    assert np.corrcoef(found[holes], values[holes])[0, 1] > 0.95
    assert set(filled.folds) == {0, 1, 2, 3}
