"""Guided prediction: what is better informed is heard, and what cannot guide is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.sparse import csr_matrix

from histoscribe.errors import SectionError, TableError
from histoscribe.predictor import Predictor, panel_expression
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.guiding.kernels import SlideView, kernels_of
from histoscribe.predictor.guiding.regression import (
    GivenSpots,
    HeldOutSpots,
    SpotAnswers,
    folds_like,
    weighed,
)
from histoscribe.predictor.target import choose_panel, log_cp10k

QUICK = {"epochs": 20, "members": 1, "panel_size": 40, "width": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def fitted(make_section):
    return Predictor(**QUICK).fit_encoded([make_section("S1", seed=1), make_section("S2", seed=2)])


@pytest.fixture(scope="module")
def unseen(make_section):
    return make_section("S3", seed=3)


def some(section, share=0.3, seed=0):
    count = round(share * len(section.spots))
    return np.sort(np.random.default_rng(seed).permutation(len(section.spots))[:count])


def r_beyond(expression, section, genes, rows):
    rest = np.setdiff1d(np.arange(len(section.spots)), rows)
    return gene_correlation(expression[rest], panel_expression(section, genes)[rest]).mean()


def swapped(section):
    """The same tissue with other genes in the programmes: what a model of other tissue knows is wrong."""
    order = np.random.default_rng(1).permutation(len(section.genes))
    return replace(section, counts=section.counts[:, order])


def guided(model, section, rows):
    spots = model.guided_encoded(section.part(rows, "given"))
    return spots.predict_encoded(section.features, section.centres_um)


def test_spots_correct_a_model_of_other_tissue(fitted, unseen):
    foreign, rows = swapped(unseen), some(unseen)
    alone = fitted.predict_encoded(foreign.features, foreign.centres_um)
    found = guided(fitted, foreign, rows)
    assert r_beyond(alone, foreign, fitted.genes, rows) < 0.3
    assert r_beyond(found, foreign, fitted.genes, rows) > 0.7
    assert found.dtype == np.float32
    assert found.min() >= 0


def test_spots_guide_a_model_whose_networks_see_parts_of_a_joined_encoder(make_section, unseen):
    """The default reads two encoders, and each network the columns of its own view."""
    learned = [replace(make_section(f"S{seed}", seed=seed), parts=(8, 12)) for seed in (1, 2)]
    model = Predictor(**{**QUICK, "epochs": 5}).fit_encoded(learned)
    assert model.fitted.views == 3
    joined, rows = replace(unseen, parts=(8, 12)), some(unseen)
    assert r_beyond(guided(model, joined, rows), unseen, model.genes, rows) > 0.8


def test_a_model_that_knows_better_is_heard(fitted, unseen):
    rows = some(unseen, 0.12)
    alone = fitted.predict_encoded(unseen.features, unseen.centres_um)
    r = r_beyond(alone, unseen, fitted.genes, rows)
    assert r_beyond(guided(fitted, unseen, rows), unseen, fitted.genes, rows) > r - 0.01


def test_spots_that_say_what_the_model_says_change_nothing(fitted, unseen):
    alone = fitted.predict_encoded(unseen.features, unseen.centres_um)
    counts = np.expm1(alone)
    rest = 1e4 - counts.sum(axis=1, keepdims=True)
    said = replace(
        unseen,
        counts=csr_matrix(np.concatenate([counts, rest], axis=1).astype(np.float32)),
        genes=[*fitted.genes, "others"],
    )
    np.testing.assert_allclose(log_cp10k(said.counts).toarray()[:, :-1], alone, atol=1e-3)
    assert gene_correlation(guided(fitted, said, some(said)), alone).min() > 0.97


def test_levels_come_from_the_given_spots(fitted, unseen):
    rows = some(unseen)
    twice = np.where(np.arange(len(unseen.genes)) % 2, 3.0, 1.0)
    deeper = replace(unseen, counts=csr_matrix(unseen.counts.multiply(twice)))
    truth = panel_expression(deeper, fitted.genes)
    found = guided(fitted, deeper, rows)
    assert np.abs(found.mean(axis=0) - truth.mean(axis=0)).mean() < 0.15
    alone = fitted.predict_encoded(deeper.features, deeper.centres_um)
    assert ((found - truth) ** 2).mean() < ((alone - truth) ** 2).mean()


def test_the_same_spots_give_the_same_digits(fitted, unseen):
    rows = some(unseen)
    np.testing.assert_array_equal(guided(fitted, unseen, rows), guided(fitted, unseen, rows))


def test_tiles_beyond_the_spots_are_predicted_as_among_them(fitted, unseen):
    rows = some(unseen, 0.4)
    rest = np.setdiff1d(np.arange(len(unseen.spots)), rows)
    model = fitted.guided_encoded(unseen.part(rows, "given"))
    beyond = model.predict_encoded(unseen.features[rest], unseen.centres_um[rest])
    whole = model.predict_encoded(unseen.features, unseen.centres_um)
    np.testing.assert_allclose(beyond, whole[rest], atol=0.02)


def test_genes_that_were_not_measured_stay_as_the_model_says(fitted, unseen):
    lacking = fitted.genes[0]
    kept = [number for number, gene in enumerate(unseen.genes) if gene != lacking]
    less = replace(unseen, counts=unseen.counts[:, kept], genes=[unseen.genes[number] for number in kept])
    alone = fitted.predict_encoded(unseen.features, unseen.centres_um)
    found = guided(fitted, less, some(unseen))
    np.testing.assert_array_equal(found[:, 0], alone[:, 0])
    assert not np.allclose(found[:, 1], alone[:, 1])


def test_too_few_or_foreign_spots_are_refused(fitted, unseen):
    with pytest.raises(SectionError, match="7 measured spots are too few"):
        fitted.guided_encoded(unseen.part(np.arange(7), "few"))
    foreign = replace(unseen, genes=[f"X{number}" for number in range(len(unseen.genes))])
    with pytest.raises(TableError, match="none of the model's"):
        guided(fitted, foreign, np.arange(20))
    fitted.guided_encoded(unseen.part(np.arange(8), "just enough")).predict_encoded(
        unseen.features, unseen.centres_um
    )


def test_the_spots_behind_a_tile_are_those_that_move_it(unseen):
    """How far a tile moves when one given spot has more of genes that go together, against the pull told."""
    rows, genes = some(unseen), choose_panel([unseen], 20)
    view = SlideView(unseen.features, unseen.centres_um, unseen.pitch_um, unseen.features)
    values = panel_expression(unseen, genes)[rows].astype(np.float64)
    values /= values.std(axis=0)
    weight, together = np.linspace(0.5, 2, len(rows)), np.cov(values.T)
    change = 1e-4 * np.linalg.eigh(together)[1][:, -1]

    def answered(measured):
        answers = SpotAnswers(kernels_of(view), GivenSpots(rows, measured, weight), None, together)
        return answers.mixed(np.full(len(answers.every), 1 / len(answers.every)), len(unseen.spots))

    told, behind, pulled = answered(values)
    assert (np.diff(pulled, axis=1) <= 0).all()
    assert (pulled.sum(axis=1) <= 1 + 1e-9).all()
    tiles = np.setdiff1d(np.arange(len(unseen.spots)), rows)[:20]
    moved = np.zeros((len(tiles), len(rows)))
    for spot in range(len(rows)):
        more = values.copy()
        more[spot] += change
        moved[:, spot] = np.abs(answered(more)[0][tiles] - told[tiles]).mean(axis=1)
    found = np.take_along_axis(moved, behind[tiles], 1).sum(axis=1)
    most = np.sort(moved, axis=1)[:, -behind.shape[1] :].sum(axis=1)
    by_chance = moved.mean(axis=1) * behind.shape[1]
    assert (found / most).mean() > 0.95
    assert (by_chance / most).mean() < 0.6


@given(st.integers(1, 6), st.integers(2, 30), st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=40)
def test_shares_lie_in_the_simplex(answers, spots, genes, seed):
    rng = np.random.default_rng(seed)
    told, measured = rng.normal(size=(answers, spots, genes)), rng.normal(size=(spots, genes))
    fold = HeldOutSpots(np.zeros(genes), told, measured, rng.uniform(0.1, 10, spots))
    shares = weighed([fold])
    assert (shares >= 0).all()
    assert shares.sum() <= 1 + 1e-9


def test_the_better_answer_gets_the_larger_share():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(50, 8))
    told = np.stack([measured + 0.1 * rng.normal(size=(50, 8)), rng.normal(size=(50, 8))])
    good, bad = weighed([HeldOutSpots(np.zeros(8), told, measured, np.ones(50))])
    assert good > 0.6 > 0.4 > bad


@pytest.mark.parametrize(("beyond", "size"), [(False, 14), (True, 36)])
def test_what_lies_beyond_is_judged_by_what_lies_beyond(beyond, size):
    square = np.stack(np.meshgrid(np.arange(12), np.arange(6), indexing="ij"), -1).reshape(-1, 2) * 100.0
    asked = square + (np.array([0, 1000.0]) if beyond else 50.0)
    folds = folds_like(square, asked, 100.0)
    assert {len(held) for held in folds} <= {size, size + 1}
