"""The Generate panel: parents, a run, tables, a score on the tissue, undo and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from napari.utils.notifications import notification_manager

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.maps import map_of
from histoscribe.widgets.layers.strips import MAPS
from histoscribe.widgets.panels.generate.generation import GenerateRequest, Parent, generate, spots_of
from histoscribe.widgets.panels.generate.panel import GeneratePanel

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

MARKED = {"LUSC": slice(0, 20), "BRCA": slice(20, 40), "liver": slice(40, 60), "lung": slice(60, 80)}
GENES = tuple(f"GENE{number}" for number in range(100))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator trained in seconds; two cancers, two sites."""
    from histoscribe.generator import Generator

    random = np.random.default_rng(0)
    rows, obs = [], []
    for number in range(12):
        for kind, names in (
            *(("primary", (cancer,)) for cancer in ("LUSC", "BRCA")),
            *(("normal", (site,)) for site in ("liver", "lung")),
            *(("metastasis", (c, s)) for c in ("LUSC", "BRCA") for s in ("liver", "lung")),
        ):
            values = random.normal(6, 0.5, len(GENES))
            for name in names:
                values[MARKED[name]] += 4
            rows.append(values)
            cancer = names[0] if kind != "normal" else ""
            obs.append((kind, cancer, names[-1] if kind != "primary" else "", f"p{number}"))
    frame = pd.DataFrame(obs, columns=["sample_type", "cancer", "site", "patient"])
    frame.index = [f"s{number}" for number in range(len(frame))]
    table = anndata.AnnData(np.stack(rows).astype(np.float32), obs=frame, var=pd.DataFrame(index=list(GENES)))
    folder = tmp_path_factory.mktemp("generator") / "small"
    Generator(met_steps=30, mixing_steps=30).fit(table).save(folder)
    return folder


@pytest.fixture
def tissue(make_section: Callable[..., Section]) -> Section:
    """A section whose left half is LUSC and whose right half is liver."""
    section = make_section(genes=GENES)
    means = np.full((section.table.n_obs, len(GENES)), 4.0)
    left = section.centres[:, 1] < section.centres[:, 1].mean()
    means[left, MARKED["LUSC"]] = 60
    means[~left, MARKED["liver"]] = 60
    section.table.X = np.random.default_rng(0).poisson(means).astype(np.float32)
    return section


@pytest.fixture
def panel(viewer: Any, qtbot: Any, model: Path, tissue: Section) -> GeneratePanel:
    show(viewer, [tissue])
    panel = GeneratePanel(viewer)
    qtbot.addWidget(panel)
    panel.model.folder = model
    panel.samples.value = 30
    return panel


def run(panel: GeneratePanel, qtbot: Any) -> None:
    panel.start()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=30_000)


def outline(panel: GeneratePanel, viewer: Any, section: Section, left: bool) -> None:
    """Draw one half of the tissue as the primary's region."""
    panel.primary.inside.value = True
    panel.primary.region.add()
    middle = section.centres_um[:, 1].mean()
    sides = (-10, middle) if left else (middle, 10_000)
    viewer.layers["region"].add_polygons(
        [[-10, sides[0]], [-10, sides[1]], [10_000, sides[1]], [10_000, sides[0]]]
    )


def test_the_model_says_what_may_be_chosen(panel: GeneratePanel) -> None:
    assert panel.site.values == ["liver", "lung"]
    assert len(panel.cancer.values) == 3
    assert panel.run_button.isEnabled()
    assert not panel.undo_button.isEnabled()


def test_a_drawn_primary_becomes_tables_a_map_and_a_score_that_undo_takes_away(
    panel: GeneratePanel, viewer: Any, tissue: Section, qtbot: Any, tmp_path: Path
) -> None:
    outline(panel, viewer, tissue, left=True)
    run(panel, qtbot)
    assert panel.result is not None
    table = panel.result.table
    assert set(table.obs["cancer"]) == {"LUSC"}
    assert panel.genes.rowCount() == 100
    assert [group.name for group in panel.map.groups][-1] == "generated"
    (layer,) = [one for one in viewer.layers if one.name.startswith(f"{tissue.name}: towards liver")]
    score = np.asarray(layer.features["towards liver"])
    left = tissue.centres[:, 1] < tissue.centres[:, 1].mean()
    assert score[~left].mean() > score[left].mean() + 0.3
    assert map_of(layer).limits[1] >= 0.25
    panel.save(tmp_path / "made.h5ad")
    assert anndata.read_h5ad(tmp_path / "made.h5ad").obs["synthetic"].all()
    panel.undo()
    assert panel.result is None
    assert panel.genes.rowCount() == 0
    assert layer not in viewer.layers


