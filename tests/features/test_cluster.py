"""Workers in processes of their own: the same bits, and what killing them costs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from histoscribe.errors import SettingError, SlideError
from histoscribe.features import BuiltinEncoder, connected, describe_tiles, storing
from histoscribe.features.store import CHUNK
from histoscribe.slide import Slide, open_slide
from histoscribe.tiles import Tiles

distributed = pytest.importorskip("distributed", reason="needs the extra 'cluster'")

CHUNKS = 8
COUNT = CHUNKS * CHUNK - 5
RUN = """
import sys, numpy as np
from histoscribe.features import BuiltinEncoder, connected, describe_tiles, storing
from histoscribe.slide import open_slide
from histoscribe.tiles import Tiles

slide, places, store, address = sys.argv[1:]
centres = np.load(places)
tiles = Tiles(centres, 50.0, tuple(map(str, range(len(centres)))), 50.0)
with connected(address), storing(store):
    describe_tiles(open_slide(slide, mpp=1.0), tiles, BuiltinEncoder())
"""


@pytest.fixture(scope="module")
def slide(paint: Callable[..., np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Slide:
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    tifffile.imwrite(path, paint(side_um=1500, nuclei=3000), tile=(256, 256), photometric="rgb")
    return open_slide(path, mpp=1.0)


@pytest.fixture(scope="module")
def tiles() -> Tiles:
    centres = np.random.default_rng(0).uniform(200, 1300, (COUNT, 2))
    return Tiles(centres, 50.0, tuple(map(str, range(COUNT))), 50.0)


@pytest.fixture(scope="module")
def alone(slide: Slide, tiles: Tiles) -> np.ndarray:
    import dask

    with dask.config.set(num_workers=1):
        return describe_tiles(slide, tiles, BuiltinEncoder()).features


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    cluster = distributed.LocalCluster(**options)
    yield cluster
    with contextlib.suppress(TimeoutError):  # of killed workers' keepers, on a busy machine
        cluster.close(timeout=20)


def pids(cluster: object) -> list[int]:
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def finished(store: Path) -> int:
    return len(list(store.glob("*.zarr/c/*/0")))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def start(slide: Slide, tiles: Tiles, store: Path, cluster: object, folder: Path) -> subprocess.Popen:
    np.save(folder / "places.npy", tiles.centres)
    words = [slide.path, folder / "places.npy", store, cluster.scheduler_address]
    return subprocess.Popen([sys.executable, "-c", RUN, *map(str, words)], stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one_thread(
    slide: Slide, tiles: Tiles, alone: np.ndarray, cluster: object
) -> None:
    with connected(cluster.scheduler_address):
        spread = describe_tiles(slide, tiles, BuiltinEncoder())
    np.testing.assert_array_equal(spread.features, alone)


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_run_repeat_a_chunk_each(
    slide: Slide, tiles: Tiles, alone: np.ndarray, cluster: object, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    run = start(slide, tiles, store, cluster, tmp_path)
    wait_for(lambda: finished(store) >= 2)
    os.kill(pids(cluster)[0], signal.SIGKILL)
    before = finished(store)
    wait_for(lambda: finished(store) >= before + 2)
    run.kill()
    run.wait()
    for pid in pids(cluster):
        os.kill(pid, signal.SIGKILL)
    left = finished(store)
    assert left < CHUNKS
    with storing(store):
        resumed = describe_tiles(slide, tiles, BuiltinEncoder())
    np.testing.assert_array_equal(resumed.features, alone)
    assert left <= resumed.reused < CHUNKS
    assert resumed.damaged == 0
    assert resumed.repeated <= 3  # one chunk of each worker that was killed


@pytest.mark.slow
def test_a_slide_that_workers_cannot_open_is_said(tiles: Tiles, cluster: object, tmp_path: Path) -> None:
    from histoscribe.slide import Level

    unseen = Slide(tmp_path / "gone.tif", (Level(np.zeros((99, 99, 3), np.uint8), 1.0),), mpp=1.0)
    with connected(cluster.scheduler_address), pytest.raises(SlideError, match="no such file"):
        describe_tiles(unseen, tiles, BuiltinEncoder())


@pytest.mark.slow
@pytest.mark.parametrize("address", ["nonsense://x", "127.0.0.1:1"])
def test_an_address_without_a_scheduler_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscribe.features.tasks.ANSWER_S", 1)
    with pytest.raises(SettingError, match="no Dask scheduler answers there"), connected(address):
        pass
