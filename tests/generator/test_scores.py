from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from histoscribe.errors import RegionError
from histoscribe.generator import Generator
from histoscribe.generator.parents import pseudo_bulk
from histoscribe.generator.result import spot_scores


def test_spots_become_one_profile_and_get_a_score(generator: Generator, primaries: anndata.AnnData) -> None:
    from histoscribe.section import Section

    random = np.random.default_rng(0)
    made = generator.generate(primaries, site="liver", samples=20)
    along = made.var["change"].to_numpy() * np.repeat([0.0, 1.0], 20)[:, None]
    counts = random.poisson(np.exp2(made.var["primary"].to_numpy() + along - 2))
    table = anndata.AnnData(
        counts.astype(np.float32), var=pd.DataFrame(index=list(generator.genes)),
        obsm={"spatial": random.uniform(0, 100, (40, 2))}, uns={"histoscribe": {"kind": "measured"}},
    )  # fmt: skip
    section = Section("A1", table, None, 0.5, 55.0, 100.0, "P1")
    first = np.arange(40) < 20
    whole = pseudo_bulk(section, first, name="tumour")
    assert np.array_equal(whole.table.X[0], counts[:20].sum(0))
    assert whole.scale == "counts"
    scores = spot_scores(section, made, first)
    assert abs(scores[:20].mean()) < 0.05
    assert 0.6 < scores[20:].mean() < 1.2
    with pytest.raises(RegionError, match="no spot lies"):
        pseudo_bulk(section, np.zeros(40, dtype=bool))
    table.uns["histoscribe"]["kind"] = "predicted"
    table.X = np.log1p(table.X)
    assert np.allclose(np.expm1(pseudo_bulk(section, first).table.X), counts[:20].mean(0), rtol=1e-3)
