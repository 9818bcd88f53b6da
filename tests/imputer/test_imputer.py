from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from anndata import AnnData
from hypothesis import HealthCheck, given, settings, strategies as st

from histoscribe.errors import Cancelled, HistoscribeError, ModelError, SettingError, TableError
from histoscribe.imputer import Imputer
from histoscribe.progress import Progress, Step
from histoscribe.record import record_of

Maker = Callable[..., AnnData]


def _hidden(table: AnnData, share: float, seed: int = 3) -> tuple[AnnData, np.ndarray]:
    mask = np.random.default_rng(seed).random(table.shape) < share
    holed = table.copy()
    holed.X = np.where(mask, np.nan, table.X)
    return holed, mask


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_restored_values_beat_the_gene_mean(trained: Imputer, fresh: AnnData, share: float) -> None:
    holed, mask = _hidden(fresh, share)
    result = trained.restore(holed)
    error = np.abs(result.layers["restored"] - fresh.X)[mask]
    plain = np.abs(fresh.X - fresh.X.mean(0))[mask]
    assert np.mean(error**2) < (0.8 if share > 0.8 else 0.45) * np.mean(plain**2)
    assert (result.layers["mask"] == mask).all()


def test_measured_values_stay_as_they_are(trained: Imputer, fresh: AnnData) -> None:
    holed, mask = _hidden(fresh, 0.4)
    result = trained.restore(holed)
    assert np.array_equal(result.layers["restored"][~mask], fresh.X[~mask])
    assert (result.layers["sd"][~mask] == 0).all()
    assert (result.layers["sd"][mask] > 0).all()
    assert np.isnan(result.X[mask]).all()


def test_absent_genes_are_added_and_unknown_ones_left(trained: Imputer, fresh: AnnData) -> None:
    panel = fresh[:, 10:40].copy()
    panel.var_names = ["FOREIGN", *panel.var_names[1:]]
    result = trained.restore(panel)
    assert list(result.var_names[:30]) == list(panel.var_names)
    assert set(trained.genes) < set(result.var_names)
    assert not result.layers["mask"][:, 0].any()
    assert np.array_equal(result.layers["restored"][:, 0], panel.X[:, 0])
    assert np.isfinite(result.layers["restored"]).all()
    assert record_of(result).overlap == 29
    assert record_of(result).model_sha256 == trained.card.sha256


def test_intervals_cover_about_what_they_say(trained: Imputer, table_maker: Maker) -> None:
    table = table_maker(samples=150, seed=5)
    holed, mask = _hidden(table, 0.4)
    result = trained.restore(holed)
    inside = np.abs(result.layers["restored"] - table.X) < 1.645 * result.layers["sd"]
    assert 0.82 < inside[mask].mean() < 0.97


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(60)), st.integers(0, 1000))
def test_the_order_of_genes_does_not_matter(
    trained: Imputer, table_maker: Maker, order: list[int], seed: int
) -> None:
    holed, _ = _hidden(table_maker(samples=5, seed=1), 0.5, seed)
    straight = trained.restore(holed)
    turned = trained.restore(holed[:, order].copy())[:, straight.var_names]
    assert np.allclose(straight.layers["restored"], turned.layers["restored"], atol=1e-3, equal_nan=True)


def test_saved_and_loaded_models_answer_the_same(trained: Imputer, fresh: AnnData, tmp_path: Path) -> None:
    holed, _ = _hidden(fresh, 0.5)
    trained.save(tmp_path / "model")
    loaded = Imputer.load(tmp_path / "model")
    assert np.array_equal(loaded.restore(holed).layers["restored"], trained.restore(holed).layers["restored"])
    assert loaded.card == trained.card
    assert loaded.card.patients[:2] == ("p0", "p1")


@pytest.mark.parametrize("name", ["weights.safetensors", "card.json"])
def test_damaged_models_are_refused(trained: Imputer, tmp_path: Path, name: str) -> None:
    trained.save(tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError):
        Imputer.load(tmp_path / "model")


