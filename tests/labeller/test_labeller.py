"""Labels of slides told from their tiles: planted ones found, null ones not, patients never split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from histoscribe.errors import ModelError, SectionError, TableError
from histoscribe.labeller import Bag, Labeller, read_labels
from histoscribe.labeller.calibration import calibrate, tell
from histoscribe.labeller.fitting import share_out
from histoscribe.labeller.labels import Label, recognise
from histoscribe.labeller.prior import cooccurrence, prior_named, smoothing_of

pytestmark = pytest.mark.slow

SLIDES, WIDE = 60, 8


def make(seed: int, shift: float = 8.0) -> tuple[list[Bag], pd.DataFrame, list[np.ndarray]]:
    """Three tissues and a rare one, which is otherwise where the label is yes; two slides a patient."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(7)
    means = fixed.normal(0, 2, (4, WIDE))
    bags, rare, yes = [], [], np.arange(SLIDES) // 2 % 2
    for number in range(SLIDES):
        kind = random.choice(3, 80)
        kind[:6] = 3
        tiles = means[kind] + random.normal(0, 0.5, WIDE) + random.normal(0, 1, (80, WIDE))
        tiles[:6, 0] += shift * (yes[number] - 0.5)
        bags.append(Bag(f"s{number}", f"p{number // 2}", tiles.astype(np.float32)))
        rare.append(kind == 3)
    level = yes + random.normal(0, 0.3, SLIDES)
    names = [bag.name for bag in bags]
    return bags, pd.DataFrame({"mutated": np.where(yes, "yes", "no"), "level": level}, names), rare


@pytest.fixture(scope="module")
def learned() -> Labeller:
    bags, labels, _ = make(0)
    before = torch.get_rng_state()
    model = Labeller(steps=160, device="cpu").fit(bags, labels)
    assert torch.equal(torch.get_rng_state(), before)
    return model


def test_a_label_of_a_rare_tissue_is_told_of_new_patients_with_its_tiles(learned: Labeller) -> None:
    bags, labels, rare = make(1)
    found = [learned.label_tiles(bag.features) for bag in bags]
    right = [one.told.loc["mutated", "nearest"] for one in found] == labels["mutated"]
    assert right.mean() > 0.9
    looked = [one.attention[own, 0].sum() for one, own in zip(found, rare, strict=True)]
    assert np.mean(looked) > 4 * 6 / 80
    level = [one.told.loc["level", "nearest"] for one in found]
    assert np.corrcoef(level, labels["level"])[0, 1] > 0.5
    scores = learned.card.held_out["mutated"]
    assert scores["auc"] > 0.9
    assert scores["mean_pooling"] < scores["auc"]
    assert found[0].told.filter(like="P(").loc["mutated"].sum() == pytest.approx(1)


def test_null_labels_are_told_by_chance_and_with_modest_odds() -> None:
    bags, labels, _ = make(2)
    labels["mutated"] = np.random.default_rng(3).permutation(labels["mutated"])
    model = Labeller(steps=40, pooling="mean", device="cpu").fit(bags, labels[["mutated"]])
    scores = model.card.held_out["mutated"]
    assert 0.25 < scores["auc"] < 0.75
    assert scores["brier"] < 0.62  # 0.5 for who always says one half


def test_a_saved_model_answers_to_the_same_digits_and_a_seed_gives_it_again(
    learned: Labeller, tmp_path: Path
) -> None:
    learned.save(tmp_path / "model")
    bags, _, _ = make(1)
    again = Labeller.load(tmp_path / "model", device="cpu")
    one, other = (model.label_tiles(bags[0].features) for model in (learned, again))
    pd.testing.assert_frame_equal(one.told, other.told)
    assert np.array_equal(one.evidence, other.evidence)
    twice = [Labeller(steps=8, pooling="mean", seed=4).fit(*make(0)[:2]).card.sha256 for _ in range(2)]
    assert twice[0] == twice[1]
    card = tmp_path / "model" / "card.json"
    card.write_text(card.read_text().replace('"networks": 5', '"networks": 500'))
    with pytest.raises(ModelError, match="card cannot be used"):
        Labeller.load(tmp_path / "model")


def test_a_foreign_slide_is_unknown_and_odd_descriptors_are_refused(learned: Labeller) -> None:
    foreign = learned.label_tiles(make(1)[0][0].features + 60)
    assert foreign.verdict.kind == "unlike"
    assert set(foreign.told["told"]) == {"unknown"}
    with pytest.raises(ModelError, match="no tiles of 8 numbers"):
        learned.label_tiles(np.zeros((5, 3), dtype=np.float32))


