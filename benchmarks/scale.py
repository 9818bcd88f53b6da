"""Time and memory of training on many spots, of dense predictions, and of many slides.

    python benchmarks/scale.py [--spots 10000 100000 1000000] [--devices 2] [--killed 5] [--json]
    scripts/with-screen python benchmarks/scale.py --dense 600000 [--work FOLDER] [--json]
    python benchmarks/scale.py --slides 500 [--work FOLDER] [--json]

Sections of 4,000 spots with 336 descriptors and 500 genes are made on disk: expression follows what the
descriptors show of a spot and its neighbours, with Poisson counts. Each size is trained in a process of its
own and scored on one more section of another patient. Peak memory is what the process held at most, mapped
files included. `--devices`: so many processes, of one thread each, train together. `--killed`: the training
is killed (SIGKILL) so often at random moments and goes on from its checkpoint; its model must be that of a
run that was left alone.

`--dense`: a sparse slide of 98,304² pixels of 0.25 µm with a disc of tissue; the descriptors of its tiles
at 8 µm are made up (smooth fields in the model's own units) and put into a feature store, so that describing
is no part of it. `histoscribe predict her2st-breast` runs as a process of its own, whose memory the system
tells. Then the result is opened in a window that stands already, until a gene has been drawn, and until the
panels stand beside it; beside the wall time stands the processor's.

`--slides`: see `benchmarks/many_slides.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from histoscribe.graphs import context_means
from histoscribe.predictor import Predictor, panel_expression
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.ensemble import gene_correlation

SPOTS, DESCRIPTORS, GENES, FACTORS = 4000, 336, 500, 12
PITCH_UM = 100.0
GIANT, DENSE_UM = 98_304, 8.0


def made_section(number: int, folder: Path, spots: int = SPOTS) -> EncodedSection:
    """A section whose descriptors lie in a file."""
    shared, own = np.random.default_rng(0), np.random.default_rng(number + 1)
    seen, written = shared.normal(size=(FACTORS, DESCRIPTORS)), shared.normal(size=(FACTORS, GENES))
    side = int(np.ceil(np.sqrt(spots)))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:spots] * PITCH_UM
    factors = own.normal(size=(spots, FACTORS)).astype(np.float32)
    factors += 2 * context_means(factors, places, PITCH_UM, (3.0,))
    noise = own.normal(scale=4, size=(spots, DESCRIPTORS))
    path = folder / f"{number}.npy"
    np.save(path, (factors @ seen + noise).astype(np.float32))
    level = np.exp(0.3 * factors @ written + own.normal(scale=0.1, size=GENES) - 3)
    counts = csr_array(own.poisson(level).astype(np.float32))
    return EncodedSection(
        name=f"section {number}", patient=f"patient {number // 2}", features=np.load(path, mmap_mode="r"),
        centres_um=places, pitch_um=PITCH_UM, counts=counts, genes=[f"gene {gene}" for gene in range(GENES)],
    )  # fmt: skip


def one(spots: int, devices: int = 1, checkpoint: Path | None = None) -> dict[str, Any]:
    """Train on so many spots."""
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), max(2, round(spots / SPOTS))
        each = min(SPOTS, spots // count)
        sections = [made_section(number, folder, each) for number in range(count)]
        before = _peak_gib()
        wall, work = time.perf_counter(), time.process_time()
        predictor = Predictor(device="cpu").fit_encoded(sections, devices=devices, checkpoint=checkpoint)
        wall, work = time.perf_counter() - wall, time.process_time() - work
        peak = _peak_gib()
        new = made_section(count + 1, folder)
        told = predictor.predict_encoded(np.asarray(new.features), new.centres_um)
        r = gene_correlation(told, panel_expression(new, predictor.genes)).mean()
        predictor.save(folder / "model")
    return {
        "spots": count * each, "devices": devices, "seconds": wall, "processor_seconds": work,
        "peak_gib": peak, "before_gib": before, "r": float(r), "sha256": predictor.card.sha256,
    }  # fmt: skip


def killed(spots: int, times: int) -> dict[str, Any]:
    """Train once left alone, and once killed so often, soon after a new checkpoint each time."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        words, kept = [sys.executable, __file__, "--one", str(spots), "--checkpoint"], Path(name) / "killed"
        alone = json.loads(_run([*words, str(Path(name) / "alone")])[0])
        held = []
        for _ in range(times):
            process, before = subprocess.Popen([*words, str(kept)], stdout=subprocess.DEVNULL), _held(kept)
            while _held(kept) == before and process.poll() is None:
                time.sleep(0.05)
            time.sleep(chance.uniform(0, alone["seconds"] / 20))
            if process.poll() is not None:
                raise SystemExit(f"it was done before it was killed {times} times: give more spots")
            process.kill()
            process.wait()
            held.append(len(_held(kept)))
        resumed = json.loads(_run([*words, str(kept)])[0])
    return {
        "spots": alone["spots"], "processor_seconds": alone["processor_seconds"],
        "checkpoints_when_killed": held,
        "processor_seconds_of_the_last_run": resumed["processor_seconds"],
        "same_model": alone["sha256"] == resumed["sha256"], "sha256": alone["sha256"],
    }  # fmt: skip