def test_impossible_sizes_are_refused(trained: Imputer, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    card = tmp_path / "model" / "card.json"
    card.write_text(card.read_text().replace('"factors": 8', '"factors": 900000'))
    with pytest.raises(ModelError, match="impossible"):
        Imputer.load(tmp_path / "model")


def test_the_same_seed_gives_the_same_model(table_maker: Maker, fresh: AnnData) -> None:
    holed, _ = _hidden(fresh, 0.5)
    one, other = (Imputer(factors=6, steps=4, seed=2).fit(table_maker()) for _ in range(2))
    assert np.array_equal(one.restore(holed).layers["restored"], other.restore(holed).layers["restored"])


def test_embedding_and_attention(trained: Imputer, fresh: AnnData) -> None:
    assert trained.embed(fresh).shape == (20, 8)
    trained.restore(fresh[:, :40].copy())
    weights = trained.attention(fresh[:, :40].copy(), "GENE3")
    assert weights.shape == (20, 39)
    assert "GENE3" not in weights.columns
    strength = weights.abs().mean().to_numpy()
    assert (np.diff(strength) <= 1e-6).all()
    with pytest.raises(ModelError, match="does not know"):
        trained.attention(fresh, "NOTHING")


def test_empty_samples_are_never_filled(trained: Imputer, fresh: AnnData) -> None:
    fresh.X[3] = np.nan
    result = trained.restore(fresh)
    assert np.isnan(result.layers["restored"][3]).all()
    assert not result.layers["mask"][3].any()
    assert any("no value" in note for note in record_of(result).notes)
    assert np.isnan(trained.embed(fresh)[3]).all()


def test_one_observed_gene_is_warned_about(trained: Imputer, fresh: AnnData) -> None:
    result = trained.restore(fresh[:, :1].copy())
    assert any("only 1 observed" in note for note in record_of(result).notes)
    full = trained.restore(_hidden(fresh, 0.2)[0])
    assert np.nanmean(result.layers["sd"][:, 1:]) > np.mean(full.layers["sd"][full.layers["mask"]])


def test_no_shared_gene_is_refused(trained: Imputer, fresh: AnnData) -> None:
    fresh.var_names = [f"OTHER{i}" for i in range(60)]
    with pytest.raises(TableError, match="none of its 60 genes"):
        trained.restore(fresh)


def test_constant_genes_are_left_out(table_maker: Maker) -> None:
    table = table_maker()
    table.X[:, 5] = 3.0
    imputer = Imputer(factors=4, steps=0).fit(table)
    assert "GENE5" not in imputer.genes
    assert any("constant" in note for note in imputer.card.settings["notes"])


def test_too_few_samples_are_refused(table_maker: Maker) -> None:
    with pytest.raises(TableError, match="too few"):
        Imputer(steps=0).fit(table_maker(samples=5))


def test_another_platform_is_adapted_to(trained: Imputer, table_maker: Maker) -> None:
    table = table_maker(samples=60, seed=4)
    shifted = table.copy()
    shifted.X = table.X * 0.5 + 3
    shown = shifted[:, :40].copy()
    result = trained.restore(shown, adapt=True)
    hidden = result[:, [f"GENE{i}" for i in range(40, 60)]].layers["restored"]
    truth = shifted[:, 40:].X
    assert np.corrcoef(hidden.ravel(), truth.ravel())[0, 1] > 0.7
    with pytest.raises(TableError, match="too few to standardise"):
        trained.restore(shown[:5].copy(), adapt=True)


def test_counts_of_spots_are_restored_as_log_values(table_maker: Maker) -> None:
    table = table_maker(samples=80)
    table.X = np.random.default_rng(0).poisson(np.exp(table.X / 3)).astype(np.float32)
    imputer = Imputer(factors=5, steps=0).fit(table)
    result = imputer.restore(table[:, :30].copy())
    assert imputer.card.settings["scale"] == "log1p"
    assert (result.layers["restored"] >= 0).all()


def test_cancelling_stops_training(table_maker: Maker) -> None:
    def stop(step: Step) -> None:
        if step.message == "training the correction" and step.done > 2:
            progress.cancel()

    progress = Progress(stop)
    with pytest.raises(Cancelled):
        Imputer(factors=4, steps=50).fit(table_maker(), progress=progress)


def test_wrong_settings_and_order_are_refused(fresh: AnnData, table_maker: Maker) -> None:
    with pytest.raises(SettingError):
        Imputer(factors=0)
    with pytest.raises(ModelError, match="learned nothing"):
        Imputer().restore(fresh)
    with pytest.raises(HistoscribeError):
        Imputer(steps=0).fit(table_maker(), patients="nobody")
    with pytest.raises(TableError):
        Imputer(steps=0).fit(table_maker(), patients=["a", "b"])


def test_loading_leaves_the_random_state_as_it_was() -> None:
    state = torch.random.get_rng_state()
    Imputer.load("imputer-tcga11")
    assert torch.equal(torch.random.get_rng_state(), state)
