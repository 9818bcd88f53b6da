"""Pictures in true scale, tables that others read, and a report that needs no network."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscribe.errors import SettingError
from histoscribe.formats import write
from histoscribe.palette import round_length
from histoscribe.progress import Progress
from histoscribe.section import Section, log_gene, open_section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.arrangement import side_by_side
from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.layers.painting import rim, spot_layers
from histoscribe.widgets.panels.export.panel import ExportPanel
from histoscribe.widgets.panels.export.picture import picture_of, save_picture
from histoscribe.widgets.panels.export.report import content_of, write_report
from histoscribe.widgets.state.state import state_of

MakeSection = Callable[..., Section]
UM = ("um", "um")


@pytest.fixture
def shown(viewer: Any, section: Section) -> Any:
    """A model of a viewer with one section, EPCAM painted."""
    show(viewer, [section])
    state_of(viewer).choose("EPCAM")
    return viewer


def axes_of(picture: Any) -> Any:
    return picture.figure.axes[0]


def test_a_pane_shows_as_many_um_as_the_camera_says(shown: Any) -> None:
    shown.canvas.size, shown.scene.camera.zoom, shown.scene.camera.center = (300, 500), 2.0, (0, 90, 100)
    picture = picture_of(shown, state_of(shown), dpi=100)
    axes = axes_of(picture)
    assert axes.get_xlim() == pytest.approx((100 - 125, 100 + 125))
    assert axes.get_ylim() == pytest.approx((90 + 75, 90 - 75))
    inches = axes.get_window_extent().transformed(picture.figure.dpi_scale_trans.inverted())
    assert 250 / inches.width == pytest.approx(picture.um_per_inch)


def test_the_scale_bar_is_as_long_as_it_says(shown: Any) -> None:
    axes = axes_of(picture_of(shown, state_of(shown)))
    words = next(text.get_text() for text in axes.texts)
    (bar,) = axes.lines
    assert float(words.removesuffix(" µm")) == pytest.approx(float(np.ptp(bar.get_xdata())))


@pytest.mark.parametrize(("most", "length"), [(130, 100), (499, 200), (500, 500), (0.07, 0.05), (1e4, 1e4)])
def test_bars_have_round_lengths(most: float, length: float) -> None:
    assert round_length(most) == pytest.approx(length)


def test_pixels_lie_where_the_viewer_has_them(viewer: Any, tmp_path: Path) -> None:
    """A white square of 20 µm at (30, 60) µm on black, drawn from the finer of two levels."""
    fine = np.zeros((200, 200, 3), np.uint8)
    fine[60:100, 120:160] = 255
    viewer.add_image([fine, fine[::2, ::2]], multiscale=True, rgb=True, scale=(0.5, 0.5), units=UM)
    viewer.canvas.size, viewer.scene.camera.zoom = (400, 400), 4.0
    viewer.scene.camera.center = (0, 50 - 0.25, 50 - 0.25)
    picture = picture_of(viewer, state_of(viewer), dpi=100)
    save_picture(picture, tmp_path / "a.png")
    from PIL import Image

    drawn = np.asarray(Image.open(tmp_path / "a.png").convert("L"), dtype=float)
    box = axes_of(picture).get_window_extent()
    inside = drawn[round(len(drawn) - box.y1) : round(len(drawn) - box.y0), round(box.x0) : round(box.x1)]
    rows, columns = np.nonzero(inside[:320] > 200)
    assert (rows.min() / 4, rows.max() / 4) == pytest.approx((30, 50), abs=1)
    assert (columns.min() / 4, columns.max() / 4) == pytest.approx((60, 80), abs=1)


def test_every_kind_of_layer_is_drawn_or_named(shown: Any) -> None:
    box = np.array([[50, 50], [50, 90], [90, 90], [90, 50]], float)
    shown.add_shapes([box, box[:2]], shape_type=["polygon", "line"], units=UM)
    shown.add_labels(np.arange(100).reshape(10, 10), units=UM)
    shown.add_image(np.full((5, 5), np.nan), units=UM)
    shown.add_vectors(np.zeros((1, 2, 2)), name="arrows", units=UM)
    picture = picture_of(shown, state_of(shown), dpi=72)
    assert picture.left_out == ("arrows",)
    spots, outlines = axes_of(picture).collections
    assert len(spots.get_offsets()) == 64
    assert len(outlines.get_paths()) == 1
    assert len(axes_of(picture).images) == 3


def test_panes_and_colour_bars_are_those_on_screen(viewer: Any, make_section: MakeSection) -> None:
    show(viewer, [make_section("A1"), make_section("B12")])
    state = state_of(viewer)
    state.choose("EPCAM")
    state.add("CD3E")
    side_by_side(viewer, True)
    figure = picture_of(viewer, state, dpi=72).figure
    assert [axes.get_title() for axes in figure.axes[:2]] == ["A1 measured", "B12 measured"]
    words = [axes.get_title(loc="left") for axes in figure.axes[2:]]
    assert words == [f"{gene}, log1p of counts per 10,000" for gene in ("EPCAM", "CD3E")]
    state.choose("EPCAM")
    state.shared = False
    words = [axes.get_title(loc="left") for axes in picture_of(viewer, state, dpi=72).figure.axes[2:]]
    assert all(found.endswith(f"({name} measured)") for found, name in zip(words, ("A1", "B12"), strict=True))


def test_a_picture_says_what_it_shows(viewer: Any, make_section: MakeSection) -> None:
    predicted = make_section("A1", kind="predicted")
    own = predicted.table.uns["histoscribe"]
    predicted.table.uns["histoscribe"] = own | {"model_name": "her2st-breast", "training_sections": ["B1"]}
    show(viewer, [make_section("A1"), predicted])
    square = np.array([[20, 20], [20, 90], [90, 90], [90, 20]])
    viewer.add_shapes(
        [square],
        name="r",
        units=UM,
        features={"class": ["Tumour"]},
        edge_color="red",
        face_color="transparent",
    )
    rim(viewer.layers[1], np.arange(3))
    picture = picture_of(viewer, state_of(viewer))
    words = " ".join(text.get_text() for text in picture.figure.texts)
    assert "A1, patient P1: measured." in words
    assert "A1, patient P1: predicted by her2st-breast, not measured" in words
    assert "3 chosen spots of A1 measured have a rim." in words
    (legend,) = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Tumour"]


def test_png_svg_and_pdf_are_whole_files(shown: Any, tmp_path: Path) -> None:
    picture = picture_of(shown, state_of(shown), dpi=72)
    for kind in (".png", ".svg", ".pdf"):
        save_picture(picture, tmp_path / f"view{kind}")
    assert (tmp_path / "view.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "view.pdf").read_bytes()[:5] == b"%PDF-"
    svg = (tmp_path / "view.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(svg)
    assert ">EPCAM, log1p of counts per 10,000<" in svg
    with pytest.raises(SettingError, match="PNG, SVG or PDF"):
        save_picture(picture, tmp_path / "view.bmp")


def test_what_cannot_be_drawn_is_refused(viewer: Any, section: Section) -> None:
    with pytest.raises(SettingError, match="nothing to draw"):
        picture_of(viewer, state_of(viewer))
    show(viewer, [section])
    viewer.canvas.size = (4000, 4000)
    with pytest.raises(SettingError, match="too large"):
        picture_of(viewer, state_of(viewer), dpi=1200)


def test_a_csv_has_places_in_um_and_values_as_painted(section: Section, tmp_path: Path) -> None:
    import pandas as pd

    write(section, tmp_path / "a.csv", genes=["EPCAM", "absent"])
    table = pd.read_csv(tmp_path / "a.csv", index_col="spot")
    np.testing.assert_allclose(table[["y_um", "x_um"]], section.centres_um)
    np.testing.assert_allclose(table["EPCAM"], log_gene(section, "EPCAM"), rtol=1e-5)
    assert "absent" not in table
    with pytest.raises(SettingError, match="cannot be written as"):
        write(section, tmp_path / "a.xlsx")


def test_an_h5ad_is_the_section_itself(section: Section, tmp_path: Path) -> None:
    write(section, tmp_path / "a.h5ad")
    back = open_section(tmp_path / "a.h5ad")
    assert (back.table.X != section.table.X).nnz == 0
    np.testing.assert_allclose(back.centres_um, section.centres_um)


def test_a_report_names_all_and_reaches_nowhere(
    viewer: Any, make_section: MakeSection, tmp_path: Path
) -> None:
    measured = make_section("A1")
    predicted = make_section("A1", "predicted", slide=measured.slide)
    predicted.table.uns["histoscribe"] |= {"model_sha256": "ab" * 32, "training_sections": ["B1", "<C1>"]}
    show(viewer, [measured, predicted])
    state_of(viewer).choose("ERBB2")
    box = np.array([[0, 0], [0, 1000], [500, 1000], [500, 0]], float)
    viewer.add_shapes([box, box], features={"class": ["Tumour", "Stroma"]}, units=UM, name="regions")
    write_report(content_of(viewer, state_of(viewer)), tmp_path / "a.html", Progress(), "A <session>")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for words in ("ab" * 32, "&lt;C1&gt;", "A &lt;session&gt;", "ERBB2 on A1, predicted", "Tumour", "0.500"):
        assert words in page, words
    assert not re.search(r"<script|<link|(?:src|href)\s*=\s*[\"']?(?:https?:)?//|url\((?!#|data:)", page)
    figures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 4
    for figure in figures:
        ElementTree.fromstring(figure.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


def test_a_report_lists_the_classes_of_a_picture_of_regions(
    viewer: Any, section: Section, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.layers import Layer

    from histoscribe.tiles import Region
    from histoscribe.widgets.layers import regions

    monkeypatch.setattr(regions, "MANY", 3)
    show(viewer, [section])
    box = np.array([[0, 0], [0, 100], [50, 100], [50, 0]], float)
    drawn = [Region("ab"[n % 2], ((200, 0, 0), (0, 0, 9))[n % 2], box + 60 * n) for n in range(5)]
    viewer.add_layer(Layer.create(*regions.described_regions(drawn, section.mpp, "many", viewer.layers[-1])))
    area = 5000 * (section.mpp / 1000) ** 2
    expected = [("a", "rgb(200, 0, 0)", 3, f"{3 * area:.3f}"), ("b", "rgb(0, 0, 9)", 2, f"{2 * area:.3f}")]
    rows = content_of(viewer, state_of(viewer)).regions
    assert [tuple(row[key] for key in ("name", "colour", "count", "area")) for row in rows] == expected


def test_a_report_tells_in_plain_words_what_was_found(
    viewer: Any, make_section: MakeSection, tmp_path: Path
) -> None:
    from histoscribe.widgets.layers.layers import add_layer
    from histoscribe.widgets.panels.compare import comparing

    measured = make_section("A1")
    predicted = make_section("A1", "predicted", slide=measured.slide)
    about = {"variant": "histoscribe", "encoder": "builtin", "versions": {"torch": "2.8"}, "guide_spots": 12}
    predicted.table.uns["histoscribe"] |= about
    show(viewer, [measured, predicted])
    compared = comparing.compare_sections((measured, predicted), Progress())
    add_layer(viewer, comparing.described_difference(compared, viewer.layers[1]))
    box = np.array([[0, 0], [0, 1000], [90, 1000], [90, 0]], float)
    viewer.add_shapes([box], features={"class": ["Tumour"]}, units=UM, name="regions")
    state_of(viewer).choose("EPCAM")
    write_report(content_of(viewer, state_of(viewer)), tmp_path / "a.html", Progress())
    page = " ".join((tmp_path / "a.html").read_text(encoding="utf-8").split())
    words = (
        "<strong>A1</strong> was measured.",
        "also learned from 12 measured spots of this slide",
        "were compared at 64 spots",
        f"<strong>{compared.genes['pearson'].mean():.2f}</strong>".replace("-", "−"),
        "Tumour on A1, measured: against all other spots, most above are",
        "Pearson r over genes.",
        "Tumour on A1, measured: volcano",
        '<th scope="row">outside</th><td>40</td>',
        "by class; the line is the median",
        "the encoder builtin",
        "torch 2.8",
        "btag209",
        "Benjamini",
    )
    assert [one for one in words if one not in page] == []


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_report_opens_in_a_browser_without_network(shown: Any, tmp_path: Path) -> None:
    from PIL import Image

    path = write_report(content_of(shown, state_of(shown)), tmp_path / "a.html", Progress())
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    options += ["--enable-logging=stderr", f"--user-data-dir={tmp_path}", "--window-size=1200,1600"]
    command = ["chromium", *options, f"--screenshot={tmp_path / 'a.png'}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(picture, axis=0)) > 1000


def test_a_picture_has_the_scale_of_a_map_and_none_of_the_gene_beneath(shown: Any, section: Section) -> None:
    def bars() -> list[str]:
        return [axes.get_title(loc="left") for axes in picture_of(shown, state_of(shown)).figure.axes[1:]]

    (spots,) = spot_layers(shown)
    assert bars() == ["EPCAM, log1p of counts per 10,000"]
    values = np.arange(float(section.table.n_obs))
    show_map(shown, spots, Map("one", "distance", "µm", values, (0, 50)))
    assert bars() == ["distance, µm"]
    show_map(shown, spots, Map("two", "tissue", "class", values.astype(int) % 2, classes=("a", "b")))
    assert bars() == []
    (legend,) = picture_of(shown, state_of(shown)).figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


@pytest.mark.viewer
@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize(("ending", "kept"), [(".h5ad", True), (".csv", False)])
def test_a_prediction_saved_alone_is_saved(
    viewer: Any, section: Section, tmp_path: Path, qtbot: Any, ending: str, kept: bool
) -> None:
    show(viewer, [section])
    EDITED.update(spot_layers(viewer))
    panel = ExportPanel(viewer)
    qtbot.addWidget(panel)
    panel.save_table(tmp_path / f"alone{ending}")
    qtbot.waitUntil(lambda: panel.free, timeout=20_000)
    assert (tmp_path / f"alone{ending}").exists()
    assert (spot_layers(viewer)[0] not in EDITED) == kept
