from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from histoscribe.benchmark import methods_of, run_benchmark
from histoscribe.benchmark.generator import (
    Request,
    Seed,
    bed as beds,
    generator_benchmark,
    measures,
)
from histoscribe.benchmark.generator.colorectal import columns_of
from histoscribe.benchmark.generator.methods import parents, without_parents
from histoscribe.benchmark.generator.semisynthetic import learn_classes
from histoscribe.errors import SettingError
from histoscribe.generator import Cohort, Generator
from histoscribe.simulate.metastases import Bed, simulate_metastases


@pytest.fixture
def seed(bed: Bed, tcga: Cohort, tmp_path: Path) -> Seed:
    """An opened fold on the small bed; its generator is trained for a moment."""
    return Seed(bed, tcga, tmp_path)


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two draws of one distribution, and one of another."""
    random = np.random.default_rng(0)
    loads, centre = random.normal(0, 1, (4, 60)), random.normal(8, 3, 60)

    def draw(shift: float) -> np.ndarray:
        return (centre + random.normal(shift, 1, (150, 4)) @ loads + random.normal(0, 0.3, (150, 60))).astype(
            np.float32
        )

    return draw(0), draw(0), draw(3)


def test_measures_tell_same_from_other(clouds: tuple[np.ndarray, ...]) -> None:
    one, same, other = clouds
    space = measures.learn_space(one, 10)
    assert (
        measures.correlation(one.mean(0), same.mean(0))
        > 0.9
        > measures.correlation(other.mean(0), same.mean(0))
    )
    assert measures.correlation(one.std(0), same.std(0)) > 0.9
    assert abs(measures.variance_ratio(same, one) - 1) < 0.3
    assert measures.discrepancy(one, same, space) < 0.02 < measures.discrepancy(other, same, space)
    assert min(measures.precision_recall(same, one, space)) > 0.8
    assert max(measures.precision_recall(other, one, space)) < 0.5
    halves = (same[:75], same[75:])
    assert measures.two_sample_auc(halves, (one[:75], one[75:]), space) < 0.7
    assert measures.two_sample_auc((other[:75], other[75:]), (one[:75], one[75:]), space) > 0.95
    assert measures.correlation_agreement(one, same) > 0.9


def test_memorising_is_seen(clouds: tuple[np.ndarray, ...]) -> None:
    training, control, _ = clouds
    space = measures.learn_space(training, 10)
    copies = training[:50] + np.float32(0.001)
    assert measures.nearest_ratio(copies, training, control, space) < 0.1
    assert measures.closer_than_control(copies, training, control, space) > 0.9
    assert 0.8 < measures.nearest_ratio(control[:75], training, control[75:], space) < 1.25


def test_a_constant_has_no_correlation() -> None:
    assert measures.correlation(np.ones(5), np.arange(5.0)) == 0


def test_the_classifier_learns_classes(bed: Bed) -> None:
    train, test = (part.take(part.of("metastasis")) for part in (bed.train, bed.test))
    guess = learn_classes(train.values, train.cancers, steps=150)(test.values)
    assert (guess == test.cancers).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conditional-vae", "wgan-gp", "diffusion"])
def test_parentless_baselines_learn_the_classes(
    seed: Seed, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in ("_VAE_STEPS", "_WGAN_STEPS", "_DIFFUSION_STEPS"):
        monkeypatch.setattr(without_parents, steps, 300)
    method = methods_of("generator semi-synthetic")[name]
    bed, state = seed.bed, torch.random.get_rng_state()
    test = bed.test.take(bed.test.of("metastasis"))
    made = method.learn(seed)(Request(bed.parents, test.cancers, test.sites, 3))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert made.values.shape == test.values.shape
    assert np.isfinite(made.values).all()
    assert (made.values >= 0).all()
    assert measures.correlation(made.values.mean(0), test.values.mean(0)) > 0.9


def test_parents_alone(seed: Seed) -> None:
    bed = seed.bed
    test = bed.test.take(bed.test.of("metastasis"))
    asked = Request(bed.parents, test.cancers, test.sites, 3)
    same = parents.identity(seed)(asked)
    mixed = parents.linear_mixture(seed)(asked)
    assert same.primaries is not None
    assert np.array_equal(same.primaries, mixed.primaries)
    assert set(same.primaries) <= set(bed.parents.names)
    away = [np.abs(made.values.mean(0) - test.values.mean(0)).mean() for made in (same, mixed)]
    assert away[1] < away[0]


def quick(train: Cohort, seed: int, progress: object) -> Generator:
    return Generator(met_steps=80, mixing_steps=80, seed=seed).fit(train)


@pytest.mark.slow
def test_every_seed_is_scored_and_summed_up(
    tcga: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(learn_classes.__kwdefaults__, "steps", 100)
    monkeypatch.setattr(beds, "fit_generator", quick)
    monkeypatch.setattr("histoscribe.simulate.metastases.SITES", ("liver", "lung"))
    monkeypatch.setitem(simulate_metastases.__kwdefaults__, "sites", ("liver", "lung"))
    outcome = run_benchmark(
        generator_benchmark(
            tcga,
            tmp_path,
            beds=["semi-synthetic", "components"],
            methods=["histoscribe", "linear-mixture"],
            seeds=[1, 2],
            per_pair=8,
        )
    )
    folds = [one for one in outcome["records"] if one["fold"] == "seed 1"]
    found = {(one["method"], one["measure"]): one["value"] for one in folds}
    assert found["histoscribe", "cancer_accuracy"] > 0.9
    assert found["histoscribe", "nearest_ratio"] > 0.5
    assert found["histoscribe", "fit_seconds"] > 0
    assert "significant_components" in {measure for _, measure in found}
    assert 0 <= found["linear-mixture", "joint"] <= 1
    assert found["real", "two_sample_auc"] < 0.8
    assert {one["method"] for one in folds} == {"histoscribe", "linear-mixture", "real"}
    assert {one["dataset"] for one in folds} == {"semi-synthetic", "components"}
    whole = {(one["method"], one["measure"]) for one in outcome["records"] if one["fold"] == "all"}
    assert whole >= set(found)
    assert {pair["other"] for pair in outcome["paired"]} == {"linear-mixture", "real"}


def test_columns_are_taken_by_name() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert columns_of(values, ("A", "B", "C"), ["C", "A"]).tolist() == [[2, 0], [5, 3]]


@pytest.mark.parametrize(("beds", "methods"), [(["semi-synthetic"], ["magic"]), (["magic"], None)])
def test_unknown_beds_and_methods_are_named(
    tcga: Cohort, tmp_path: Path, beds: list[str], methods: list[str] | None
) -> None:
    with pytest.raises(SettingError, match="magic"):
        generator_benchmark(tcga, tmp_path, beds=beds, methods=methods, seeds=[0])
