"""Classes told from any genes, with odds that hold, what is unknown, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, concat

from histoscribe.classifier import UNKNOWN, Classifier
from histoscribe.classifier.classifier import profiles
from histoscribe.classifier.company import likeness
from histoscribe.classifier.memory import Memory, Spread
from histoscribe.errors import ModelError, SettingError, TableError
from histoscribe.simulate import simulate_section

KINDS = ("gut", "liver", "lung")
GENES = 80
ODD = 1.6
"""How far off a type is that was not learned: not far enough for most to be told alone."""


def make(seed: int, each: int = 30, kinds: tuple[str, ...] = KINDS, overlap: float = 1.0) -> AnnData:
    """Log values; of each class ten genes of its own are higher, four factors are common to all."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(9)
    loadings = fixed.normal(0, 0.8, (4, GENES))
    labels = np.repeat(kinds, each)
    values = 8 + random.normal(size=(len(labels), 4)) @ loadings + random.normal(0, 1, (len(labels), GENES))
    for place, kind in enumerate((*KINDS, "skin")):
        values[np.ix_(labels == kind, range(10 * place, 10 * place + 10))] += 2.0 * overlap
    obs = pd.DataFrame({"kind": labels, "patient": [f"p{seed}-{row // 2}" for row in range(len(labels))]})
    names = [f"GENE{gene}A" for gene in range(GENES)]
    return AnnData(
        values.astype(np.float32),
        obs=obs.set_axis([f"s{seed}-{row}" for row in range(len(labels))]),
        var=pd.DataFrame(index=names),
    )


@pytest.fixture(scope="module")
def model() -> Classifier:
    table = make(0)
    return Classifier().fit(table, table.obs["kind"].tolist())


@pytest.mark.parametrize("genes", [slice(None), slice(0, 40, 1)])
def test_new_patients_are_told_with_odds_that_hold(model: Classifier, genes: slice) -> None:
    new = make(1, each=60)
    told = model.classify(new[:, genes].copy())
    right = told["nearest"].to_numpy() == new.obs["kind"].to_numpy()
    assert right.mean() > 0.9
    assert told["probability"].mean() == pytest.approx(right.mean(), abs=0.07)
    assert told.filter(like="P(").sum(axis=1).to_numpy() == pytest.approx(1)
    assert (told["class"] == UNKNOWN).mean() < 0.12


def test_odds_are_modest_where_classes_overlap() -> None:
    table, new = make(2, overlap=0.3), make(3, each=60, overlap=0.3)
    told = Classifier().fit(table, table.obs["kind"].tolist()).classify(new)
    right = (told["nearest"].to_numpy() == new.obs["kind"].to_numpy()).mean()
    assert 0.4 < right < 0.9
    assert told["probability"].mean() == pytest.approx(right, abs=0.12)


def test_a_class_that_was_not_learned_is_unknown(model: Classifier) -> None:
    strange = model.classify(make(4, kinds=("skin",)))
    known = model.classify(make(5))
    assert (strange["class"] == UNKNOWN).mean() > 5 * max((known["class"] == UNKNOWN).mean(), 0.05)
    assert strange["novelty"].median() > known["novelty"].quantile(0.9)


def test_genes_that_carried_a_call_sum_up_to_its_lead_and_are_those_of_the_class(model: Classifier) -> None:
    new = make(6, each=4)
    carried = model.explain(new, draws=6)
    own = {kind: slice(10 * place, 10 * place + 10) for place, kind in enumerate(KINDS)}
    for kind, row in zip(new.obs["kind"], carried.to_numpy(), strict=True):
        rest = np.delete(row, np.r_[own[kind]])
        assert row[own[kind]].mean() > 5 * abs(rest.mean())
    random = np.random.default_rng(0)
    samples, codes = random.normal(size=(40, 12)), np.arange(40) % 2
    samples[codes == 1, 0] += 3
    from histoscribe.classifier.head import Head

    head = Head.of(samples, codes, [str(row) for row in range(40)], 2, 0.05)
    asked = samples[:1] + 0.1
    (member, _), (base, _) = head.memory.expect(asked), head.memory.expect(0 * asked)
    first = int(member[0].argmax())
    lead = (member[0, first] - member[0, 1 - first]) - (base[0, first] - base[0, 1 - first])
    assert head.carried(asked[0], 3).sum() == pytest.approx(lead)


