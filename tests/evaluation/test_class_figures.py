"""Volcano, heat map and dot plot: what stands where, and that up and down are apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from histoscribe.evaluation.class_figures import class_figure, figures_of, strongest, volcano_figure
from histoscribe.evaluation.regions import class_profile, differential_genes
from histoscribe.simulate import simulate_section


@pytest.fixture(scope="module")
def compared():
    section = simulate_section(3, genes=30, size_um=900)
    labels = np.where(section.centres[:, 0] < np.median(section.centres[:, 0]), "Upper", "Lower")
    counts = section.table.X.toarray()
    counts[labels == "Upper", 4] += 5000
    table = section.table.copy()
    table.X = type(section.table.X)(counts)
    section = section.with_table(table)
    return section, labels, differential_genes(section, labels, "Upper")


def test_a_profile_is_that_of_the_spots_of_each_class(compared):
    section, labels, _ = compared
    gene = section.genes[4]
    means, shares = class_profile(section, labels, [gene])
    assert list(means.columns) == ["Lower", "Upper"]
    assert means.at[gene, "Upper"] > means.at[gene, "Lower"]
    assert shares.at[gene, "Upper"] == 1
    alone = np.where(labels == "Upper", labels, "")
    beside, _ = class_profile(section, alone, [gene])
    assert list(beside.columns) == ["Upper", "outside"]
    assert beside.at[gene, "Upper"] > beside.at[gene, "outside"]


def test_up_and_down_stand_apart_and_the_planted_gene_leads(compared):
    section, labels, genes = compared
    up, down = strongest(genes)
    assert up[0] == section.genes[4]
    assert not set(up) & set(down)
    assert (genes.loc[down, "effect"] < 0).all()
    figures = figures_of(genes, section, labels)
    for name in ("heat map", "dot plot"):
        ticks = figures[name].axes[0].get_yticks()
        assert np.diff(ticks)[len(up) - 1] > 1.5  # a gap between up and down
        words = [one.get_text() for one in figures[name].axes[0].get_yticklabels()]
        assert words == [*up, *down]
    dots = figures["volcano"].axes[0].collections[1].get_offsets()
    assert len(dots) == (genes.loc[[*up, *down], "p_adjusted"] < 0.05).sum() < len(up) + len(down)
    assert section.genes[4] in [one.get_text() for one in figures["volcano"].axes[0].texts]


def test_predictions_have_no_p_values_in_their_volcano():
    genes = pd.DataFrame({"effect": [2.0, -1.0], "log2_fold_change": [1.0, np.nan]}, index=["A", "B"])
    axes = volcano_figure(genes).axes[0]
    assert "size of effect" in axes.get_ylabel()
    assert [one.get_text() for one in axes.texts] == ["A"]


def test_one_class_alone_can_be_drawn():
    means = pd.DataFrame({"Only": [1.0, 2.0]}, index=["A", "B"])
    assert class_figure(means, means / 2, 1, dots=False).axes
