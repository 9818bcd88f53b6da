"""Opening a `feature_slice.h5` in the viewer: in the preferred bins, and back with a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from histoscribe.progress import Progress
from histoscribe.widgets.contributions.launch import PLUGIN
from histoscribe.widgets.contributions.readers import get_reader, opened, read
from histoscribe.widgets.jobs.tasks import JobDialog
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.layers.raster import is_raster
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.session.file import SUFFIX
from histoscribe.widgets.session.session import capture, restore
from histoscribe.widgets.session.sources import reopen, write_session
from histoscribe.widgets.state.state import state_of
from runs.hd import simulate_hd
from runs.spaceranger_hd import write_spaceranger_hd


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Visium HD run as Space Ranger writes it."""
    folder = tmp_path_factory.mktemp("hd") / "hd"
    write_spaceranger_hd(simulate_hd(3, name="hd", genes=20), folder / "outs")
    return folder


@pytest.fixture
def settings(plugin_settings: None, registered: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin's settings in a file of the test's own; already a few bins are drawn as a raster."""
    from napari.settings import get_plugin_settings

    monkeypatch.setattr("histoscribe.widgets.layers.opened.MOST_POINTS", 100)
    return get_plugin_settings(PLUGIN)


def test_other_hdf5_files_are_left_to_others(run: Path, tmp_path: Path) -> None:
    assert get_reader(str(run / "outs" / "feature_slice.h5")) is read
    with h5py.File(tmp_path / "my_feature_slice.h5", "w") as file:
        file["something"] = 1
    (tmp_path / "broken_feature_slice.h5").write_bytes(b"\x89HDF")
    for name in ("my_feature_slice.h5", "broken_feature_slice.h5", "absent_feature_slice.h5"):
        assert get_reader(str(tmp_path / name)) is None


@pytest.mark.viewer
@pytest.mark.usefixtures("own_settings")
@pytest.mark.parametrize("bin_um", [8, 16])
def test_it_opens_in_the_preferred_bins_and_comes_back(
    run: Path, settings: Any, make_napari_viewer_proxy: Any, tmp_path: Path, bin_um: int
) -> None:
    settings.opening.bin_um = str(bin_um)
    window = make_napari_viewer_proxy()
    window.open(str(run / "outs" / "feature_slice.h5"), plugin=PLUGIN)
    (layer,) = spot_layers(window)
    assert is_raster(layer)
    section = section_of(layer)
    assert section.spot_um == bin_um
    np.testing.assert_allclose(layer.scale, bin_um)
    viewer = unwrapped(window)
    path = write_session(capture(viewer, state_of(viewer)), tmp_path / f"s{SUFFIX}", Progress())
    settings.opening.bin_um = "2"
    again = make_napari_viewer_proxy()
    restore(unwrapped(again), reopen(path, Progress()))
    assert section_of(spot_layers(again)[0]).spot_um == bin_um
    assert not (tmp_path / "s.files").exists()


@pytest.mark.viewer
@pytest.mark.usefixtures("own_settings")
def test_stopping_adds_nothing_and_says_so(
    run: Path, settings: Any, make_napari_viewer_proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobDialog, "show", lambda dialog: dialog.reject())
    window = make_napari_viewer_proxy()
    assert window.open(str(run / "outs" / "feature_slice.h5"), plugin=PLUGIN) == []
    assert not window.layers
    told = notification_manager.records[-1]
    assert (str(told.severity), "stopped on request" in told.message) == ("info", True)


@pytest.mark.viewer
@pytest.mark.usefixtures("own_settings")
def test_folders_open_in_the_preferred_bins_where_they_have_them(run: Path, settings: Any) -> None:
    assert opened(run)[0].spot_um == 8
    for wished, found in ((16, 16), (2, 2), (4, 8)):
        settings.opening.bin_um = str(wished)
        assert opened(run)[0].spot_um == found
    assert opened(run / "outs" / "feature_slice.h5")[0].spot_um == 4