def test_markers_are_the_planted_genes_and_steady(model: Classifier) -> None:
    found = model.biomarkers(10).set_index("class")
    for place, kind in enumerate(KINDS):
        assert len(set(found.loc[kind, "gene"]) & {f"GENE{10 * place + gene}A" for gene in range(10)}) >= 7
        assert found.loc[kind, "stability"].head(3).min() >= 0.8


def test_a_saved_classifier_answers_as_before(model: Classifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    new = make(7, each=5)
    again = Classifier.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.classify(new), model.classify(new))
    from safetensors.numpy import load_file

    from histoscribe.models import save_model

    tensors = load_file(tmp_path / "model" / "weights.safetensors")
    save_model(tmp_path / "damaged", {**tensors, "codes": tensors["codes"] + 9}, again.card)
    with pytest.raises(ModelError, match="labels do not fit"):
        Classifier.load(tmp_path / "damaged")


def test_the_bundled_one_knows_its_own_samples_and_takes_a_section() -> None:
    bundled = Classifier.load("classifier-tcga11")
    assert {"BRCA", "normal tissue beside BRCA"} <= set(bundled.fitted.classes)
    section = simulate_section(0, genes=200, size_um=900)
    labels = np.where(np.arange(section.table.n_obs) % 2, "odd", "")
    told = bundled.classify(profiles(section, labels))
    assert told.index.tolist() == [section.name, "odd"]
    assert (told["class"] == UNKNOWN).all()  # simulated tissue is none of them


def test_distances_are_those_of_the_covariance_with_its_ridge() -> None:
    random = np.random.default_rng(0)
    samples, asked, centres = (random.normal(size=(rows, 12)) for rows in (8, 5, 3))
    inverse = np.linalg.inv(samples.T @ samples / 8 + 0.03 * np.eye(12))
    away = asked[:, None] - centres
    expected = np.einsum("abi,ij,abj->ab", away, inverse, away)
    assert Spread.of(samples).lengths(asked, centres) == pytest.approx(expected)


def test_a_memory_expects_what_it_remembers() -> None:
    assert Memory.of(np.eye(6), np.arange(6) % 2, 2).expect(np.eye(6))[0].argmax(1).tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["gut"] * 12, "name 1 class"),
        ([""] * 12, "name 0 classes"),
        (["gut"] * 10 + ["liver"] * 2, "class liver has one patient"),
        (["gut"] * 5, "5 labels were given for 12 samples"),
    ],
)
def test_bad_labels_end_in_a_sentence(labels: list[str], words: str) -> None:
    with pytest.raises(TableError, match=words):
        Classifier().fit(make(0, each=4), labels)


@pytest.mark.parametrize("unknown", [None, pd.NA, np.nan, ""])
def test_samples_of_no_class_are_left_out(unknown: object) -> None:
    table = make(0, each=8)
    labels = [unknown] * 8 + table.obs["kind"].tolist()[8:]
    assert Classifier().fit(table, labels).card.settings["classes"] == ["liver", "lung"]


def test_other_bad_input(model: Classifier) -> None:
    with pytest.raises(SettingError, match="unknown is 2"):
        Classifier(unknown=2)
    with pytest.raises(TableError, match="5 of the classifier's 80 genes, too few"):
        model.classify(make(1)[:, :5].copy())
    with pytest.raises(TableError, match="none of its 80 genes"):
        model.classify(AnnData(make(1).X, var=pd.DataFrame(index=[f"X{gene}" for gene in range(80)])))


