from __future__ import annotations

import pytest
from anndata import AnnData

from histoscribe.errors import TableError
from histoscribe.imputer import Imputer
from histoscribe.imputer.checking import hidden_scores


def test_hiding_what_a_table_has_tells_how_well_it_comes_back(trained: Imputer, fresh: AnnData) -> None:
    fresh.X[:, 3] = 5.0
    scores = hidden_scores(trained, fresh[:, :30].copy())
    assert "GENE3" not in scores.index
    assert len(scores) == 29
    assert (scores["low"] <= scores["r"]).all()
    assert (scores["r"] <= scores["high"]).all()
    assert scores["r"].median() > 0.7
    with pytest.raises(TableError, match="too few to check"):
        hidden_scores(trained, fresh[:, :1].copy())
