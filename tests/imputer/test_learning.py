"""Choosing, going on from a checkpoint, tuning on another table, checking by hiding, telling classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from anndata import AnnData

from histoscribe.errors import Cancelled, SettingError, TableError
from histoscribe.imputer import Imputer, ImputerSettings
from histoscribe.imputer.checking import hidden_scores
from histoscribe.imputer.reference import expect_classes
from histoscribe.imputer.result import as_section
from histoscribe.progress import Progress, Step
from histoscribe.record import record_of
from histoscribe.section import Section

Maker = Callable[..., AnnData]


def test_stopped_training_goes_on_and_gives_the_same_model(
    table_maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoscribe.imputer.training.correction._KEEP_EVERY", 5)

    def stop(step: Step) -> None:
        if step.message == "training the correction" and step.done >= 7:
            progress.cancel()

    table, progress = table_maker(samples=60, genes=20), Progress(stop)
    with pytest.raises(Cancelled):
        Imputer(factors=4, steps=9).fit(table, checkpoint=tmp_path / "kept", progress=progress)
    seen: list[int] = []
    listener = Progress(lambda step: seen.append(step.done) if "correction" in step.message else None)
    gone_on = Imputer(factors=4, steps=9).fit(table, checkpoint=tmp_path / "kept", progress=listener)
    assert seen[1] == 6
    whole = Imputer(factors=4, steps=9).fit(table)
    assert gone_on.card.sha256 == whole.card.sha256
    other: list[int] = []
    listener = Progress(lambda step: other.append(step.done) if "correction" in step.message else None)
    Imputer(factors=4, steps=9, seed=1).fit(table, checkpoint=tmp_path / "kept", progress=listener)
    assert other[1] == 1


def test_several_processes_train_one_model(
    table_maker: Maker, fresh: AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the number of threads is given, as on clusters: Lightning then leaves it as it is."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    table = table_maker(samples=60, genes=60)
    imputer = Imputer(factors=4, steps=6, devices=2).fit(table)
    restored = imputer.restore(fresh[:, :40].copy()).layers["restored"]
    assert np.isfinite(restored).all()


def test_the_size_of_the_gaussian_is_chosen_on_held_out_patients(table_maker: Maker) -> None:
    imputer = Imputer(steps=0).fit(table_maker(samples=150))
    assert imputer.card.settings["factors"] in (8, 15)


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


def test_hiding_what_a_table_has_tells_how_well_it_comes_back(trained: Imputer, fresh: AnnData) -> None:
    fresh.X[:, 3] = 5.0
    scores = hidden_scores(trained, fresh[:, :30].copy())
    assert "GENE3" not in scores.index
    assert len(scores) == 29
    assert (scores["low"] <= scores["r"]).all()
    assert (scores["r"] <= scores["high"]).all()
    assert scores["r"].median() > 0.7
    with pytest.raises(TableError, match="too few to check"):
        hidden_scores(trained, fresh[:, :1].copy())


def test_classes_are_read_from_the_memory(table_maker: Maker) -> None:
    known, asked = table_maker(samples=90), table_maker(samples=30, seed=4)
    kinds = known.obs["kind"].astype(str)
    told = expect_classes(known, kinds.tolist(), asked[:, :25].copy())
    assert (told.columns[told.to_numpy().argmax(1)] == asked.obs["kind"].astype(str)).mean() > 0.9
    with pytest.raises(TableError, match="labels"):
        expect_classes(known, ["a"] * 90, asked)


def test_a_restored_section_is_a_section_again(table_maker: Maker) -> None:
    table = table_maker(samples=80)
    table.X = np.random.default_rng(0).poisson(np.exp(table.X / 3)).astype(np.float32)
    table.obsm["spatial"] = np.random.default_rng(1).uniform(0, 100, (80, 2))
    imputer = Imputer(factors=5, steps=0).fit(table)
    section = Section("A", table[:, :30].copy(), None, 0.5, 55.0, 100.0, "P")
    found = as_section(section, imputer.restore(section))
    assert found.table.n_vars == 60
    assert np.isfinite(found.table.X).all()
    assert (found.table.var["restored"] > 0).sum() == 30
    assert record_of(found.table).kind == "restored"


def test_unknown_devices_are_named(table_maker: Maker) -> None:
    with pytest.raises(SettingError, match="no such device"):
        Imputer(device="abacus").fit(table_maker())


def test_a_fitted_and_a_loaded_model_keep_their_settings(trained: Imputer, tmp_path: Path) -> None:
    assert trained.settings == ImputerSettings(factors=8, steps=12)
    trained.save(tmp_path / "model")
    loaded = Imputer.load(tmp_path / "model")
    assert (loaded.settings.factors, loaded.settings.steps, loaded.seed) == (8, 12, 0)
    assert loaded.licence == trained.licence == "not stated"


def test_training_leaves_random_state_and_threads_as_they_were(table_maker: Maker) -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    Imputer(factors=4, steps=2).fit(table_maker(samples=40, genes=20))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
