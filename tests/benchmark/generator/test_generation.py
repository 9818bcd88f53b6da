from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from histoscribe.benchmark.generator import measures
from histoscribe.benchmark.generator.baselines import conditional_vae, diffusion, parents, wgan
from histoscribe.benchmark.generator.classifiers import DenseClassifier
from histoscribe.benchmark.generator.components import stable_sets
from histoscribe.benchmark.generator.methods import chosen_methods
from histoscribe.benchmark.generator.run import Trial, score_trial
from histoscribe.benchmark.generator.sampling import Asked
from histoscribe.benchmark.generator.summary import records_of
from histoscribe.errors import SettingError
from histoscribe.generator import Generator
from histoscribe.simulate.metastases import Bed


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
    assert measures.mean_correlation(one, same) > 0.9 > measures.mean_correlation(other, same)
    assert measures.variance_correlation(one, same) > 0.9
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
    guess = DenseClassifier(steps=150).fit(train.values, train.cancers).predict(test.values)
    assert (guess == test.cancers).mean() > 0.9


@pytest.mark.parametrize(
    ("module", "name"), [(conditional_vae, "conditional_vae"), (wgan, "wgan"), (diffusion, "diffusion")]
)
def test_parentless_baselines_learn_the_classes(
    bed: Bed, module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STEPS", 100)
    test = bed.test.take(bed.test.of("metastasis"))
    made = getattr(module, name)(bed.train, 0)(Asked(bed.parents, test.cancers, test.sites, 3))
    assert made.values.shape == test.values.shape
    assert np.isfinite(made.values).all()
    assert (made.values >= 0).all()
    assert measures.mean_correlation(made.values, test.values) > 0.9


def test_parents_alone(bed: Bed) -> None:
    test = bed.test.take(bed.test.of("metastasis"))
    asked = Asked(bed.parents, test.cancers, test.sites, 3)
    same = parents.identity(bed.train, 0)(asked)
    mixed = parents.linear_mixture(bed.train, 0)(asked)
    assert same.primaries is not None
    assert np.array_equal(same.primaries, mixed.primaries)
    assert set(same.primaries) <= set(bed.parents.names)
    away = [np.abs(made.values.mean(0) - test.values.mean(0)).mean() for made in (same, mixed)]
    assert away[1] < away[0]


def test_a_trial_is_scored_and_summed_up(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DenseClassifier.__init__.__kwdefaults__, "steps", 100)
    generator = Generator(met_steps=80, mixing_steps=80).fit(bed.train)
    trial = Trial(bed.train, bed.parents, bed.test, bed.primary_of, 1)
    rows = score_trial(trial, generator, ["histoscribe", "linear-mixture"])
    found = {(row["method"], row["measure"]): row["value"] for row in rows}
    assert found["histoscribe", "cancer_accuracy"] > 0.9
    assert found["histoscribe", "nearest_ratio"] > 0.5
    assert 0 <= found["linear-mixture", "joint"] <= 1
    assert found["real", "two_sample_auc"] < 0.8
    assert {row["method"] for row in rows} == {"histoscribe", "linear-mixture", "real"}
    dated = [{**row, "dataset": "bed"} for row in rows]
    records = records_of({1: dated, 2: dated})
    fold = [record for record in records if record["fold"] == "all"]
    assert len(fold) == len(rows)
    assert all(
        set(record) == {"method", "dataset", "split", "fold", "measure", "value", "low", "high"}
        for record in fold
    )
    assert all(record["low"] == record["value"] == record["high"] for record in fold)


def test_intervals_are_students_over_seeds() -> None:
    row = {"dataset": "d", "method": "m", "measure": "x"}
    records = records_of({seed: [{**row, "value": value}] for seed, value in enumerate((1.0, 2.0, 3.0))})
    mean = records[-1]
    assert mean["fold"] == "all"
    assert mean["value"] == 2
    assert mean["high"] - mean["value"] == pytest.approx(4.303 / 3**0.5, rel=1e-3)


def test_stable_sets_need_every_seed() -> None:
    rows = [
        {"fold": fold, "measure": f"p {name}", "value": value}
        for fold, name, value in (
            ("seed 0", "A", 0.01), ("seed 1", "A", 0.04), ("seed 0", "B", 0.01), ("seed 1", "B", 0.2),
            ("seed 0", "C", 0.01), ("all", "C", 0.01),
        )
    ]  # fmt: skip
    assert stable_sets(rows, 2) == {"A": 0.04}


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(SettingError, match="no method called magic"):
        chosen_methods(["magic", "identity"])