def test_patients_are_never_split_and_rare_classes_are_shared_out() -> None:
    random = np.random.default_rng(0)
    patients = [f"p{number}" for number in random.integers(0, 40, 100)]
    values = np.array([float(int(one[1:]) < 10) for one in patients])
    fold = share_out([Label("rare", ("no", "yes"), values)], patients, 0)
    assert all(len(set(fold[np.array(patients) == one])) == 1 for one in set(patients))
    assert set(fold[values == 1]) == set(range(5))


def test_labels_are_recognised_and_joined_by_patient(tmp_path: Path) -> None:
    slides, patients = [f"s{n}" for n in range(24)], [f"p{n // 2}" for n in range(24)]
    path = tmp_path / "labels.csv"
    table = pd.DataFrame({
        "patient": [f"p{n}" for n in range(11)] + ["p99"], "grade": [1, 2, 3] * 4,
        "mutated": ["yes", "no", "", "no"] * 3, "MKI67": np.linspace(0, 5.5, 12),
    })  # fmt: skip
    table.to_csv(path, index=False)
    found, doubts = read_labels(path, slides, patients)
    assert len(doubts) == 2
    assert "p99" in doubts[0]
    labels = {label.name: label for label in recognise(found, patients)}
    assert [labels[name].kind for name in table.columns[1:]] == ["3 classes", "two classes", "number"]
    assert np.isnan(labels["mutated"].values[4:6]).all()
    assert labels["grade"].values[:4].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["a"] * 12, "one class cannot be learned"),
        ([""] * 12, "known of no slide"),
        (["a"] * 11 + ["b"], "has one patient"),
        (list(range(100, 112)), "as an identifier has"),
        ([0.5, 1.25, 3.75] + [""] * 9, "a number takes 10"),
    ],
)
def test_labels_that_cannot_be_learned_are_a_sentence(column: list[object], said: str) -> None:
    with pytest.raises(TableError, match=said):
        recognise(pd.DataFrame({"label": column}), [f"p{n}" for n in range(12)])


def test_bad_files_and_bags_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("slide,a\nx,yes\ny,no\n")
    with pytest.raises(TableError, match="none of the cohort's slides"):
        read_labels(path, ["s1", "s2"], ["p1", "p2"])
    path.write_text("slide,a\ns1,yes\ns1,no\n")
    with pytest.raises(TableError, match="stands there twice"):
        read_labels(path, ["s1", "s2"], ["p1", "p2"])
    bags, labels, _ = make(0)
    with pytest.raises(SectionError, match="named twice"):
        Labeller().fit([*bags, bags[0]], labels)
    with pytest.raises(TableError, match="learning takes 10"):
        Labeller().fit(bags[2:10], labels[["mutated"]])
    with pytest.raises(SectionError, match="no described tiles"):
        Labeller().fit([*bags, Bag("bare", "p", np.zeros((0, WIDE), dtype=np.float32))], labels)
    bags[0].features[0, 0] = np.nan
    with pytest.raises(SectionError, match="not finite"):
        Labeller().fit(bags, labels)


def test_a_prior_joins_related_labels_and_odds_hold(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    first = (random.random(80) < 0.5).astype(float)
    labels = [
        Label(name, ("no", "yes"), v) for name, v in (("KRAS", first), ("BRAF", 1 - first), ("TP53", first))
    ]
    graph = cooccurrence(labels, np.arange(80))
    assert graph[0, 1] < -0.8 < 0.8 < graph[0, 2]
    smoothing = smoothing_of(graph, labels)
    assert smoothing[0, 1] < 0 < smoothing[0, 2] < smoothing[0, 0]
    edges = tmp_path / "edges.csv"
    edges.write_text("KRAS,TP53,0.5\n")
    assert prior_named(str(edges), labels)(np.arange(3))[2, 0] == 0.5
    edges.write_text("EGFR,TP53\n")
    with pytest.raises(TableError, match="links no two"):
        prior_named(str(edges), labels)
    answers = 6 * (first - 0.5)[:, None] + random.normal(0, 6, (80, 1))
    chances = tell(answers, labels[0], calibrate(answers, labels[0]))[:, 1]
    assert chances.mean() == pytest.approx(first.mean(), abs=0.03)
