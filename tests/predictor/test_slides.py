"""From a slide to a table: what a prediction says of itself, and what cannot be predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData, read_h5ad

from histoscribe.errors import ModelError, SectionError, SlideError, TableError
from histoscribe.evaluation import compare
from histoscribe.features import encoder_named
from histoscribe.predictor import Predictor, evidence_of, panel_expression, predict_itself
from histoscribe.predictor.encoded import encode_section
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.record import record_of
from histoscribe.section import Section, open_section, write_section
from histoscribe.slide import Level, Slide
from histoscribe.tiles import spot_tiles

PITCH = 20
SIDE = 12


class ColourEncoder:
    """Mean and deviation of the three colours."""

    name, dimension, crop_um, mpp = "colour-1", 6, 20.0, 1.0

    def encode(self, crops):
        pixels = crops.reshape(len(crops), -1, 3).astype(np.float32)
        return np.concatenate([pixels.mean(axis=1), pixels.std(axis=1)], axis=1)


def painted(name: str, seed: int) -> Section:
    """A slide whose colour drives the counts of 30 genes."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).reshape(-1, 2)
    colour = 0.5 + 0.4 * np.sin(places @ rng.uniform(0.3, 0.9, (2, 3)) + rng.uniform(0, 6, 3))
    blocks = (colour * 255).astype(np.uint8).reshape(SIDE, SIDE, 3)
    pixels = np.repeat(np.repeat(blocks, PITCH, axis=0), PITCH, axis=1)
    effect = np.random.default_rng(7).normal(size=(3, 30))
    rate = np.exp(1.5 * (colour - 0.5) @ effect)
    counts = rng.poisson(3000 * rate / rate.sum(axis=1, keepdims=True)).astype(np.float32)
    table = AnnData(counts)
    table.var_names = [f"G{number}" for number in range(30)]
    table.obs_names = [f"{name}-{row}x{column}" for row, column in places]
    table.obsm["spatial"] = ((places + 0.5) * PITCH)[:, ::-1].copy()
    slide = Slide(Path(f"{name}.png"), (Level(Chunked(pixels), 1.0),), mpp=1.0)
    return Section(name, table, slide, mpp=1.0, spot_um=10.0, pitch_um=float(PITCH), patient=f"P-{name}")