def _held(folder: Path) -> set[tuple[Path, int]]:
    """Which checkpoints a training has written, and when."""
    return {(path, path.stat().st_mtime_ns) for path in folder.rglob("*.ckpt")}


def dense(tiles: int, work: Path) -> dict[str, Any]:
    """A dense prediction: its time, its memory, and how soon its first genes are on the screen."""
    import slides_made

    slides_made.TISSUE = tiles * DENSE_UM**2 / (slides_made.MPP * GIANT) ** 2
    slide, store, out = slides_made.giant_zarr(work, GIANT), work / "store", work / "dense.h5ad"
    found = json.loads(_run([sys.executable, __file__, "--fill", str(slide), str(store)])[0])
    words = ["predict", "her2st-breast", str(slide), "--grid-um", str(DENSE_UM), "--store", str(store)]
    said, used = _run([sys.executable, "-m", "histoscribe", *words, "--out", str(out), "--json"])
    facts = json.loads(said)
    shown, window = _run([sys.executable, __file__, "--show", str(out)])
    return {
        **found, "genes": facts["genes"], "predict_seconds": facts["seconds"],
        "predict_processor_seconds": used.ru_utime + used.ru_stime, "predict_peak_gb": used.ru_maxrss / 1e6,
        "file_gb": out.stat().st_size / 1e9, **json.loads(shown), "viewer_peak_gb": window.ru_maxrss / 1e6,
        "load": os.getloadavg()[0],
    }  # fmt: skip


def fill(slide_path: Path, store: Path) -> dict[str, Any]:
    """Put made-up descriptors of a slide's tiles into a store."""
    from histoscribe.features import encoder_named
    from histoscribe.features.store import CHUNK, open_shelf
    from histoscribe.slide import open_slide
    from histoscribe.tiles import grid_tiles

    slide, encoder = open_slide(slide_path), encoder_named("builtin")
    tiles = grid_tiles(slide, DENSE_UM)
    mean, deviation = Predictor.load("her2st-breast", device="cpu").fitted.space.descriptors
    shelf, rng = open_shelf(store, slide, tiles, encoder), np.random.default_rng(0)
    waves, mixing = rng.normal(size=(2, FACTORS)) / 300, rng.normal(size=(FACTORS, len(mean))) / FACTORS**0.5
    whole, _ = shelf.checked()
    for chunk in sorted(set(range(shelf.chunks)) - whole):
        places = tiles.centres[chunk * CHUNK : (chunk + 1) * CHUNK] * slide.mpp
        noise = rng.normal(scale=0.5, size=(len(places), len(mean)))
        values = mean + deviation * (1.4 * np.sin(places @ waves) @ mixing + noise)
        shelf.write(chunk, values.astype(np.float32))
    return {"side": slide.shape[0], "tiles": len(tiles)}