def with_odd(seed: int, odd: int) -> AnnData:
    """Samples of the known types, and some of the lung that have the genes of the skin on too."""
    known, strange = make(seed, each=15), make(seed + 1, each=odd, kinds=("lung",))
    strange.X[:, 30:40] += np.float32(2 * ODD)
    strange.obs_names = [f"odd{row}" for row in range(odd)]
    return concat([known, strange])


def test_a_type_that_was_not_learned_is_told_by_its_company(model: Classifier) -> None:
    table = with_odd(20, 20)
    alone, together = model.classify(table), model.classify(table, together=True)
    odd = table.obs_names.str.startswith("odd")
    unknown = [float((told["class"] == UNKNOWN)[odd].mean()) for told in (alone, together)]
    assert unknown[1] > unknown[0] + 0.2
    assert "asked together" in together.attrs["notes"][-1]
    assert together["company"].max() >= 19
    assert not alone["company"].any()
    assert not any("together" in note for note in alone.attrs["notes"])
    told_by_others = ["class", "novelty", "company"]
    pd.testing.assert_frame_equal(together.drop(columns=told_by_others), alone.drop(columns=told_by_others))


def test_known_types_are_no_oftener_unknown_than_was_asked_for(model: Classifier) -> None:
    unknown = np.concatenate([
        (model.classify(make(seed, each=each, kinds=kinds), together=True)["class"] == UNKNOWN).to_numpy()
        for seed, each, kinds in (
            (31, 60, ("gut", "liver", "lung")), (32, 5, ("gut", "liver", "lung")), (33, 60, ("liver",)),
        )
    ])  # fmt: skip
    assert unknown.mean() < 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(unknown))


def test_rows_in_another_order_are_told_the_same(model: Classifier) -> None:
    table = with_odd(40, 10)
    order = np.random.default_rng(0).permutation(table.n_obs)
    told = model.classify(table, together=True)
    shuffled = model.classify(table[order].copy(), together=True)
    pd.testing.assert_frame_equal(told.iloc[order], shuffled, rtol=1e-9)


def test_one_sample_is_told_as_it_is_alone(model: Classifier) -> None:
    for row in range(3):
        one = make(50)[[row]].copy()
        pd.testing.assert_frame_equal(model.classify(one, together=True), model.classify(one))


def test_samples_of_one_patient_have_no_say_in_each_other(model: Classifier) -> None:
    table = make(60, each=6)
    table.obs["patient"] = "the same"
    pd.testing.assert_frame_equal(model.classify(table, together=True), model.classify(table))


def test_a_table_in_its_own_units_is_asked_sample_by_sample(model: Classifier) -> None:
    told = model.classify(make(70), adapt=True, together=True)
    assert not told["company"].any()
    assert "asked one by one" in told.attrs["notes"][-1]


def test_likeness_is_the_mean_cosine_with_others_called_so_of_other_patients() -> None:
    random = np.random.default_rng(0)
    samples, asked = random.normal(size=(30, 8)), random.normal(size=(7, 8))
    memory = Memory.of(samples, np.arange(30) % 3, 3)
    called, owners = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 3, 4, 5])
    away = asked - memory.means[called]
    product = away @ np.linalg.inv(_covariance(memory.within)) @ away.T
    cosine = product / np.sqrt(np.outer(np.diag(product), np.diag(product)))
    others = (called[:, None] == called) & (owners[:, None] != owners)
    alike, count = likeness(memory, asked, called, owners)
    assert count.tolist() == others.sum(1).tolist() == [2, 2, 3, 3, 1, 1, 0]
    assert alike[:6] == pytest.approx((cosine * others).sum(1)[:6] / others.sum(1)[:6], abs=1e-6)
    assert alike[6] == pytest.approx(0, abs=1e-6)


def _covariance(spread: Spread) -> np.ndarray:
    return spread.samples.T @ spread.samples / len(spread.samples) + 0.03 * np.eye(spread.samples.shape[1])
