"""The Impute panel: checking, restoring, undoing, explaining, tables without a layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.utils.notifications import notification_manager

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.parts.gene_list import SCORE_ROLE
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

HIDDEN = 10


@pytest.fixture(scope="module")
def whole() -> Section:
    from histoscribe.simulate import simulate_section

    return simulate_section(3, genes=40, size_um=1200)


@pytest.fixture(scope="module")
def lacking(whole: Section) -> Section:
    """The same section without every fourth gene."""
    kept = [gene for place, gene in enumerate(whole.genes) if place % 4]
    return whole.with_table(whole.table[:, kept].copy())


@pytest.fixture(scope="module")
def model(whole: Section, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from histoscribe.imputer import Imputer
    from histoscribe.simulate import simulate_section

    folder = tmp_path_factory.mktemp("imputer") / "model"
    Imputer(factors=8, steps=0).fit(simulate_section(4, genes=40, size_um=1200)).save(folder)
    return folder


@pytest.fixture
def panel(panel_for: Callable[[str], Any], model: Path) -> Any:
    panel = panel_for("Impute")
    panel.model.folder = model
    return panel


@pytest.fixture
def done(panel: Any, qtbot: Any) -> Callable[[], None]:
    return lambda: qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)


def test_missing_genes_are_restored_marked_and_undone(
    viewer: Any,
    panel_for: Callable[[str], Any],
    panel: Any,
    lacking: Section,
    whole: Section,
    done: Callable[[], None],
) -> None:
    show(viewer, [lacking])
    beside = panel_for("Genes")  # held, or it is collected
    listed = beside.genes
    panel.check_button.click()
    done()
    missing = set(whole.genes) - set(lacking.genes)
    assert set(panel.genes.shown) <= missing
    assert "can be restored" in panel.words.text()
    assert "cannot be checked here" in panel.words.text()
    assert panel.genes.data(panel.genes.index(0), SCORE_ROLE) is None
    panel.which.value = "checked"
    assert set(panel.genes.shown) <= set(lacking.genes)
    assert panel.genes.data(panel.genes.index(0), SCORE_ROLE) is not None
    checked = panel.words.text()
    panel.run_button.click()
    assert not panel.run_button.isEnabled()
    done()
    (restored, measured) = sorted(spot_layers(viewer), key=lambda layer: "restored" not in layer.name)
    assert panel.words.text().endswith(checked)
    panel.which.value = "checked"
    assert panel.genes.shown
    table = restored.metadata["adata"]
    assert all(listed.data(listed.index(row), SCORE_ROLE) is None for row in range(listed.rowCount()))
    assert state_of(viewer).gene in missing
    assert set(table.var_names[table.var["restored"] > 0]) <= missing
    assert not table[:, lacking.genes].layers["mask"].any()
    np.testing.assert_allclose(restored.data, measured.data)
    texts = [listed.index(row).data() for row in range(listed.rowCount())]
    assert {text.split()[0] for text in texts if text.endswith("restored")} == set(
        table.var_names[table.var["restored"] > 0]
    )
    panel.undo_button.click()
    assert spot_layers(viewer) == [measured]
    assert not panel.undo_button.isEnabled()


def test_what_was_measured_is_offered_before_what_was_predicted(
    viewer: Any, panel: Any, make_section: Callable[..., Section]
) -> None:
    show(viewer, [make_section("A1"), make_section("A1", kind="predicted")])
    assert panel.source.choice.value.name == "A1 measured"


def test_what_carried_a_gene_is_shown_and_written(
    viewer: Any, panel: Any, lacking: Section, done: Callable[[], None], tmp_path: Path
) -> None:
    show(viewer, [lacking])
    panel.start()
    done()
    gene = panel.marked
    panel.carried_button.click()
    done()
    view = panel.views[-1]
    assert gene in view.windowTitle()
    assert view.table.rowCount() >= len(lacking.genes) - 1
    view.save(tmp_path / "carriers.csv")
    written = pd.read_csv(tmp_path / "carriers.csv", index_col=0)
    assert set(written.index) <= set(lacking.genes)
    panel.save(tmp_path / "restored.h5ad")
    from histoscribe.section import open_section

    assert gene in open_section(tmp_path / "restored.h5ad").genes


def test_a_table_without_a_layer_is_restored_mapped_and_saved(
    viewer: Any, panel: Any, lacking: Section, done: Callable[[], None], tmp_path: Path
) -> None:
    counts = pd.DataFrame(
        lacking.table.X.toarray(), index=lacking.table.obs_names, columns=lacking.table.var_names
    )
    counts.to_csv(tmp_path / "bulk.csv")
    pd.DataFrame({"kind": np.arange(len(counts)) % 3}, index=counts.index).to_csv(tmp_path / "bulk.meta.csv")
    panel.source.open(tmp_path / "bulk.csv")
    assert panel.run_button.isEnabled()
    panel.start()
    done()
    assert spot_layers(viewer) == []
    panel.map_button.click()
    view = panel.views[-1]
    assert view.colour.currentText() == "kind"
    assert [group.name for group in view.map.groups] == ["0", "1", "2"]
    panel.save(tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv", index_col=0).shape == (len(counts), 40)
    assert (tmp_path / "out.sd.csv").exists()


def test_learning_from_another_layer(
    viewer: Any, panel: Any, lacking: Section, whole: Section, done: Callable[[], None]
) -> None:
    show(viewer, [whole, lacking])
    teacher, learner = (
        next(layer for layer in spot_layers(viewer) if section_of(layer) is one) for one in (whole, lacking)
    )
    assert panel.model.known.get_choice(f"Learn from {teacher.name}") is teacher
    panel.model.value = teacher
    assert not panel.tune.enabled
    panel.source.choice.value = learner
    panel.start()
    done()
    assert any("restored" in layer.name for layer in spot_layers(viewer))


def test_what_cannot_be_done_is_told(
    viewer: Any, panel: Any, whole: Section, done: Callable[[], None], tmp_path: Path
) -> None:
    assert not panel.run_button.isEnabled()
    panel.start()
    assert "nothing to restore" in notification_manager.records[-1].message
    (tmp_path / "bad.csv").write_text("hello\nworld\n")
    panel.source.open(tmp_path / "bad.csv")
    assert "bad.csv" in notification_manager.records[-1].message
    show(viewer, [whole])
    panel.start()
    done()
    assert "nothing is missing" in notification_manager.records[-1].message


def test_cancelling_leaves_everything_as_it_was(
    viewer: Any, panel: Any, lacking: Section, done: Callable[[], None]
) -> None:
    show(viewer, [lacking])
    panel.start()
    panel.tasks.cancel()
    done()
    assert len(spot_layers(viewer)) == 1
    assert "stopped" in notification_manager.records[-1].message