def test_normal_tissue_may_come_from_the_same_section(
    panel: GeneratePanel, viewer: Any, tissue: Section, qtbot: Any
) -> None:
    panel.tissue.value = "A layer or table"
    panel.normal.inside.value = True
    panel.normal.region.add()
    middle = tissue.centres_um[:, 1].mean()
    viewer.layers["region"].add_polygons([[-10, middle], [-10, 10_000], [10_000, 10_000], [10_000, middle]])
    run(panel, qtbot)
    assert panel.result is not None
    assert panel.result.table.obs["normal"].iloc[0] == tissue.name


def test_regions_of_one_class_may_be_the_primary(
    panel: GeneratePanel, viewer: Any, tissue: Section, qtbot: Any
) -> None:
    outline(panel, viewer, tissue, left=True)
    middle, shapes = tissue.centres_um[:, 1].mean(), viewer.layers["region"]
    shapes.add_polygons([[-10, middle], [-10, 10_000], [10_000, 10_000], [10_000, middle]])
    shapes.features = pd.DataFrame({"class": ["Tumour", "Liver"]})
    panel.reset_choices()
    chooser = panel.primary.region
    assert chooser.only.values[1:] == ["Liver", "Tumour"]
    every = spots_of(panel.request().primary)
    chooser.only.value = "Tumour"
    panel.reset_choices()
    left = tissue.centres[:, 1] < tissue.centres[:, 1].mean()
    assert every.all()
    assert np.array_equal(spots_of(panel.request().primary), left)


def test_each_result_takes_the_place_of_the_last_with_its_scale(
    panel: GeneratePanel, viewer: Any, tissue: Section, qtbot: Any
) -> None:
    run(panel, qtbot)
    first = panel.added
    panel.site.value = "lung"
    run(panel, qtbot)
    assert first not in viewer.layers
    assert panel.added in viewer.layers
    (strip,) = viewer.canvas.overlays[MAPS].draw.strips
    assert strip[0].startswith("towards lung")


def test_the_panel_says_what_a_section_lacks_and_restoring_is_one_click(
    panel: GeneratePanel, viewer: Any, tissue: Section
) -> None:
    assert not panel.lacking.text()
    poor = tissue.with_table(tissue.table[:, 30:].copy())
    viewer.layers.clear()
    show(viewer, [poor])
    panel.reset_choices()
    assert "70 of the model's 100 genes" in panel.lacking.text()
    assert "Tick" in panel.lacking.text()
    panel.restore_first.value = True
    assert "imputer restores the others" in panel.lacking.text()
    assert panel.request().imputer is not None


@pytest.mark.parametrize("case", ["no region", "region without spots", "no model"])
def test_what_is_missing_is_said(
    panel: GeneratePanel, viewer: Any, qtbot: Any, tmp_path: Path, case: str
) -> None:
    said = []
    notification_manager.notification_ready.connect(lambda note: said.append(note.message))
    if case == "no model":
        panel.model.folder = tmp_path
    else:
        panel.primary.inside.value = True
    if case == "region without spots":
        panel.primary.region.add()
        viewer.layers["region"].add_polygons([[9000, 9000], [9000, 9010], [9010, 9010]])
    panel.start()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=30_000)
    words = {
        "no region": "no region is drawn", "region without spots": "no spot lies in this region",
        "no model": "there is no generator",
    }  # fmt: skip
    assert any(words[case] in message for message in said)
    assert panel.result is None


def test_missing_genes_are_restored_first(tissue: Section, model: Path, tmp_path: Path) -> None:
    from histoscribe.errors import TableError
    from histoscribe.imputer import Imputer
    from histoscribe.progress import Progress

    Imputer(steps=0, factors=5).fit(tissue).save(tmp_path / "imputer")
    poor = tissue.with_table(tissue.table[:, 30:].copy())
    request = GenerateRequest(model, Parent(poor), None, "liver", "LUSC", 10, 0)
    with pytest.raises(TableError, match="restore them by the imputer first"):
        generate(request, Progress())
    restored = GenerateRequest(model, Parent(poor), None, "liver", "LUSC", 10, 0, tmp_path / "imputer")
    made = generate(restored, Progress())
    assert made.table.shape == (10, 100)
    assert made.scores is not None
    assert "rests on 70 measured genes" in made.table.uns["histoscribe"]["notes"][-1]
