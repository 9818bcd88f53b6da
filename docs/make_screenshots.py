"""Make the pictures of the guide and the README from a real napari window.

    scripts/with-screen python docs/make_screenshots.py [--model MODEL] [--only NAME ...]
    scripts/with-screen python docs/make_screenshots.py --section S --predicted P.h5ad --out DIR [--gene G]

Without --section the sample is painted: a model (MODEL, or one trained here on all sections but those of the
last patient) predicts the last section, and every panel of the guide is opened on both. With it, a
section and a prediction of your own are shown side by side; S is a Space Ranger folder, an h5ad file, or
a cohort CSV of which `--name` says which section.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import napari

    from histoscribe.section import Section

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT, LOW = 1500, 860, 720
_EVEN = 9  # rows of one colour that tell a strip from tissue
Prepare = Callable[["napari.Viewer", Any], None]


def main() -> None:
    """Open, arrange, wait until all is drawn, save."""
    from qtpy.QtCore import QSettings

    from histoscribe.widgets.state.preferences import remember_model

    arguments = _arguments()
    with tempfile.TemporaryDirectory() as settings:
        os.environ["NAPARI_CONFIG"] = str(Path(settings) / "settings.yaml")
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, settings)
        model = arguments.model or Path(settings) / "model"
        measured, predicted = _sections(arguments, model)
        if model.exists():
            remember_model(model)
        arguments.out.mkdir(parents=True, exist_ok=True)
        plain = {"section": [measured], "measured-predicted": [measured, predicted]}
        for name, sections in plain.items():
            if not arguments.only or name in arguments.only:
                path = arguments.out / f"{arguments.prefix}{name}.png"
                picture(sections, path, "Genes", arguments.gene)
        if arguments.section is not None:
            return
        guide = GUIDE | {
            "predict": ("Predict", partial(predict, model), True),
            "trace": ("Evidence", partial(trace, model), True),
            "picture": ("Export", partial(save_picture, arguments.out / "picture.png"), True),
        }
        for name, (panel, prepare, both) in guide.items():
            if not arguments.only or name in arguments.only:
                sections = [measured, predicted] if both else [measured]
                picture(sections, arguments.out / f"{name}.png", panel, arguments.gene, prepare)


def picture(
    sections: list[Section], path: Path, panel: str, gene: str | None, prepare: Prepare | None = None
) -> None:
    """Save one picture of the window with `sections` and a panel in it."""
    from histoscribe.widgets.contributions.launch import view
    from histoscribe.widgets.state.state import open_panel, state_of

    viewer = view(sections, block=False)
    viewer.theme = "dark"
    window = viewer.window
    window.resize(WIDTH, LOW if len(sections) > 1 and prepare is None else HEIGHT)
    _settle()
    if gene is not None:
        state_of(viewer).gene = gene
    dock, opened = open_panel(viewer, panel)
    _settle()
    viewer.fit_to_view(margin=0.02)
    if prepare is not None:
        prepare(viewer, opened)
        dock.raise_()
    _settle()
    viewer.status = ""
    if path.stem != "picture":
        viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()
    _compress(path)
    print(path)


def predict(model: Path, viewer: napari.Viewer, panel: Any) -> None:
    """The panel as it stands after a prediction."""
    from histoscribe.widgets.layers.arrangement import side_by_side

    side_by_side(viewer, False)
    panel.model.folder = model
    viewer.layers[1].visible = False
    viewer.fit_to_view(margin=0.02)


def genes(viewer: napari.Viewer, panel: Any) -> None:
    """Three genes blended on one section."""
    from histoscribe.widgets.state.state import state_of

    state = state_of(viewer)
    state.choose("KRT19")
    for gene in ("COL1A1", "CD3E"):
        if gene in panel.genes.shown:
            state.add(gene)


def compare(viewer: napari.Viewer, panel: Any) -> None:
    """Panes, plot and table of a comparison."""
    panel.start()
    _until(lambda: panel.compared is not None and not panel.tasks.running)
    panel.view.setCurrentIndex(panel.table.index(0, 0))


def evidence(viewer: napari.Viewer, panel: Any) -> None:
    """What lies behind one spot."""
    from histoscribe.widgets.layers.arrangement import side_by_side
    from histoscribe.widgets.layers.painting import spot_layers

    side_by_side(viewer, False)
    spot_layers(viewer)[0].visible = False
    viewer.fit_to_view(margin=0.02)
    panel.explain(spot_layers(viewer)[1], 120)
    _until(lambda: panel.shown is not None)


def trace(model: Path, viewer: napari.Viewer, panel: Any) -> None:
    """Where a gene comes from."""
    evidence(viewer, panel)
    panel.tabs.setCurrentIndex(1)
    panel.trace.model.folder = model
    panel.trace.start()
    _until(lambda: not panel.tasks.running)


def clusters(viewer: napari.Viewer, panel: Any) -> None:
    """Clusters of the section, and the marker genes of the first."""
    for act in (panel.start, panel.find_markers):
        act()
        _until(lambda: not panel.tasks.running)


def align(viewer: napari.Viewer, panel: Any) -> None:
    """The section found on a turned and mirrored scan of its own slide, and what is left."""
    from histoscribe.simulate.section import slide_in_memory
    from histoscribe.widgets.layers.layers import add_layer, section_of, slide_layer

    section = next(one for one in map(section_of, viewer.layers) if one is not None)
    pixels = np.ascontiguousarray(np.rot90(section.slide.levels[0].pixels[:])[::-1])
    described = slide_layer(slide_in_memory(pixels, section.mpp, "rescanned"))
    described[1]["translate"] = (0.0, 1.1 * section.mpp * pixels.shape[1])
    panel.fixed.value = add_layer(viewer, described)
    panel.start()
    _until(lambda: not panel.tasks.running)
    panel.show_map()
    viewer.fit_to_view(margin=0.02)


def quality(viewer: napari.Viewer, panel: Any) -> None:
    """What is no clean tissue."""
    panel.start()
    _until(lambda: not panel.tasks.running)


def train(viewer: napari.Viewer, panel: Any) -> None:
    """The panel as it stands before a training."""
    panel.tissue.value, panel.technology.value = "simulated tissue", "simulated"


def programmes(viewer: napari.Viewer, panel: Any) -> None:
    """Programmes learned from the spots; one is painted."""
    panel.model.value = panel.model.known.choices[-2]
    panel.start()
    _until(lambda: not panel.tasks.running)


def classify(viewer: napari.Viewer, panel: Any) -> None:
    """Samples told by the bundled classifier, and the genes that carried the first call."""
    viewer.layers[-1].visible = False
    panel.source.open(IMAGES.parents[1] / "sample_data" / "panel.csv")
    for act in (panel.start, panel.ask_why):
        act()
        _until(lambda: not panel.tasks.running)


def regions(viewer: napari.Viewer, panel: Any) -> None:
    """Two classes drawn and compared."""

    box = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    for name, corner in (("Tumour", (350, 350)), ("Stroma", (1150, 1150))):
        panel.add_class()
        panel.classes.model.setData(panel.classes.view.currentIndex(), name)
        panel.draw("add_polygon")
        panel.drawn.value.add_polygons(np.array(corner) + box * 520)
        panel.drawn.value.mode = "pan_zoom"
    panel.refresh()
    panel.tabs.setCurrentIndex(1)
    panel.compare()
    _until(lambda: not panel.tasks.running)


def region_list(viewer: napari.Viewer, panel: Any) -> None:
    """Regions of a wand, of a gene and of the brush, in the list; one locked, one hidden."""
    from histoscribe.widgets.layers.painting import spot_layers

    regions(viewer, panel)
    panel.tabs.setCurrentIndex(4)
    panel.tolerance.value = 16
    panel.classes.mark("Stroma")
    panel.pick(np.array([600.0, 1400.0]))
    panel.threshold.value = float(np.quantile(spot_layers(viewer)[0].features.iloc[:, 0], 0.8))
    panel.add_class()
    panel.classes.model.setData(panel.classes.view.currentIndex(), "Gene above")
    panel.outline_spots(marked=False)
    for row, act in ((0, panel.list.lock), (1, panel.list.hide)):
        panel.list.view.setCurrentIndex(panel.list.model.index(row))
        act()
    panel.list.view.setCurrentIndex(panel.list.model.index(2))


def region_figures(viewer: napari.Viewer, panel: Any) -> None:
    """Genes between two classes as a dot plot."""
    regions(viewer, panel)
    panel.tabs.setCurrentIndex(3)
    panel.second.value = "Stroma"
    panel.figure.value = "dot plot"
    panel.draw_figures()
    _until(lambda: not panel.tasks.running)
    _to_the_foot(panel)


def impute(viewer: napari.Viewer, panel: Any) -> None:
    """What the model that comes with Histoscribe can restore here."""
    panel.check()
    _until(lambda: not panel.tasks.running)


def generate(viewer: napari.Viewer, panel: Any) -> None:
    """Profiles of a liver metastasis of the drawn tissue, its missing genes restored first."""
    panel.primary.inside.value = True
    drawn = panel.primary.region.add()
    drawn.add_polygons(np.array([(350, 350), (350, 1250), (1250, 1250), (1250, 350)]))
    drawn.mode = "pan_zoom"
    panel.cancer.value = "BRCA"
    panel.site.value = "liver"
    panel.restore_first.value = True
    panel.start()
    _until(lambda: panel.result is not None)
    panel.views.setCurrentIndex(2)
    _to_the_foot(panel)


def save_picture(path: Path, viewer: napari.Viewer, panel: Any) -> None:
    """The view as Export writes it."""
    from histoscribe.widgets.layers.arrangement import side_by_side

    side_by_side(viewer, True)
    viewer.window.resize(WIDTH, 600)
    _settle()
    viewer.fit_to_view(margin=0.02)
    panel.dpi.value = 110
    panel.save_picture(path)
    _until(lambda: not panel.tasks.running)


GUIDE: dict[str, tuple[str, Prepare, bool]] = {
    "guide": ("First steps", lambda viewer, panel: None, False),
    "genes": ("Genes", genes, False),
    "compare": ("Compare", compare, True),
    "evidence": ("Evidence", evidence, True),
    "clusters": ("Clusters", clusters, False),
    "align": ("Align", align, False),
    "quality": ("Quality", quality, False),
    "train": ("Train", train, False),
    "programmes": ("Programmes", programmes, False),
    "classify": ("Classify", classify, False),
    "regions": ("Regions", regions, False),
    "region-list": ("Regions", region_list, False),
    "region-figures": ("Regions", region_figures, False),
    "impute": ("Impute", impute, False),
    "generate": ("Generate", generate, False),
    "export": ("Export", lambda viewer, panel: None, False),
}


def _compress(path: Path) -> None:
    """Keep 248 colours, 120 of them of strips and other even parts: smooth, at a fifth of the size."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    pixels = np.asarray(picture)
    runs = np.lib.stride_tricks.sliding_window_view(pixels, _EVEN, axis=0)
    even = np.unique(pixels[: len(runs)][(runs == runs[..., :1]).all((-1, -2))], axis=0)
    strips = Image.fromarray(even[None]).quantize(120, method=Image.Quantize.MEDIANCUT)
    tissue = picture.quantize(128, method=Image.Quantize.MAXCOVERAGE, kmeans=2)
    colours = Image.new("P", (1, 1))
    colours.putpalette(tissue.getpalette()[: 3 * 128] + strips.getpalette()[: 3 * 120])
    picture.quantize(palette=colours, dither=Image.Dither.NONE).save(path, optimize=True)


