"""Make the pictures of the guide and the README from a real napari window.

    scripts/with-screen python docs/make_screenshots.py
    scripts/with-screen python docs/make_screenshots.py --section S --predicted P.h5ad --out DIR [--gene G]

Without arguments the sample is painted: a model is trained on all sections but those of the last patient, and
predicts the last section. With arguments, a section and a prediction of your own; S is a Space
Ranger folder, an h5ad file, or a cohort CSV of which `--name` says which section.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari

    from histoscribe.section import Section

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT, LOW = 1500, 860, 720


def main() -> None:
    """Open, arrange, wait until all is drawn, save."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as settings:
        os.environ["NAPARI_CONFIG"] = str(Path(settings) / "settings.yaml")
        measured, predicted = _sections(arguments)
        arguments.out.mkdir(parents=True, exist_ok=True)
        picture([measured], arguments.out / f"{arguments.prefix}section.png", arguments.gene)
        picture(
            [measured, predicted], arguments.out / f"{arguments.prefix}measured-predicted.png", arguments.gene
        )


def picture(sections: list[Section], path: Path, gene: str | None) -> None:
    """Save one picture of the window with `sections` and the Genes panel in it."""
    from histoscribe.widgets.launch import view
    from histoscribe.widgets.state import state_of

    viewer = view(sections, block=False)
    viewer.theme = "dark"
    window = viewer.window
    window.resize(WIDTH, LOW if len(sections) > 1 else HEIGHT)
    _settle()
    if gene is not None:
        state_of(viewer).gene = gene
    _dress(viewer)
    _settle()
    viewer.fit_to_view(margin=0.02)
    _settle()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()
    print(path)


def _dress(viewer: napari.Viewer) -> None:
    from qtpy.QtWidgets import QDockWidget

    for dock in viewer.window._qt_window.findChildren(QDockWidget):
        if "Genes" in dock.windowTitle():
            dock.raise_()
    viewer.status = ""


def _settle(seconds: float = 1.5) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)


def _sections(arguments: argparse.Namespace) -> tuple[Section, Section]:
    from histoscribe.section import open_section

    if arguments.section is not None:
        return _measured(arguments.section, arguments.name), open_section(arguments.predicted)
    from histoscribe.predictor import Predictor
    from histoscribe.simulate.sample import sample_cohort

    cohort = sample_cohort()
    held_out = cohort[-1]
    model = Predictor().fit([one for one in cohort if one.patient != held_out.patient])
    return held_out, model.predict_section(held_out)


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
    parser.add_argument("--gene", help="the gene to paint")
    parser.add_argument("--prefix", default="", help="how the names of the pictures begin")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    arguments = parser.parse_args()
    if (arguments.section is None) != (arguments.predicted is None):
        parser.error("--section and --predicted go together")
    return arguments


if __name__ == "__main__":
    main()
