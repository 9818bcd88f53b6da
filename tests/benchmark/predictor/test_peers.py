from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histoscribe.benchmark.predictor.methods import brstnet, contrastive, linear, triplex
from histoscribe.benchmark.predictor.peers import Example, HeldOutSections, make_example, peer
from histoscribe.predictor.encoded import EncodedSection

pytestmark = pytest.mark.slow

GENES = 12
PEERS = {
    "mean": linear.mean,
    "depth-only": linear.depth_only,
    "ridge": linear.ridge,
    "ridge-context": linear.ridge_context,
    "knn": linear.knn,
    "bleep": contrastive.bleep,
    "mclstexp": contrastive.mclstexp,
    "triplex": triplex.triplex,
    "brstnet": brstnet.brstnet,
}


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrastive, "_EPOCHS", 12)
    monkeypatch.setattr(triplex, "_EPOCHS", 12)
    monkeypatch.setattr(brstnet, "_BATCH", 16)


@pytest.fixture(scope="module")
def sections() -> list[EncodedSection]:
    """Three sections whose expression follows one of their descriptors, with noise in the others."""
    random = np.random.default_rng(3)
    loadings = random.uniform(0.5, 1, GENES) * np.where(np.arange(GENES) % 2, 1, -1)

    def make(name: str) -> EncodedSection:
        rows, columns = np.divmod(np.arange(60), 10)
        driver = np.sin(rows / 2) + 0.3 * random.normal(size=60)
        features = np.column_stack([driver, random.normal(size=(60, 4))]).astype(np.float32)
        counts = random.poisson(np.exp(2 + driver[:, None] * loadings))
        centres = np.column_stack([rows, columns]) * 100.0
        names = [f"g{number}" for number in range(GENES)]
        return EncodedSection(name, name, features, centres, 100.0, counts, names)

    return [make(name) for name in "abc"]


@pytest.fixture(scope="module")
def examples(sections: list[EncodedSection]) -> list[Example]:
    """With tiles whose brightness is the descriptor that drives the expression."""
    random = np.random.default_rng(9)
    found = []
    for section in sections:
        shade = 128 + 40 * section.features[:, 0]
        noise = random.normal(scale=4, size=(len(shade), 16, 16, 3))
        tiles = np.clip(shade[:, None, None, None] + noise, 0, 255).astype(np.uint8)
        found.append(make_example(section, sections[0].genes, tiles=tiles))
    return found


def mean_r(predicted: np.ndarray, example: Example) -> float:
    return float(
        np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(predicted.T, example.expression.T, strict=True)])
    )


def test_examples_are_standardised_and_carry_their_context(examples: list[Example]):
    for example in examples:
        np.testing.assert_allclose(example.features.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(example.features.std(axis=0), 1, atol=1e-3)
        assert example.context.shape == (60, 15)
        assert example.places.min() == 0


@pytest.mark.parametrize("name", sorted(set(PEERS) - {"mean", "depth-only"}))
def test_every_peer_finds_a_signal_that_is_there(name: str, examples: list[Example]):
    (predicted,) = PEERS[name](examples[:2], examples[2:], 0)
    assert predicted.shape == examples[2].expression.shape
    assert predicted.dtype == np.float32
    assert mean_r(predicted, examples[2]) > 0.2


@pytest.mark.parametrize("name", sorted(set(PEERS) - {"depth-only"}))
def test_no_peer_looks_at_the_test_sections_expression_or_depth(name: str, examples: list[Example]):
    blind = replace(
        examples[2],
        expression=np.zeros_like(examples[2].expression),
        log_depth=np.zeros_like(examples[2].log_depth),
    )
    (seen,) = PEERS[name](examples[:2], examples[2:], 0)
    np.testing.assert_array_equal(PEERS[name](examples[:2], [blind], 0)[0], seen)


@pytest.mark.parametrize("peer", [contrastive.bleep, contrastive.mclstexp])
def test_a_seed_gives_the_same_digits(peer, examples: list[Example]):
    first, second = (peer(examples[:2], examples[2:], 7)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_mean_is_the_training_mean(examples: list[Example]):
    (predicted,) = linear.mean(examples[:2], examples[2:], 0)
    expected = np.concatenate([examples[0].expression, examples[1].expression]).mean(axis=0)
    np.testing.assert_allclose(predicted, np.tile(expected, (60, 1)), rtol=1e-6)


def test_a_peer_learns_from_targets_centred_per_section(sections: list[EncodedSection]):
    """What a section adds to all of its spots is not learned; the mean over sections is given back."""
    seen = []

    def zeros(train, tests, seed):
        seen.extend(example.expression for example in train)
        return [np.zeros_like(test.expression) for test in tests]

    fold = HeldOutSections(sections[:2], sections[2:], sections[0].genes)
    (centred,) = peer(zeros)(fold, 0)
    (plain,) = peer(zeros, as_they_are=True)(fold, 0)
    np.testing.assert_allclose([part.mean(axis=0) for part in seen[:2]], 0, atol=1e-5)
    assert not plain.expression.any()
    expected = np.mean([example.expression.mean(axis=0) for example in fold.examples[0]], axis=0)
    np.testing.assert_allclose(centred.expression, np.tile(expected, (60, 1)), rtol=1e-6)


def test_ridge_learns_from_a_single_section(examples: list[Example]):
    assert mean_r(linear.ridge(examples[:1], examples[2:], 0)[0], examples[2]) > 0.5
