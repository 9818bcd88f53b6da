"""How quickly the viewer answers: a gene switch, a keystroke, opening a panel, and stalls while predicting.

    scripts/with-screen python benchmarks/viewer.py [--json FILE] [--repeats 30] [--runs 5]

Everything runs in a real window with the panels open. "without redraw" is the time until control returns to
the event loop, "with redraw" until the loop has drawn. Beside the wall time stands the processor time of the
GUI thread, which other programs on the machine hardly lengthen. The seed of the tables is 0.

A stall is the longest gap between two ticks of a 5 ms timer in the GUI thread from the press of Predict until
the layer is drawn, in a fresh process that has imported nothing that predicts. Beside it stands how long the
GUI thread itself computed in that gap, and how long it waited for a processor that others had (Linux tells).

The bins of 2 µm are a simulated Visium HD run on the disk, opened by the plugin's reader.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    parser.add_argument("--runs", type=int, default=5, help="predictions and imports measured")
    parser.add_argument("--once", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(PARTS[arguments.once[0]](Path(arguments.once[1]))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
        load = [os.getloadavg()[0]]
        records = [
            *gene_switch(_section(4992, 18_000), arguments.repeats),
            *gene_switch(_section(100_000, 200), arguments.repeats),
            *gene_switch(_hd_bins(folder), arguments.repeats),
            *keystrokes(20_000, arguments.repeats),
            *polygons(folder, 1_000),
            *polygons(folder, 100_000),
            *predicting(folder, arguments.runs),
            _record(
                "importing what the manifest names",
                *zip(*_apart("imports", folder, arguments.runs), strict=True),
            ),
        ]
        load.append(os.getloadavg()[0])
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": load}
    print("load before and after: {:.1f}, {:.1f}".format(*load))
    for record in records:
        words = f"slowest {record['most_ms']:.1f}"
        if "processor_ms" in record:
            words += f"; processor time {record['processor_ms']:.1f}"
        print(f"{record['what']}: {record['median_ms']:.1f} ms ({words})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "records": records}, indent=1) + "\n")


def gene_switch(section: Section, repeats: int) -> list[dict[str, Any]]:
    """Choosing another gene, with the Genes panel open; bins touch each other and are drawn as a raster."""
    from histoscribe.widgets.contributions.launch import view

    viewer = view([section], block=False)
    panel = _panel(viewer, "Genes")
    _settle()
    shown = panel.genes.shown
    taken = [
        _timed(partial(panel._state.choose, shown[(repeat + 1) % len(shown)])) for repeat in range(repeats)
    ]
    kind = "bins" if any("raster" in layer.metadata for layer in viewer.layers) else "spots"
    viewer.close()
    return _records(f"gene switch, {section.table.n_obs:,} {kind} × {len(section.genes):,} genes", taken)


def keystrokes(genes: int, repeats: int) -> list[dict[str, Any]]:
    """A keystroke in the search, over names and Ensembl ids."""
    from histoscribe.widgets.contributions.launch import view

    viewer = view([_section(500, genes)], block=False)
    panel = _panel(viewer, "Genes")
    _settle()
    texts = ("7", "79", "791", "79", "7", "")
    taken = [_timed(partial(panel.search.setText, texts[repeat % 6])) for repeat in range(repeats)]
    viewer.close()
    words = f"search keystroke, {genes:,} names and as many Ensembl ids"
    return _records(words, taken)


def polygons(folder: Path, count: int) -> list[dict[str, Any]]:
    """Regions of 12 corners from a GeoJSON: read, shown, spots counted; then moved and counted again."""
    from histoscribe.tiles import Region, write_regions
    from histoscribe.widgets.contributions.launch import view

    rng, turn = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 12, endpoint=False)
    side = int(np.ceil(count**0.5))
    middles = np.stack(np.divmod(np.arange(count), side), axis=1) * 14_000.0 / side
    star = np.column_stack([np.sin(turn), np.cos(turn)]) * 5_000 / side
    outlines = [(middle + star * rng.uniform(0.6, 1, (12, 1))).round(2) for middle in middles]
    path = write_regions(
        [Region("Tumour", (200, 0, 0), one) for one in outlines], folder / f"{count}.geojson"
    )
    viewer = view([_section(4992, 50)], block=False)
    panel = _panel(viewer, "Regions")
    _settle(8)  # what draws shapes is compiled meanwhile

    def under_way() -> bool:  # many are counted on another thread
        counted = panel.classes.model.index(0, 2).data()
        return panel.tasks.running or panel._later.isActive() or counted in (None, "0")

    taken = []
    for act in (partial(panel.open_regions, path), lambda: setattr(panel.drawn.value, "translate", (50, 50))):
        start, busy, own = time.perf_counter(), time.process_time(), time.thread_time()
        gaps = _gaps_while(act, under_way)
        computed = time.process_time() - busy, time.thread_time() - own
        taken.append((time.perf_counter() - start, gaps[:, 0].max(), *computed))
    assert panel.classes.model.index(0, 1).data() == str(count)
    viewer.close()
    words = f"{count:,} polygons"
    figures = ("", ", longest stall", ", processor, all threads", ", processor, GUI thread")
    return [
        _record(f"{words}, {done}{what}", [seconds])
        for done, each in zip(("read, shown and counted", "moved and counted"), taken, strict=True)
        for what, seconds in zip(figures, each, strict=True)
    ]


def predicting(folder: Path, runs: int) -> list[dict[str, Any]]:
    """Opening the Predict panel, and the longest gap in the event loop until the layer is drawn."""
    _apart("train", folder, 1)
    found = _apart("predict", folder, runs)
    each = ", ".join("{:.0f} ({:.0f}, {:.0f})".format(*(1000 * part for part in run["gap"])) for run in found)
    return [
        _record("opening the Predict panel", [run["opening"] for run in found]),
        _record("all gaps between ticks while predicting", [gap for run in found for gap in run["gaps"]]),
        _record(
            f"longest gap while predicting; each run, of it computed and waited for a processor: {each}",
            [run["gap"][0] for run in found],
        ),
    ]


def _train(folder: Path) -> None:
    from histoscribe.predictor import Predictor
    from histoscribe.simulate.sample import sample_cohort

    Predictor(epochs=1, members=1).fit(sample_cohort()[:1], encoder="builtin").save(folder / "model")


def _predict(folder: Path) -> dict[str, Any]:
    import napari

    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.contributions.launch import show

    viewer = napari.Viewer()
    show(viewer, sample_cohort()[-1:])
    _panel(viewer, "Genes")
    _settle()
    start = time.perf_counter()
    panel = _panel(viewer, "Predict")
    _process()
    opening = time.perf_counter() - start
    panel.model.folder = folder / "model"
    _settle()
    assert "torch" not in sys.modules
    gaps = _gaps_while(panel.start, lambda: panel.tasks.running)
    assert len(viewer.layers) == 3
    viewer.close()
    longest = gaps[int(np.argmax(gaps[:, 0]))]
    return {"opening": opening, "gaps": gaps[:, 0].tolist(), "gap": longest.tolist()}


def _imports(_: Path) -> tuple[float, float]:
    """Wall and processor seconds to import every module that the manifest names, in a running napari."""
    from importlib import import_module

    import yaml

    for name in ("napari.layers", "napari.qt", "napari._qt.qt_main_window", "superqt.utils"):
        import_module(name)
    manifest = yaml.safe_load(
        (Path(import_module("histoscribe").__file__).parent / "napari.yaml").read_text()
    )
    start, busy = time.perf_counter(), time.process_time()
    for command in manifest["contributions"]["commands"]:
        import_module(command["python_name"].partition(":")[0])
    return time.perf_counter() - start, time.process_time() - busy


PARTS: dict[str, Callable[[Path], Any]] = {"train": _train, "predict": _predict, "imports": _imports}


def _apart(part: str, folder: Path, runs: int) -> list[Any]:
    """What a part finds, each time in a fresh process."""
    command = [sys.executable, __file__, "--once", part, str(folder)]
    done = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True) for _ in range(runs)]
    return [json.loads(one.stdout.splitlines()[-1]) for one in done]


def _hd_bins(folder: Path) -> Section:
    """About a million bins of 2 µm: a simulated run, written to the disk, opened as napari opens it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
    from histoscribe.widgets.contributions.readers import get_reader
    from runs.hd import simulate_hd
    from runs.spaceranger_hd import write_spaceranger_hd

    write_spaceranger_hd(simulate_hd(0, genes=40, size_um=2300), folder / "hd" / "outs")
    bins = str(folder / "hd" / "outs" / "binned_outputs" / "square_002um")
    reader = get_reader(bins)
    assert reader is not None
    (section,) = {
        id(one): one for _, more, _ in reader(bins) if (one := more["metadata"].get("section"))
    }.values()
    return section


def _gaps_while(start: Callable[[], None], running: Callable[[], bool]) -> NDArray[np.float64]:
    """Seconds between ticks, and of each how long this thread computed and waited for a processor."""
    from qtpy.QtCore import QTimer

    def now() -> tuple[float, float, float]:
        return time.perf_counter(), time.thread_time(), _waited()

    ticks = [now()]
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(now()))
    timer.start(TICK_MS)
    start()
    while running():
        _process()
        time.sleep(0.001)
    _process()
    ticks.append(now())
    timer.stop()
    return np.diff(ticks, axis=0)


def _waited() -> float:
    """Seconds that this thread has waited for a processor so far; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _section(spots: int, genes: int) -> Section:
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
    return Section("benchmark", table, None, 0.5, 55.0, 100.0, "patient")


def _panel(viewer: Any, name: str) -> Any:
    from histoscribe.widgets.state.state import open_panel

    return open_panel(viewer, name)[1]


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


def _record(what: str, seconds: Sequence[float], busy: Sequence[float] | None = None) -> dict[str, Any]:
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
