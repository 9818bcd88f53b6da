"""The Clusters panel: categories, clusters, marker genes, scores of sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.maps import map_of
from histoscribe.widgets.panels.clusters.panel import CLUSTERS
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture
def panel(panel_for: Callable[[str], Any]) -> Any:
    return panel_for("Clusters")


def test_a_category_is_painted_with_its_legend(viewer: Any, panel: Any, section: Section) -> None:
    spots = range(section.table.n_obs)
    section.table.obs["tissue"] = ["Tumour" if number % 3 else "Stroma" for number in spots]
    section.table.obs["depth"] = spots
    section.table.obs["array_row"] = [number // 22 for number in spots]
    show(viewer, [section])
    assert panel.column.values == ["tissue"]
    assert "Stroma&nbsp;(22)" in panel.legend.text()
    panel.paint_button.click()
    found = map_of(viewer.layers[-1])
    assert found.classes == ("Stroma", "Tumour")
    assert viewer.layers[-1].name == f"{section.name}: tissue"
    assert sorted(set(viewer.layers[-1].features["tissue"])) == ["Stroma", "Tumour"]


def test_clusters_are_kept_and_have_marker_genes(viewer: Any, panel: Any, qtbot: Any) -> None:
    from histoscribe.simulate import simulate_section

    section = simulate_section(3, genes=40, size_um=1200)
    show(viewer, [section])
    panel.run_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
    assert panel.column.value == CLUSTERS
    assert CLUSTERS in section.table.obs
    assert map_of(viewer.layers[-1]).classes[0] == "1"
    panel.markers_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
    assert list(panel.table.frame)[:2] == ["effect", "log2_fold_change"]
    assert "p_adjusted" not in panel.table.frame
    assert panel.table.frame["effect"].abs().is_monotonic_decreasing
    assert "no p values" in panel.words.text()
    panel.view.setCurrentIndex(panel.table.index(0))
    assert state_of(viewer).gene == panel.table.gene_at(0)


def test_a_set_of_ones_own_is_scored(viewer: Any, panel: Any, section: Section, tmp_path: Path) -> None:
    show(viewer, [section])
    (tmp_path / "own.gmt").write_text("MINE\tmade here\tEPCAM\tERBB2\tCOL1A1\n")
    panel.open_sets(tmp_path / "own.gmt")
    assert panel.gene_set.value == "MINE"
    panel.score_button.click()
    assert map_of(viewer.layers[-1]).title == "MINE"
