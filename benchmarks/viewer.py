"""How quickly the viewer answers: a gene switch, a keystroke, opening a panel, and stalls while predicting.

    scripts/with-screen python benchmarks/viewer.py [--json FILE] [--repeats 30]

Everything runs in a real window with the panels open. "without redraw" is the time until control returns to
the event loop, "with redraw" until the loop has drawn. A stall is the longest gap between two ticks of a 5 ms
timer in the GUI thread while another thread predicts. Beside the wall time stands the processor time of the
GUI thread, which other programs on the machine hardly lengthen. The seed of the tables is 0.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from histoscribe.section import Section

TICK_MS = 5


def main() -> None:
    """Measure everything and print one line a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--repeats", type=int, default=30, help="gene switches and keystrokes measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        records = [
            *gene_switch(4992, 18_000, arguments.repeats),
            *gene_switch(100_000, 200, arguments.repeats),
            *gene_switch(1_000_000, 40, arguments.repeats, bins=True),
            *keystrokes(20_000, arguments.repeats),
            *predicting(Path(folder)),
        ]
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    for record in records:
        words = f"slowest {record['most_ms']:.1f}"
        if "processor_ms" in record:
            words += f"; processor time {record['processor_ms']:.1f}"
        print(f"{record['what']}: {record['median_ms']:.1f} ms ({words})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "records": records}, indent=1) + "\n")


def gene_switch(spots: int, genes: int, repeats: int, *, bins: bool = False) -> list[dict[str, Any]]:
    """Choosing another gene, with the Genes panel open; bins touch each other and are drawn as a raster."""
    from histoscribe.widgets.launch import view

    viewer = view([_section(spots, genes, bins=bins)], block=False)
    panel = _panel(viewer, "Genes")
    _settle()
    shown = panel.genes.shown
    taken = [_timed(partial(panel._state.choose, shown[(repeat + 1) % genes])) for repeat in range(repeats)]
    viewer.close()
    words = f"gene switch, {spots:,} {'bins' if bins else 'spots'} × {genes:,} genes"
    return _records(words, taken)


def keystrokes(genes: int, repeats: int) -> list[dict[str, Any]]:
    """A keystroke in the search, over names and Ensembl ids."""
    from histoscribe.widgets.launch import view

    viewer = view([_section(500, genes)], block=False)
    panel = _panel(viewer, "Genes")
    _settle()
    texts = ("7", "79", "791", "79", "7", "")
    taken = [_timed(partial(panel.search.setText, texts[repeat % 6])) for repeat in range(repeats)]
    viewer.close()
    words = f"search keystroke, {genes:,} names and as many Ensembl ids"
    return _records(words, taken)


def predicting(folder: Path) -> list[dict[str, Any]]:
    """Opening the Predict panel, and gaps in the event loop until the layer is shown."""
    from histoscribe.predictor import Predictor
    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.launch import show

    sections = sample_cohort()
    model = Predictor(epochs=1, members=1).fit(sections[:1])
    model.save(folder / "model")
    import napari

    viewer = napari.Viewer()
    show(viewer, [sections[-1]])
    _settle()
    start = time.perf_counter()
    panel = _panel(viewer, "Predict")
    _process()
    opening = time.perf_counter() - start
    panel.model.folder = folder / "model"
    _settle()
    gaps = _gaps_while(panel.start, lambda: panel.tasks.running)
    viewer.close()
    return [
        _record("opening the Predict panel", [opening]),
        _record("gap between ticks of the event loop while predicting", gaps),
    ]


def _gaps_while(start: Callable[[], None], running: Callable[[], bool]) -> list[float]:
    from qtpy.QtCore import QTimer

    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(TICK_MS)
    ticks.append(time.perf_counter())
    start()
    while running():
        _process()
        time.sleep(0.001)
    _process()
    ticks.append(time.perf_counter())
    timer.stop()
    return list(np.diff(ticks))


def _section(spots: int, genes: int, *, bins: bool = False) -> Section:
    import anndata
    import pandas as pd
    from scipy import sparse

    from histoscribe.section import Section

    counts = sparse.random(
        spots, genes, density=0.15, format="csr", dtype=np.float32, rng=np.random.default_rng(0)
    )
    counts.data = np.ceil(counts.data * 5)
    rows, columns = np.divmod(np.arange(spots), int(np.ceil(np.sqrt(spots))))
    names = [f"G{number}X{number * 7919 % 10007}" for number in range(genes)]
    table = anndata.AnnData(
        sparse.csr_matrix(counts),
        obs=pd.DataFrame(
            {"array_row": rows, "array_col": columns}, index=[f"s{spot}" for spot in range(spots)]
        ),
        var=pd.DataFrame({"gene_ids": [f"ENSG{number:011d}" for number in range(genes)]}, index=names),
        obsm={"spatial": np.column_stack([columns, rows]) * 200.0},
        uns={"histoscribe": {"kind": "measured"}},
    )
    return Section("benchmark", table, None, 0.5, 100.0 if bins else 55.0, 100.0, "patient")


def _panel(viewer: Any, name: str) -> Any:
    dock, panel = viewer.window.add_plugin_dock_widget("napari-histoscribe", name)
    dock.raise_()
    return panel


def _timed(act: Callable[[], object]) -> tuple[float, float, float, float]:
    """Wall and processor seconds of an act, then the same with what the event loop does after it."""
    start, busy = time.perf_counter(), time.thread_time()
    act()
    bare, bare_busy = time.perf_counter() - start, time.thread_time() - busy
    _process()
    return bare, bare_busy, time.perf_counter() - start, time.thread_time() - busy


def _records(what: str, taken: list[tuple[float, float, float, float]]) -> list[dict[str, Any]]:
    bare, bare_busy, drawn, drawn_busy = (list(column) for column in zip(*taken, strict=True))
    return [
        _record(f"{what}, without redraw", bare, bare_busy),
        _record(f"{what}, with redraw", drawn, drawn_busy),
    ]


def _record(what: str, seconds: list[float], busy: list[float] | None = None) -> dict[str, Any]:
    record = {
        "what": what,
        "median_ms": float(1000 * np.median(seconds)),
        "most_ms": float(1000 * np.max(seconds)),
        "repeats": len(seconds),
    }
    return record if busy is None else {**record, "processor_ms": float(1000 * np.median(busy))}


def _process() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()


def _settle(seconds: float = 1.5) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _process()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
