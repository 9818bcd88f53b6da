"""What a method of the predictor's benchmark is given, what it gives back, and what peers share.

A method is called with `HeldOutSections` and a seed, learns once, and gives the target of each test section.
A peer is simpler: a function of training examples, test examples and a seed; `peer` makes a method of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps

import numpy as np

from histoscribe.arrays import Floats, Pixels, Wide
from histoscribe.graphs.spatial import context_means
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.target import Target, panel_expression

Tiles = Mapping[str, Pixels]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method says of one test section."""

    expression: Floats
    """Shape (spots, panel)."""
    low: Floats | None = None
    high: Floats | None = None
    """`low` and `high`: 90 % intervals, from methods that have them, shape (spots, panel)."""
    surety: Wide | None = None
    """How far the method trusts itself on each gene, shape (panel,)."""
    novelty: Floats | None = None
    """How unlike the training each spot looks, shape (spots,); above 1 it is unlike."""


@dataclass(frozen=True, eq=False)
class Example:
    """One section as a peer sees it."""

    features: Floats
    """Descriptors, each with mean 0 and standard deviation 1 over the section, shape (spots, d)."""
    context: Floats
    """The same, followed by their means within 1.5 and 3 pitches, shape (spots, 3 d)."""
    places: Floats
    """Spot centres in pitches from the section's corner as (row, column), shape (spots, 2)."""
    log_depth: Floats
    """log1p of all counts of a spot. Only the leakage probe may look at it on test sections. Shape (spots,
    1)."""
    expression: Floats
    """The target on the panel. No peer may look at it on test sections. Shape (spots, genes)."""
    tiles: Pixels | None = None
    """Pixels around the spots, for the peer that learns from them, shape (spots, side, side, 3)."""


@dataclass(frozen=True, eq=False)
class HeldOutSections:
    """One opened fold."""

    train: Sequence[EncodedSection]
    tests: Sequence[EncodedSection]
    """`train` and `tests`: of test sections a method looks at descriptors, places and tiles only."""
    panel: Sequence[str]
    """Genes that all sections have."""
    target: Target = "clean"
    tiles: Tiles = field(default_factory=dict)
    """Pixels around the spots by section name; empty where no method reads them."""

    @cached_property
    def examples(self) -> tuple[list[Example], list[Example]]:
        """Training and test sections as peers see them."""

        def seen(section: EncodedSection) -> Example:
            return make_example(section, self.panel, target=self.target, tiles=self.tiles.get(section.name))

        return [seen(section) for section in self.train], [seen(section) for section in self.tests]


Peer = Callable[[Sequence[Example], Sequence[Example], int], list[Floats]]


def peer(function: Peer, *, as_they_are: bool = False) -> Callable[[HeldOutSections, int], list[Prediction]]:
    """A method's `learn` from a function of examples.

    Unless `as_they_are`, it learns from targets centred per training section, as the default does (sections
    differ in depth and batch), and the mean over sections is added to what it says.
    """

    @wraps(function)
    def learn(fold: HeldOutSections, seed: int) -> list[Prediction]:
        train, tests = fold.examples
        if as_they_are:
            return [Prediction(found) for found in function(train, tests, seed)]
        own = [example.expression.mean(axis=0) for example in train]
        centred = [
            replace(example, expression=example.expression - middle)
            for example, middle in zip(train, own, strict=True)
        ]
        average = np.mean(own, axis=0)
        return [Prediction(found + average) for found in function(centred, tests, seed)]

    return learn


def make_example(
    section: EncodedSection, panel: Sequence[str], *, target: Target = "clean", tiles: Pixels | None = None
) -> Example:
    """Standardise the descriptors of a section and restrict its target to `panel`."""
    raw = section.features.astype(np.float64)
    features = ((raw - raw.mean(axis=0)) / (raw.std(axis=0) + 1e-6)).astype(np.float32)
    means = context_means(features, section.centres_um, section.pitch_um, (1.5, 3.0))
    places = (section.centres_um - section.centres_um.min(axis=0)) / section.pitch_um
    return Example(
        features=features,
        context=np.concatenate([features, means], axis=1),
        places=places.astype(np.float32),
        log_depth=np.log1p(section.depth[:, None]).astype(np.float32),
        expression=panel_expression(section, panel, target),
        tiles=tiles,
    )


def stacked(examples: Sequence[Example], name: str = "expression") -> Floats:
    """One of the arrays of all examples, one below the other."""
    return np.concatenate([getattr(example, name) for example in examples])
