from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import TableError
from histoscribe.generator import Cohort, Generator
from histoscribe.generator.network import CODE
from histoscribe.generator.training.fitting import learn_directions, usable


def test_classes_of_one_sample_are_refused(cohort: Cohort) -> None:
    rows = np.r_[cohort.of("metastasis"), cohort.of("normal"), cohort.of("primary", cancer="BRCA")]
    lone = cohort.take(np.r_[rows, cohort.of("primary", cancer="LUSC")[:1]])
    with pytest.raises(TableError, match=r"one sample only.*LUSC \(primary\)"):
        Generator().fit(lone)


def test_a_cohort_without_metastases_is_refused(cohort: Cohort) -> None:
    with pytest.raises(TableError, match="0 metastases have primaries"):
        Generator().fit(cohort.take(cohort.kinds != "metastasis"))


def test_metastases_without_counterpart_are_left_out(cohort: Cohort) -> None:

    kept = usable(cohort.take(~((cohort.kinds == "normal") & (cohort.sites == "lung"))))
    assert set(kept.sites[kept.kinds == "metastasis"]) == {"liver"}


def test_main_directions_span_what_was_planted_whatever_the_sign() -> None:
    random = np.random.default_rng(0)
    blocks = np.kron(np.eye(4), np.ones(10))
    profiles = (random.gamma(1, 1, (200, 4)) @ blocks + random.normal(0, 0.05, (200, 40))).astype(np.float32)
    directions = learn_directions(profiles)
    assert directions.shape == (40, CODE)
    strong = np.abs(directions[:, :4]) > 0.3
    assert sorted(map(tuple, strong.T.astype(int).tolist())) == sorted(
        map(tuple, blocks.astype(int).tolist())
    )
    assert ((directions[:, :4] ** 3).sum(0) > 0).all()
    assert np.allclose(learn_directions(profiles), directions)
