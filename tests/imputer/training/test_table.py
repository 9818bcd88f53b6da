"""A table beside what an earlier model remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from anndata import AnnData

from histoscribe.imputer import Imputer

Maker = Callable[..., AnnData]


def test_a_tuned_model_knows_both_tables_and_fits_the_new_one(
    trained: Imputer, table_maker: Maker, tmp_path: Path
) -> None:
    own = table_maker(samples=80, seed=8)
    own.X = own.X * 0.5 + 4
    own = own[:, 15:].copy()
    own.var_names = [*own.var_names[:-5], *(f"OWN{i}" for i in range(5))]
    steps = Imputer(factors=8, steps=0)
    trained.save(tmp_path / "model")
    tuned = steps.fit(own, start=Imputer.load(tmp_path / "model"))
    assert set(tuned.genes) == set(own.var_names) | {f"GENE{i}" for i in range(60)}
    test = table_maker(samples=40, seed=9)
    test.X = test.X * 0.5 + 4
    result = tuned.restore(test[:, 15:40].copy())
    for names, truth in (
        ([f"OWN{i}" for i in range(5)], test[:, 55:].X),
        ([f"GENE{i}" for i in range(40, 55)], test[:, 40:55].X),
        ([f"GENE{i}" for i in range(15)], test[:, :15].X),
    ):
        restored = result[:, names].layers["restored"]
        assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(restored.T, truth.T, strict=True)]) > 0.6
    inside = np.abs(result[:, [f"GENE{i}" for i in range(40, 55)]].layers["restored"] - test[:, 40:55].X)
    spread = 1.645 * result[:, [f"GENE{i}" for i in range(40, 55)]].layers["sd"]
    assert 0.75 < (inside < spread).mean() < 0.99
    assert any("tuned from the model" in note for note in tuned.card.settings["notes"])
    tuned.save(tmp_path / "tuned")
    again = Imputer.load(tmp_path / "tuned").restore(test[:, 15:40].copy())
    assert np.array_equal(again.layers["restored"], result.layers["restored"])


def test_old_samples_of_another_world_do_not_spoil_tuning(
    trained: Imputer, table_maker: Maker, tmp_path: Path
) -> None:
    own, test = table_maker(samples=80, seed=8), table_maker(samples=40, seed=9)
    names = [f"GENE{i}" for i in np.random.default_rng(1).permutation(60)]
    own.var_names, test.var_names = names, names
    own, truth = own[:, :50].copy(), test[:, 30:50].X
    again = Imputer(factors=8, steps=0)
    trained.save(tmp_path / "model")
    tuned = Imputer(factors=8, steps=0).fit(own, start=Imputer.load(tmp_path / "model"))
    alone = again.fit(own)
    missed = [
        np.mean((one.restore(test[:, :30].copy())[:, names[30:50]].layers["restored"] - truth) ** 2)
        for one in (tuned, alone)
    ]
    assert missed[0] < 1.001 * missed[1]
    assert tuned.card.settings["weight_of_old"] == 0
    assert set(tuned.genes) == set(names)
    assert np.isfinite(tuned.restore(test[:, :30].copy()).layers["restored"]).all()


def test_old_samples_of_the_same_world_are_learned_from(
    trained: Imputer, table_maker: Maker, tmp_path: Path
) -> None:
    trained.save(tmp_path / "model")
    start = Imputer.load(tmp_path / "model")
    tuned = Imputer(factors=8, steps=0).fit(table_maker(samples=24, seed=8), start=start)
    assert tuned.card.settings["weight_of_old"] > 0
