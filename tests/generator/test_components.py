from __future__ import annotations

from pathlib import Path

import pytest

from histoscribe.errors import TableError
from histoscribe.generator import Generator
from histoscribe.generator.components import draw_components, loadings, parent_shares
from histoscribe.generator.network import CODE


def test_components_name_what_was_planted(generator: Generator) -> None:
    table = generator.components()
    found = set(table[table["adjusted"] < 0.05]["gene_set"])
    assert {"SITE_LIVER", "SQUAMOUS"} <= found
    by_set = table[table["adjusted"] < 0.05].groupby("gene_set")
    assert by_set["from_site"].max()["SITE_LIVER"] > 0.5
    assert by_set["from_primary"].max()["SQUAMOUS"] > 0.5
    assert (table["from_primary"] + table["from_site"] < 1.001).all()
    with pytest.raises(TableError, match="no gene set"):
        generator.components({"NONE": ("X", "Y")})


def test_shares_of_parents_and_loadings_have_a_row_a_component(generator: Generator) -> None:
    model = generator.fitted.model
    primary, site = parent_shares(model)
    assert primary.shape == site.shape == (CODE,)
    assert ((primary >= 0) & (site >= 0) & (primary + site <= 1.001)).all()
    assert loadings(model).shape == (CODE, len(generator.genes))


def test_components_are_drawn_as_a_picture(generator: Generator, tmp_path: Path) -> None:
    draw_components(generator.components(), tmp_path / "components.png")
    assert (tmp_path / "components.png").read_bytes().startswith(b"\x89PNG")
