from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.bulk import as_table
from histoscribe.errors import TableError
from histoscribe.generator.parents import bring, estimate_purity, mix


@given(st.floats(0.05, 1), st.integers(0, 5))
@settings(max_examples=30)
def test_mixing_stays_between_its_parents(purity: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    tumour, normal = random.uniform(0, 15, (2, 1, 40)).astype(np.float32)
    mixed = mix(tumour, normal, np.array([purity], dtype=np.float32))
    assert (mixed >= np.minimum(tumour, normal) - 1e-4).all()
    assert (mixed <= np.maximum(tumour, normal) + 1e-4).all()


def test_the_share_of_tumour_is_read_back() -> None:
    random = np.random.default_rng(0)
    tumour, normal = random.uniform(2, 14, (2, 400)).astype(np.float32)
    truth = np.linspace(0.2, 0.9, 30, dtype=np.float32)
    mixed = mix(np.repeat(tumour[None], 30, 0), np.repeat(normal[None], 30, 0), truth)
    noisy = mixed + random.normal(0, 0.3, mixed.shape).astype(np.float32)
    assert np.abs(estimate_purity(noisy, tumour, normal) - truth).mean() < 0.06


def parents(values: np.ndarray, genes: list[str], scale: str = "log2") -> object:
    frame = pd.DataFrame(index=[f"s{number}" for number in range(len(values))])
    table = anndata.AnnData(values.astype(np.float32), obs=frame, var=pd.DataFrame(index=genes))
    return as_table(table, name="mine", scale=scale)


GENES = tuple(f"GENE{number}X" for number in range(50))


def test_parents_are_brought_to_the_model_s_order_of_genes() -> None:
    random = np.random.default_rng(0)
    values, order = random.uniform(2, 12, (3, 50)), random.permutation(50)
    table = parents(values[:, order], [GENES[place] for place in order])
    found = bring(table, GENES, values.mean(0).astype(np.float32), adapt=False)
    assert np.allclose(found.values, values, atol=1e-5)
    assert found.names == ("s0", "s1", "s2")


@given(st.integers(0, 20), st.floats(0.3, 3), st.floats(0, 5))
@settings(max_examples=20)
def test_adapting_gives_each_profile_the_reference_s_values_in_its_own_order(
    seed: int, slope: float, offset: float
) -> None:
    random = np.random.default_rng(seed)
    values, reference = random.uniform(2, 12, (2, 50)), random.uniform(0, 15, 50).astype(np.float32)
    found = bring(parents(values * slope + offset, list(GENES)), GENES, reference, adapt=True)
    assert np.allclose(np.sort(found.values, 1), np.sort(reference), atol=1e-4)
    assert (found.values.argsort(1) == values.argsort(1)).all()


def test_few_missing_genes_stand_at_the_cohort_s_mean_and_many_stop() -> None:
    values = np.random.default_rng(0).uniform(2, 12, (3, 50))
    reference = values.mean(0).astype(np.float32)
    found = bring(parents(values[:, 8:], list(GENES[8:])), GENES, reference, adapt=False)
    assert np.allclose(found.values[:, :8], reference[:8])
    assert any("8 of 50" in note for note in found.notes)
    with pytest.raises(TableError, match="11 of the model's 50 genes are missing"):
        bring(parents(values[:, 11:], list(GENES[11:])), GENES, reference)