class Chunked:
    """An array that says that it has chunks."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype, self.ndim = pixels, pixels.shape, pixels.dtype, 3
        self.chunks = (64, 64, 3)

    def __getitem__(self, key):
        return self.pixels[key]


@pytest.fixture(scope="module")
def fitted():
    settings = {"epochs": 20, "members": 2, "width": 32, "graphs": ("spatial", "functional"), "device": "cpu"}
    return Predictor(**settings).fit([painted("A", 1), painted("B", 2)], encoder=ColourEncoder())


@pytest.fixture(scope="module")
def unseen():
    return painted("C", 3)


@pytest.fixture(scope="module")
def predicted(fitted, unseen):
    return fitted.predict(unseen)


def test_colour_is_read(fitted, unseen, predicted):
    encoded = encode_section(unseen, ColourEncoder())
    truth = panel_expression(encoded, fitted.genes)
    assert gene_correlation(predicted.table.X, truth).mean() > 0.7


def test_the_prediction_is_a_section_that_says_where_it_comes_from(fitted, unseen, predicted):
    table = predicted.table
    assert list(table.obs_names) == list(unseen.table.obs_names)
    assert tuple(table.var_names) == fitted.genes
    assert table.X.dtype == np.float32
    assert table.X.min() >= 0
    np.testing.assert_array_equal(table.obsm["spatial"], unseen.table.obsm["spatial"])
    own = table.uns["histoscribe"]
    assert own["kind"] == "predicted"
    assert own["model_sha256"] == fitted.card.sha256
    assert list(own["training_sections"]) == ["A", "B"]
    assert (own["name"], own["patient"], own["mpp"]) == ("C", "P-C", 1.0)


def test_evidence_names_reference_spots(predicted):
    own, table = predicted.table.uns["histoscribe"], predicted.table
    index, weight = table.obsm["evidence"], table.obsm["evidence_weight"]
    assert index.shape == weight.shape
    assert index.max() < len(own["evidence_spot"]) == 2 * SIDE**2
    assert all(len(set(row)) == len(row) for row in index)
    assert (np.diff(weight, axis=1) <= 1e-6).all()
    assert (weight.sum(axis=1) <= 1 + 1e-5).all()


def test_a_tile_s_evidence_comes_with_its_pictures(predicted, tmp_path):
    write_section(predicted, tmp_path / "predicted.h5ad")
    for table in (predicted.table, open_section(tmp_path / "predicted.h5ad").table):
        found = evidence_of(table, 5)
        assert [share for *_, share, _ in found] == sorted((share for *_, share, _ in found), reverse=True)
        section, spot, _, crop = found[0]
        assert spot.startswith(section)
        assert crop.shape == (48, 48, 3)
        reference = painted(section, {"A": 1, "B": 2}[section])
        row, column = (reference.table.obsm["spatial"][reference.table.obs_names.get_loc(spot)][::-1]).astype(
            int
        )
        shown = reference.slide.levels[0].pixels[row, column]
        assert np.abs(crop[20:28, 20:28].mean((0, 1)) - shown).max() < 25


def test_a_region_is_read_in_the_units_of_its_slide(fitted, unseen, predicted):
    whole = spot_tiles(unseen)
    red = unseen.slide.levels[0].pixels[tuple((whole.centres.astype(int)).T)][:, 0]
    rows = np.flatnonzero(red > np.median(red))  # a region unlike the rest
    region = replace(whole, centres=whole.centres[rows], names=tuple(whole.names[row] for row in rows))
    wanted = predicted.table.X[rows]
    told = fitted.predict_tiles(unseen.slide, region, units=whole).table.X
    alone = fitted.predict_tiles(unseen.slide, region).table.X
    assert np.abs(told - wanted).mean() < 0.5 * np.abs(alone - wanted).mean()


def test_a_prediction_carries_bounds_novelty_and_attention(fitted, predicted, unseen):
    table = predicted.table
    assert (table.layers["low"] <= table.X + 1e-5).all()
    assert (table.layers["high"] >= table.X - 1e-5).all()
    assert {"novelty", "unlike_training", "attention_spatial", "attention_functional"} <= set(table.obs)
    assert table.uns["histoscribe"]["type_names"][0] == "image cluster 1"
    counted = np.asarray(unseen.table.X)
    measured = np.log1p(counted / counted.sum(1, keepdims=True) * 1e4)[
        :, unseen.table.var_names.get_indexer(table.var_names)
    ]
    inside = (measured >= table.layers["low"]) & (measured <= table.layers["high"])
    assert 0.7 < inside.mean() <= 1


def test_counts_of_the_target_are_never_read(fitted, unseen, predicted):
    other = unseen.with_table(unseen.table.copy())
    other.table.X = np.zeros_like(other.table.X)
    np.testing.assert_array_equal(fitted.predict(other).table.X, predicted.table.X)


def test_a_prediction_survives_its_file(predicted, tmp_path):
    write_section(predicted, tmp_path / "predicted.h5ad")
    again = open_section(tmp_path / "predicted.h5ad")
    np.testing.assert_array_equal(again.table.X, predicted.table.X)
    assert (again.name, again.patient, again.pitch_um) == ("C", "P-C", PITCH)


def test_a_section_without_slide_is_refused(fitted, unseen):
    bare = replace(unseen, slide=None)
    with pytest.raises(SectionError, match="no slide"):
        fitted.predict(bare)
    with pytest.raises(SectionError, match="no slide"):
        Predictor().fit([bare])


def test_a_table_of_other_genes_is_refused(fitted, unseen):
    table = unseen.table.copy()
    table.var_names = [f"ENSMUSG{number}" for number in range(30)]
    with pytest.raises(TableError, match="no gene of the table"):
        fitted.predict(unseen.with_table(table))


def test_spots_without_counts_are_not_learned_from(unseen):
    table = unseen.table.copy()
    table.X[5] = 0
    assert len(encode_section(unseen.with_table(table), ColourEncoder()).features) == SIDE**2 - 1


def test_a_model_without_encoder_says_so(make_section, unseen):
    predictor = Predictor(epochs=1, members=1, device="cpu", width=16).fit_encoded([make_section()])
    with pytest.raises((ModelError, TableError)):
        predictor.predict(unseen)


QUICK = {"epochs": 2, "members": 1, "width": 16, "panel_size": 5, "device": "cpu"}


def test_an_encoder_of_ones_own_is_given_again_when_its_model_is_loaded(unseen, tmp_path):
    fitted = Predictor(**QUICK).fit([painted("A", 1), painted("B", 2)], encoder=ColourEncoder())
    fitted.save(tmp_path / "model")
    expected = fitted.predict(unseen).table.X
    with pytest.raises(ModelError, match="described by colour-1, which is not here"):
        Predictor.load(tmp_path / "model", device="cpu").predict(unseen)
    loaded = Predictor.load(tmp_path / "model", device="cpu", encoder=ColourEncoder())
    np.testing.assert_array_equal(loaded.predict(unseen).table.X, expected)


@pytest.mark.slow
def test_what_inner_folds_choose_among_the_encoders_is_as_if_named(unseen):
    section, few = (whole.with_table(whole.table[:36].copy()) for whole in (painted("A", 1), unseen))
    chosen = Predictor(**QUICK).fit([section], encoder="auto", crops=False)
    assert chosen.card.encoder in ("builtin-1", "texture-1", "builtin-1+texture-1")
    named = Predictor(**QUICK).fit([section], encoder=chosen.card.encoder, crops=False)
    np.testing.assert_allclose(chosen.predict(few).table.X, named.predict(few).table.X, rtol=1e-4)


def test_an_encoder_of_another_package_is_found_when_its_model_is_loaded(unseen, tmp_path, foreign_package):
    encoder = encoder_named("colour", device="cpu")
    fitted = Predictor(**QUICK).fit([painted("A", 1), painted("B", 2)], encoder=encoder)
    assert fitted.card.encoder == "colour@1"
    fitted.save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(loaded.predict(unseen).table.X, fitted.predict(unseen).table.X)


def test_a_grid_over_a_section_is_a_section_of_the_same_patient(fitted, unseen):
    corner = np.array([[0.0, 0], [0, 100], [100, 100], [100, 0]])
    grid = fitted.predict(unseen, pitch_um=25.0, region=[corner])
    assert (grid.name, grid.patient, grid.pitch_um, grid.mpp) == ("C", "P-C", 25.0, 1.0)
    assert grid.table.n_obs == 16
    assert grid.slide is not None


def test_fitting_leaves_the_settings_as_they_were_given(make_section):
    predictor = Predictor(**QUICK)
    before = predictor.settings
    predictor.fit_encoded([make_section()])
    assert predictor.settings is before
    assert predictor.fitted.settings.radii is not None


def test_spots_of_the_slide_guide_and_are_named(fitted, unseen):
    part = unseen.with_table(unseen.table[:48].copy())
    found = fitted.guided(part).predict(unseen)
    record = record_of(found.table)
    assert (record.guide_section, record.guide_spots) == ("C", 48)
    assert record.split_of("C", "P-C") == "guided by spots of this section"
    assert record.verdict.given == 48
    assert found.table.obs["given"].sum() == 48
    assert {"held_out_r", "held_out_low", "unguided_r"} <= set(found.table.var)
    assert (found.table.layers["low"] <= found.table.layers["high"]).all()
    told = compare(unseen, found)
    assert told.summary["spots"] == SIDE**2 - 48
    assert any("guided by 48 spots of C" in warning for warning in told.warnings)


def test_figures_of_the_very_spots_that_were_learned_from_are_called_so(fitted, unseen):
    guided = fitted.guided(unseen)
    for pitch in (None, 25.0):
        told = compare(unseen, guided.predict(unseen, pitch_um=pitch))
        assert told.summary["split"] == "guided by these very spots"
        assert any("learned from every spot that is compared" in warning for warning in told.warnings)


def test_a_grid_is_scored_on_spots_that_were_not_given(fitted, unseen):
    part = unseen.with_table(unseen.table[:48].copy())
    told = compare(unseen, fitted.guided(part).predict(unseen, pitch_um=25.0))
    assert told.summary["split"] == "guided by spots of this section"
    assert not set(told.section.table.obs_names) & set(part.table.obs_names)


def test_given_spots_stand_among_the_references(fitted, unseen, tmp_path):
    part = unseen.with_table(unseen.table[:48].copy())
    guided = fitted.guided(part).predict(unseen)
    guided.table.write_h5ad(tmp_path / "g.h5ad")
    alone = predict_itself(part, panel=unseen.genes[:5], pitch_um=30.0)
    names, models = set(part.table.obs_names), set()
    for table in (read_h5ad(tmp_path / "g.h5ad"), alone.table):
        given = 0
        for row in range(table.n_obs):
            found = evidence_of(table, row)
            shares = [share for _, _, share, _ in found]
            assert shares == sorted(shares, reverse=True)
            assert sum(shares) <= 1.0001
            models |= {section for section, *_ in found} - {"C"}
            assert {spot for section, spot, *_ in found if section == "C"} <= names
            assert all(crop.shape == (48, 48, 3) for *_, crop in found)
            given += any(section == "C" for section, *_ in found)
        assert given > table.n_obs / 2
    assert models <= set(fitted.card.sections)


def test_a_guided_grid_knows_its_slide(fitted, unseen):
    grid = fitted.guided(unseen).predict(unseen.slide, pitch_um=30.0)
    assert record_of(grid.table).guide_spots == SIDE**2


def test_spots_of_another_slide_do_not_guide(fitted, unseen):
    with pytest.raises(SlideError, match="another slide"):
        fitted.guided(unseen).predict(painted("D", 4))