def show(path: Path) -> dict[str, float]:
    """Open a prediction in a window that stands already, then paint other genes."""
    import napari
    from qtpy.QtWidgets import QApplication

    from histoscribe.widgets.contributions import readers
    from histoscribe.widgets.layers.painting import paint, sections_in
    from histoscribe.widgets.state.state import state_of

    viewer = napari.Viewer(show=True)
    viewer.add_image(np.zeros((8, 8)))
    QApplication.processEvents()
    viewer.layers.clear()
    wall, work, drawn = time.perf_counter(), time.process_time(), []

    def note(_event: object) -> None:
        if sections_in(viewer) and state_of(viewer).gene:
            drawn.append((time.perf_counter() - wall, time.process_time() - work))

    viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(note, position="last")
    viewer.open(str(path), plugin="napari-histoscribe")
    readers.settle(viewer)
    QApplication.processEvents()
    panels, first = (time.perf_counter() - wall, time.process_time() - work), drawn[0]
    (section,) = sections_in(viewer)
    taken = []
    for gene in section.genes[100:110]:
        work = time.process_time()
        state_of(viewer).gene = gene
        paint(viewer, state_of(viewer))
        QApplication.processEvents()
        taken.append(time.process_time() - work)
    viewer.close()
    return {
        "first_gene_seconds": first[0], "first_gene_processor_seconds": first[1],
        "with_panels_seconds": panels[0], "with_panels_processor_seconds": panels[1],
        "next_gene_processor_seconds": float(np.median(taken)),
    }  # fmt: skip


def _run(command: list[str]) -> tuple[str, resource.struct_rusage]:
    """Standard output of a process that must succeed, and what the system says that it used."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return said, used


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spots", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--devices", type=int, default=1, help="so many processes train together")
    parser.add_argument("--killed", type=int, metavar="TIMES", help="kill the training so often")
    parser.add_argument("--json", action="store_true", help="one JSON object, nothing else")
    parser.add_argument("--dense", type=int, metavar="TILES", help="predict so many tiles of one slide")
    parser.add_argument("--slides", type=int, help="describe and predict so many slides on a cluster")
    parser.add_argument("--work", type=Path, help="keep what is made here, and use it again")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fill", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--show", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fill or asked.show:
        print(json.dumps(fill(*asked.fill) if asked.fill else show(asked.show)))
        return
    if asked.dense or asked.slides or asked.killed:
        import many_slides

        with tempfile.TemporaryDirectory() as name:
            work = asked.work or Path(name)
            work.mkdir(parents=True, exist_ok=True)
            if asked.killed:
                found = killed(asked.spots[0], asked.killed)
            else:
                found = dense(asked.dense, work) if asked.dense else many_slides.measure(work, asked.slides)
        if asked.json:
            print(json.dumps(found))
        else:
            for name, value in found.items():
                print(f"{name.replace('_', ' ')}: {value}")
        return
    if asked.one:
        print(json.dumps(one(asked.one, asked.devices, asked.checkpoint)))
        return
    rows = []
    for spots in asked.spots:
        command = [sys.executable, __file__, "--one", str(spots), "--devices", str(asked.devices)]
        threads = {"OMP_NUM_THREADS": "1"} if asked.devices > 1 else {}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | threads
        )
        rows.append(json.loads(done.stdout))
        if not asked.json:
            row = rows[-1]
            print(
                f"{row['spots']:>9,} spots: {row['seconds']:7.0f} s, of processor time "
                f"{row['processor_seconds']:.0f} s, peak {row['peak_gib']:.2f} GiB, "
                f"r on a new patient {row['r']:.3f}",
                flush=True,
            )
    if asked.json:
        print(json.dumps({"training": rows}))


if __name__ == "__main__":
    main()
