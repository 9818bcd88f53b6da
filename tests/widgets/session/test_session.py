"""A session brings back what it saved, wherever it went, and says what it cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from PIL import Image

from histoscribe.errors import StorageError
from histoscribe.progress import Progress
from histoscribe.section import Section, write_section
from histoscribe.slide import open_slide
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.arrangement import is_side_by_side, side_by_side
from histoscribe.widgets.layers.layers import kind_of, section_of, slide_of
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.session.file import SUFFIX
from histoscribe.widgets.session.session import capture, restore
from histoscribe.widgets.session.sources import reopen, write_session
from histoscribe.widgets.state.state import state_of

MakeSection = Callable[..., Section]
UM = ("um", "um")


@pytest.fixture
def slide_file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    path = tmp_path / "data" / "tissue.png"
    path.parent.mkdir()
    Image.fromarray(rng.integers(120, 255, (400, 400, 3)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def full(slide_file: Path, make_section: MakeSection) -> ViewerModel:
    """A viewer with a measured and a predicted section on a slide from disk, regions, genes, panes."""
    viewer = ViewerModel()
    slide = open_slide(slide_file, mpp=0.5)
    measured, predicted = (make_section("A1", kind, slide=slide) for kind in ("measured", "predicted"))
    show(viewer, [measured, predicted])
    box = np.array([[20, 20], [20, 90], [80, 90], [80, 20]], float)
    viewer.add_shapes(
        [box, box + 60],
        shape_type=["polygon", "ellipse"],
        name="regions",
        features={"class": ["Tumour", "Stroma"]},
        edge_color=["red", "blue"],
        scale=(2, 2),
        translate=(5, 7),
        metadata={"classes": {"Tumour": [255, 0, 0]}, "live": object()},
        units=UM,
    )
    state = state_of(viewer)
    state.choose("CD3E")
    state.add("EPCAM")
    state.pin("MKI67")
    state.colour_map, state.low, state.high, state.shared = "magma", 5.0, 90.0, False
    side_by_side(viewer, False)
    spot_layers(viewer)[1].opacity = 0.4
    viewer.layers[0].visible = False
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 77, 88), 3.5
    paint(viewer, state)
    return viewer


def saved(viewer: ViewerModel, path: Path) -> Path:
    return write_session(capture(viewer, state_of(viewer)), path, Progress())


def brought_back(path: Path) -> ViewerModel:
    viewer = ViewerModel()
    restore(viewer, reopen(path, Progress()))
    return viewer


def test_everything_comes_back(full: ViewerModel, tmp_path: Path) -> None:
    back = brought_back(saved(full, tmp_path / f"s{SUFFIX}"))
    assert [layer.name for layer in back.layers] == [layer.name for layer in full.layers]
    assert state_of(back) == state_of(full)
    assert back.scene.camera.zoom == 3.5
    assert tuple(back.scene.camera.center[-2:]) == (77, 88)
    for old, new in zip(full.layers, back.layers, strict=True):
        assert (old.visible, old.opacity, old.units) == (new.visible, new.opacity, new.units)
    for old, new in zip(spot_layers(full), spot_layers(back), strict=True):
        assert kind_of(section_of(old)) == kind_of(section_of(new))
        np.testing.assert_allclose(new.data, old.data)
        np.testing.assert_allclose(new.face_color, old.face_color, atol=1e-6)
        assert section_of(new).slide.path == section_of(old).slide.path
    old, new = full.layers["regions"], back.layers["regions"]
    for place in range(2):
        corners = [[layer.data_to_world(one) for one in layer.data[place]] for layer in (old, new)]
        np.testing.assert_allclose(*corners)
    assert list(new.features["class"]) == ["Tumour", "Stroma"]
    assert list(new.shape_type) == ["polygon", "ellipse"]
    np.testing.assert_allclose(new.edge_color, old.edge_color)
    assert new.metadata["classes"] == {"Tumour": [255, 0, 0]}
    assert notification_manager.records[-1].message == "The session is back."


def test_slides_are_shared_again_between_their_layers(full: ViewerModel, tmp_path: Path) -> None:
    back = brought_back(saved(full, tmp_path / f"s{SUFFIX}"))
    slide = slide_of(next(layer for layer in back.layers if slide_of(layer) is not None))
    assert section_of(spot_layers(back)[0]).slide.levels is slide.levels


def test_regions_come_back_with_their_holes(viewer: Any, section: Section, tmp_path: Path) -> None:
    from histoscribe.tiles import Region
    from histoscribe.widgets.layers.regions import described_regions, regions_of

    hole = np.array([(20, 20), (20, 40), (40, 40)], float)
    outline = np.array([(0, 0), (0, 90), (90, 90), (90, 0)], float)
    regions = [
        Region("Tumour", (10, 20, 30), outline, (hole,), "first", "7", "x" * 9000),
        Region("Stroma", (0, 0, 9), hole),
    ]
    shapes, described, _ = described_regions(regions, 0.5, "regions")
    viewer.add_shapes(shapes, **described)
    back = brought_back(saved(viewer, tmp_path / f"s{SUFFIX}"))
    slide = back.add_points(np.zeros((0, 2)), metadata={"section": section})
    assert regions_of(back.layers["regions"], slide) == regions


def test_a_picture_of_many_regions_comes_back_where_it_was_moved(
    full: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.layers import Layer

    from histoscribe.tiles import Region
    from histoscribe.widgets.layers import regions as region_layers

    monkeypatch.setattr(region_layers, "MANY", 3)
    square = np.array([(0, 0), (0, 20), (20, 20), (20, 0)], float)
    regions = [
        Region("ab"[n % 2], (200, 0, n), square + 30 * n, (square[:3] / 4 + 30 * n + 2,)) for n in range(5)
    ]
    beneath = spot_layers(full)[0]
    many = Layer.create(*region_layers.described_regions(regions, 0.5, "many", beneath))
    full.add_layer(many)
    many.translate = np.add(many.translate, (12, 7))
    many.scale = np.multiply(many.scale, (2, 1))
    before = region_layers.regions_of(many, beneath)
    path = saved(full, tmp_path / "there" / f"s{SUFFIX}")
    shutil.move(tmp_path / "there", tmp_path / "elsewhere")
    back = brought_back(tmp_path / "elsewhere" / path.name)
    for again, one in zip(
        region_layers.regions_of(back.layers["many"], spot_layers(back)[0]), before, strict=True
    ):
        assert (again.name, again.colour) == (one.name, one.colour)
        for ring, other in zip((again.polygon, *again.holes), (one.polygon, *one.holes), strict=True):
            np.testing.assert_allclose(ring, other, atol=1e-6)
    assert capture(full, state_of(full)).left_out == ()
    saved(full, tmp_path / "elsewhere" / path.name)
    assert len(list((tmp_path / "elsewhere").glob("*/*.geojson"))) == 1
    for kept in (tmp_path / "elsewhere").glob("*/*.geojson"):
        kept.unlink()
    assert "many" not in [layer.name for layer in brought_back(tmp_path / "elsewhere" / path.name).layers]
    assert "is no longer there" in notification_manager.records[-1].message


def test_panes_come_back(full: ViewerModel, tmp_path: Path) -> None:
    full.layers[0].visible = True
    side_by_side(full, True)
    back = brought_back(saved(full, tmp_path / f"s{SUFFIX}"))
    assert is_side_by_side(back)
    assert back.canvas.grid.actual_shape(back.layers) == full.canvas.grid.actual_shape(full.layers)
    assert len(back.layers) == len(full.layers)


def test_a_moved_folder_still_opens(full: ViewerModel, tmp_path: Path) -> None:
    saved(full, tmp_path / "data" / f"s{SUFFIX}")
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    back = brought_back(tmp_path / "elsewhere" / f"s{SUFFIX}")
    assert section_of(spot_layers(back)[0]).slide.path == tmp_path / "elsewhere" / "tissue.png"
    assert "is back." in notification_manager.records[-1].message


def test_a_missing_slide_is_told_and_the_rest_loads(
    full: ViewerModel, tmp_path: Path, slide_file: Path
) -> None:
    path = saved(full, tmp_path / f"s{SUFFIX}")
    slide_file.unlink()
    back = brought_back(path)
    assert len(spot_layers(back)) == 2
    assert "regions" in back.layers
    told = notification_manager.records[-1].message
    assert "tissue.png" in told
    assert "no longer there" in told


def test_a_missing_table_is_told_and_the_rest_loads(full: ViewerModel, tmp_path: Path) -> None:
    path = saved(full, tmp_path / f"s{SUFFIX}")
    next((tmp_path / "s.files").iterdir()).unlink()
    back = brought_back(path)
    assert len(spot_layers(back)) == 1
    assert "regions" in back.layers
    assert "could not be brought back" in notification_manager.records[-1].message


def test_tables_that_lie_in_a_file_are_named_not_copied(
    section: Section, tmp_path: Path, registered: None
) -> None:
    write_section(replace(section, slide=None), tmp_path / "a.h5ad")
    viewer = ViewerModel()
    viewer.open(tmp_path / "a.h5ad", plugin=PLUGIN)
    path = saved(viewer, tmp_path / f"s{SUFFIX}")
    assert not (tmp_path / "s.files").exists()
    (source,) = json.loads(path.read_text())["sources"]
    assert source["path"] == "a.h5ad"
    again = saved(brought_back(path), tmp_path / f"t{SUFFIX}")
    assert json.loads(again.read_text())["sources"][0]["path"] == "a.h5ad"


def test_sections_of_a_cohort_come_back_from_it(
    make_section: MakeSection, tmp_path: Path, registered: None
) -> None:
    for name in ("A1", "B2"):
        write_section(replace(make_section(name), slide=None), tmp_path / f"{name}.h5ad")
    (tmp_path / "cohort.csv").write_text("section,patient,path\nA1,P,A1.h5ad\nB2,Q,B2.h5ad\n")
    viewer = ViewerModel()
    viewer.open(tmp_path / "cohort.csv", plugin=PLUGIN)
    path = saved(viewer, tmp_path / f"s{SUFFIX}")
    back = reopen(path, Progress())
    assert back.lost == ()
    assert [(one.name, one.patient) for one in back.sections.values()] == [("A1", "P"), ("B2", "Q")]
    (tmp_path / "cohort.csv").write_text("section,patient,path\nB2,Q,B2.h5ad\n")
    (lost,) = reopen(path, Progress()).lost
    assert "no longer lists A1" in lost


def test_saving_again_keeps_no_old_tables(full: ViewerModel, tmp_path: Path) -> None:
    path = saved(full, tmp_path / f"s{SUFFIX}")
    foreign = tmp_path / "s.files" / "mine.h5ad"
    foreign.write_text("mine")
    saved(full, path)
    assert len(list((tmp_path / "s.files").iterdir())) == 3
    assert foreign.exists()
    before = brought_back(path)
    saved(before, path)
    assert len(list((tmp_path / "s.files").iterdir())) == 3
    assert len(spot_layers(brought_back(path))) == 2


def test_a_session_is_written_whole_or_not_at_all(
    full: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(full, tmp_path / f"s{SUFFIX}")
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise StorageError("no space", where=path)

    monkeypatch.setattr("histoscribe.widgets.session.sources.write_content", full_disk)
    with pytest.raises(StorageError):
        saved(full, path)
    assert path.read_bytes() == before
    assert len(spot_layers(brought_back(path))) == 2


def test_painted_points_come_back(viewer: Any, tmp_path: Path) -> None:
    places = np.array([(1, 2), (3, 4), (5, 6)], float)
    score = [0.1, 0.5, 0.9]
    layer = viewer.add_points(
        places,
        name="score",
        size=[3, 4, 5],
        features={"score": score},
        face_color="score",
        scale=(2, 2),
        units=UM,
    )
    back = brought_back(saved(viewer, tmp_path / f"s{SUFFIX}")).layers["score"]
    np.testing.assert_allclose(back.face_color, layer.face_color)
    np.testing.assert_allclose([back.data_to_world(place) for place in back.data], 2 * places)
    assert list(back.size) == [3, 4, 5]
    assert list(back.features["score"]) == score


def test_other_layers_are_named(viewer: Any) -> None:
    viewer.add_vectors(np.zeros((1, 2, 2)), name="arrows")
    assert capture(viewer, state_of(viewer)).left_out == ("arrows",)


def test_addresses_on_the_network_are_not_followed(full: ViewerModel, tmp_path: Path) -> None:
    path = saved(full, tmp_path / f"s{SUFFIX}")
    content = json.loads(path.read_text())
    content["sources"][0]["path"] = "https://example.org/a.zarr"
    path.write_text(json.dumps(content))
    assert "lies on the network" in reopen(path, Progress()).lost[0]


@pytest.mark.viewer
def test_a_session_is_viewed_from_the_shell(
    full: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from histoscribe.cli.app import app

    given: list[Any] = []
    monkeypatch.setattr("histoscribe.widgets.contributions.launch.view", given.extend)
    path = saved(full, tmp_path / f"s{SUFFIX}")
    done = CliRunner().invoke(app, ["view", str(path)])
    assert done.exit_code == 0, done.output
    assert given == [path]


@pytest.mark.viewer
def test_a_session_is_viewed_with_what_else_is_named(
    full: ViewerModel,
    tmp_path: Path,
    make_napari_viewer: Any,
    registered: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from histoscribe.widgets.contributions.launch import view

    window = make_napari_viewer()
    monkeypatch.setattr("napari.Viewer", lambda **_: window)
    view([saved(full, tmp_path / f"s{SUFFIX}")], block=False)
    assert len(spot_layers(window)) == 2
    assert state_of(window).gene == "CD3E"


@pytest.mark.viewer
def test_a_session_is_dropped_into_the_window(
    full: ViewerModel, tmp_path: Path, make_napari_viewer_proxy: Any, registered: None
) -> None:
    path = saved(full, tmp_path / f"s{SUFFIX}")
    window = make_napari_viewer_proxy()
    window.open(path, plugin=PLUGIN)
    assert [layer.name for layer in window.layers] == [layer.name for layer in full.layers]
    assert state_of(window).gene == "CD3E"