def _settle(seconds: float = 1.5) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)


def _to_the_foot(panel: Any) -> None:
    from qtpy.QtWidgets import QScrollArea

    _settle()
    bar = panel.findChild(QScrollArea).verticalScrollBar()
    bar.setValue(bar.maximum())


def _until(done: Callable[[], bool], seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("a panel did not finish")
        _settle(0.1)


def _sections(arguments: argparse.Namespace, folder: Path) -> tuple[Section, Section]:
    from histoscribe.section import open_section

    if arguments.section is not None:
        return _measured(arguments.section, arguments.name), open_section(arguments.predicted)
    from histoscribe.predictor import Predictor
    from histoscribe.simulate.sample import sample_cohort

    cohort = sample_cohort()
    held_out = cohort[-1]
    both = {
        "measured-predicted",
        "predict",
        "trace",
        "picture",
        *(name for name, (_, _, both) in GUIDE.items() if both),
    }
    if arguments.only and not both & set(arguments.only):
        return held_out, held_out
    if arguments.model is not None:
        model = Predictor.load(arguments.model)
    else:
        model = Predictor().fit([one for one in cohort if one.patient != held_out.patient])
        model.save(folder)
    return held_out, model.predict(held_out)


def _measured(path: Path, name: str | None) -> Section:
    from histoscribe.section import open_section, read_cohort_csv

    if path.suffix != ".csv":
        return open_section(path)
    rows = {row.section: row for row in read_cohort_csv(path)}
    return rows[name].read() if name is not None else next(iter(rows.values())).read()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--section", type=Path, help="a measured section: Space Ranger folder, h5ad, cohort CSV"
    )
    parser.add_argument("--name", help="which section of a cohort CSV; the first if not given")
    parser.add_argument("--predicted", type=Path, help="its prediction, h5ad")
    parser.add_argument("--model", type=Path, help="a model trained on the sample, to save its training")
    parser.add_argument("--only", nargs="+", default=[], help="only these pictures")
    parser.add_argument("--gene", help="the gene to paint")
    parser.add_argument("--prefix", default="", help="how the names of the pictures begin")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    arguments = parser.parse_args()
    if (arguments.section is None) != (arguments.predicted is None):
        parser.error("--section and --predicted go together")
    return arguments


if __name__ == "__main__":
    main()
