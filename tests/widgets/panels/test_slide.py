"""The Slide panel, and the writers of the save dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageCms
from qtpy.QtCore import QPoint, Qt

from histoscribe.errors import SettingError, SlideError
from histoscribe.slide import Slide, open_slide
from histoscribe.widgets.contributions.launch import PLUGIN
from histoscribe.widgets.contributions.writers import write_image
from histoscribe.widgets.layers.layers import slide_layer

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture
def panel(panel_for: Callable[[str], Any], registered: None) -> Any:
    return panel_for("Slide")


@pytest.fixture
def rich_slide(make_slide: Callable[..., Slide]) -> Slide:
    """A slide with a label, a broken macro image and a profile."""

    def broken() -> np.ndarray:
        raise SlideError("its macro image cannot be read")

    label = np.zeros((40, 90, 3), np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return replace(
        make_slide(mpp=None),
        vendor="Aperio",
        objective=20.0,
        associated={"label": lambda: label, "macro": broken},
        profile=lambda: profile,
        warnings=("the µm per pixel are unknown",),
    )


def test_the_overview_has_a_frame_and_takes_one_where_one_clicks(
    viewer: Any, panel: Any, make_slide: Callable[..., Slide], qtbot: Any
) -> None:
    pixels, about, _ = slide_layer(make_slide())
    viewer.add_image(pixels, **about)
    view = panel.overview
    qtbot.waitUntil(lambda: not view.pixmap().isNull(), timeout=10_000)
    side = view.pixmap().width()
    viewer.fit_to_view()
    whole = view.frame()
    assert whole.width() >= side * 0.95
    assert whole.height() >= side * 0.95
    viewer.scene.camera.zoom *= 4
    assert view.frame().width() == pytest.approx(whole.width() / 4, rel=0.01)
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(side // 4, side // 2))
    assert viewer.scene.camera.center[-2:] == pytest.approx((100, 50), abs=2)  # 400 pixels of 0.5 µm
    assert view.frame().center().x() == pytest.approx(side / 4, abs=2)


def _add(viewer: Any, slide: Slide) -> Any:
    pixels, about, _ = slide_layer(slide)
    return viewer.add_image(pixels, **about)


def test_an_empty_viewer_is_told_what_to_do(panel: Any) -> None:
    assert "Open a slide" in panel.facts.text()
    assert not panel.apply_button.native.isEnabled()
    panel.set_mpp()


def test_facts_doubts_and_pictures(viewer: Any, panel: Any, rich_slide: Slide) -> None:
    _add(viewer, rich_slide)
    panel.reset_choices()
    assert "400 × 400 pixels" in panel.facts.text()
    assert "objective 20x" in panel.facts.text()
    assert "Mind: the µm per pixel are unknown" in panel.doubts.text()
    assert panel.which.value == "label"
    assert panel.picture.pixmap().width() == 260
    panel.which.value = "macro"
    assert "cannot be read" in panel.picture.text()


def test_a_stated_scale_moves_the_layer_to_micrometres(viewer: Any, panel: Any, rich_slide: Slide) -> None:
    layer = _add(viewer, rich_slide)
    panel.reset_choices()
    assert "unknown" in layer.name
    panel.mpp.value = 0.25
    panel.apply_button.native.click()
    assert tuple(layer.scale) == (0.25, 0.25)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert (layer.name, layer.metadata["slide"].mpp) == ("tissue", 0.25)


def test_colours_by_the_profile_and_back(viewer: Any, panel: Any, rich_slide: Slide) -> None:
    layer = _add(viewer, rich_slide)
    panel.reset_choices()
    before = np.asarray(layer.data[0])
    panel.managed.native.click()
    assert np.abs(np.asarray(layer.data[0]).astype(int) - before).max() <= 1
    assert layer.metadata["slide"] is rich_slide
    panel.managed.native.click()
    np.testing.assert_array_equal(np.asarray(layer.data[0]), before)


def test_the_scale_of_a_section_is_left_alone(viewer: Any, panel: Any, section: Any) -> None:
    from histoscribe.widgets.contributions.launch import show

    show(viewer, [section])
    panel.reset_choices()
    assert not panel.apply_button.native.isEnabled()


@pytest.mark.parametrize("ending", ["ome.tif", "ome.zarr"])
def test_the_save_dialog_writes_the_slide(
    viewer: Any, registered: None, make_slide: Callable[..., Slide], tmp_path: Path, ending: str
) -> None:
    slide = make_slide(mpp=0.5)
    layer = _add(viewer, slide)
    path = tmp_path / f"saved.{ending}"
    assert [str(entry) for entry in viewer.layers.save(str(path), plugin=PLUGIN)] == [str(path)]
    back = open_slide(path)
    assert (back.mpp, len(back.levels)) == (0.5, 2)
    np.testing.assert_array_equal(back.levels[0].pixels[:], np.asarray(layer.data[0]))


def test_any_rgb_layer_can_be_written_and_no_other(viewer: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (120, 90, 4), dtype=np.uint8)
    layer = viewer.add_image(pixels, rgb=True, scale=(0.5, 0.5), units=("um", "um"))
    write_image(str(tmp_path / "a.ome.tif"), *layer.as_layer_data_tuple()[:2])
    back = open_slide(tmp_path / "a.ome.tif")
    opaque = pixels[..., 3:] / 255
    np.testing.assert_allclose(
        back.levels[0].pixels[:], pixels[..., :3] * opaque + 255 * (1 - opaque), atol=1, err_msg="on white"
    )
    assert back.mpp == 0.5
    grey = viewer.add_image(pixels[..., 0])
    with pytest.raises(SettingError, match="8-bit RGB"):
        write_image(str(tmp_path / "b.ome.tif"), *grey.as_layer_data_tuple()[:2])


@pytest.mark.parametrize("raster", [False, True])
@pytest.mark.parametrize("angle", [0, 30])
def test_another_scale_takes_all_that_lies_on_the_slide_along(
    viewer: Any, panel: Any, make_section: Any, rich_slide: Slide, raster: bool, angle: float
) -> None:
    from histoscribe.tiles import Region
    from histoscribe.widgets.layers.layers import add_layer, placed_like, section_of, spot_layer
    from histoscribe.widgets.layers.maps import Map, show_map
    from histoscribe.widgets.layers.raster import raster_layer
    from histoscribe.widgets.layers.regions import described_regions, regions_of

    beneath = _add(viewer, rich_slide)
    beneath.rotate, beneath.translate = angle, (70, 90)
    section = replace(make_section(kind="predicted", slide=rich_slide), mpp=1.0, spot_um=40.0, pitch_um=40.0)
    obs = section.table.obs
    obs["array_row"], obs["array_col"] = ((section.centres - 60) // 40).astype(int).T
    described = raster_layer(section) if raster else spot_layer(section)
    spots = add_layer(viewer, placed_like(described, beneath))
    shown = show_map(viewer, spots, Map("one", "one", "unit", np.arange(float(section.table.n_obs))))
    region = Region("Tumour", (1, 2, 3), np.array([(100, 100), (100, 200), (250, 200)], float))
    drawn = add_layer(viewer, described_regions([region], 1.0, "regions", beneath))
    for mpp in (0.25, 0.7):
        panel.layer.value = beneath
        panel.mpp.value = mpp
        panel.set_mpp()
        again = section_of(spots)
        assert (again.mpp, again.slide.mpp, again.spot_um) == pytest.approx((mpp, mpp, 40 * mpp))
        for layer in (spots, shown):
            place = (1, 1) if raster else layer.data[9]
            np.testing.assert_allclose(
                beneath.world_to_data(layer.data_to_world(place)), (100, 100), atol=1e-6
            )
        for layer in (spots, beneath):
            (back,) = regions_of(drawn, layer)
            np.testing.assert_allclose(back.polygon, region.polygon, atol=1e-6)
        assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"micrometer"}


def test_a_scale_set_again_fits_the_view_and_leaves_other_tissue_alone(
    viewer: Any, panel: Any, rich_slide: Slide, make_slide: Callable[..., Slide]
) -> None:
    beneath, other = _add(viewer, rich_slide), _add(viewer, make_slide())
    other.translate = (9000, 0)
    lay, camera = other.data_to_world((0, 0)), viewer.scene.camera
    for mpp in (4.0, 0.25, 4.0):
        panel.layer.value = beneath
        panel.mpp.value = mpp
        panel.set_mpp()
        assert tuple(beneath.scale) == (mpp, mpp)
        assert (other.data_to_world((0, 0)), other.metadata["slide"].mpp) == (lay, 0.5)
        shown = camera.zoom, camera.center
        viewer.fit_to_view()
        assert (camera.zoom, camera.center) == shown
    assert panel.mpp.value == 4.0
