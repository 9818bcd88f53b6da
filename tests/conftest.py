"""What all tests share: the real data folder, and the blocked screen of the core's run."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import random
import signal
import struct
import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

# Before anything loads OpenMP. Workers share the cores, threads that wait must sleep, and numba would give
# PyTorch as many threads as there are cores, whatever was asked for.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
    if "numba" in sys.modules:  # a plugin of pytest's has it, and it launches no threads before it is used
        sys.modules["numba"].core.config.reload_config()

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
gc.set_threshold(*gc.get_threshold()[:2], 100)  # ten times fewer walks through all that libraries brought
_SCREEN = {"napari", "qtpy", "PySide6", "PyQt6", "magicgui", "superqt", "vispy"}


class _NoScreen(MetaPathFinder):
    """Refuses every import that needs a screen, so that the core proves it needs none."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in _SCREEN:
            raise ImportError(f"{fullname} is blocked: the core runs without a screen")
        return None


if os.environ.get("HISTOSCRIBE_NO_SCREEN"):
    sys.meta_path.insert(0, _NoScreen())


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HISTOSCRIBE_DATA", default))
    if not (folder / "her2st" / "cohort.csv").exists():
        pytest.skip(f"no real data at {folder}: name its folder in HISTOSCRIBE_DATA")
    return folder


@pytest.fixture
def foreign_package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install `tests/foreign` for one test, here and in the processes that it starts; its folder."""
    folder = Path(__file__).parent / "foreign"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path_factory.mktemp("site")
    about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups))
    for place in (folder, site):
        monkeypatch.syspath_prepend(place)
    beside = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(folder), *([beside] if beside else [])]))
    return folder


def process_state() -> dict[str, Any]:
    """Whatever of this process a guest must leave as it was found."""
    state: dict[str, Any] = {
        "turns of threads": sys.getswitchinterval(),
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 1_000),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "start of processes": multiprocessing.get_start_method(allow_none=True)
        or multiprocessing.get_all_start_methods()[0],
        "signals": {
            number: signal.getsignal(number)
            for number in signal.valid_signals() - {signal.SIGALRM}  # the time limit of a test
        },
        "warnings": list(warnings.filters),
        "random": random.getstate(),
        "numpy": repr(np.random.get_state()),  # noqa: NPY002
        "levels of logs": {
            name: log.level
            for name, log in [*logging.root.manager.loggerDict.items(), ("root", logging.root)]
            if isinstance(log, logging.Logger)
        },
    }
    if "torch" in sys.modules:
        import torch

        state["torch's threads"] = torch.get_num_threads()
        state["torch's numbers"] = torch.get_rng_state().tolist()
        state["torch's exactness"] = torch.are_deterministic_algorithms_enabled()
        state["torch's gradients"] = torch.is_grad_enabled(), torch.get_default_dtype()
    if "matplotlib" in sys.modules:
        state["matplotlib"] = repr(dict(sys.modules["matplotlib"].rcParams))
    return state


def changes(before: dict[str, Any], after: dict[str, Any], imported: bool) -> list[str]:
    """What differs of what was there before; libraries may add to some of it when they are imported."""
    by_imports = {"warnings", "environment", "levels of logs", "random"} if imported else set()
    by_others = {"random"} if "distributed" in sys.modules else set()  # a client that waits draws from it
    found = []
    for name, value in before.items():
        now = after[name]
        if name == "levels of logs":
            now = {log: level for log, level in now.items() if log in value}
        if name == "warnings":
            # Filters are the process's until Python 3.14: one that a library sets on a job's thread, while
            # it catches warnings (as scanpy while umap compiles), stays where the window's thread catches
            # some meanwhile. Ours are others: none is always for every warning, none looks at the message.
            always = ("always", None, Warning, None, 0)
            now = [one for one in now if one in value or (one[1] is None and one != always)]
        if name == "environment":
            value, now = (one | {"PYTEST_CURRENT_TEST": ""} for one in (value, now))
        if now != value and name not in by_imports | by_others:
            if isinstance(now, dict):
                value, now = list(value.items()), list(now.items())
            if isinstance(now, list):
                value, now = (
                    [one for one in these if one not in those]
                    for these, those in ((value, now), (now, value))
                )
            found.append(f"{name}: {value!s:.200} became {now!s:.200}")
    return found


@pytest.fixture(scope="session")
def polite() -> Callable[..., AbstractContextManager[None]]:
    """A block that fails where it leaves the process otherwise than it found it."""

    @contextmanager
    def block(patience_s: float = 60) -> Iterator[None]:
        modules, before = len(sys.modules), process_state()
        yield
        until = time.monotonic() + patience_s
        while left := changes(before, process_state(), len(sys.modules) > modules):
            if time.monotonic() > until:
                break
            time.sleep(0.05)  # a thread that compiles sets back what it has set once it is done
        assert left == []

    return block


class Bomb:
    """A pickle of it ends the process that opens it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (66,)


@pytest.fixture(scope="session")
def write_hest() -> Callable[..., Path]:
    """A function that writes a folder in HEST-1k's layout: id → what its row says otherwise than usual."""
    import pickle

    import anndata
    import pandas as pd
    import tifffile
    from scipy.sparse import csr_matrix

    usual = {
        "dataset_title": "A study", "patient": "Patient 1", "st_technology": "Visium", "license": "CC BY 4.0",
        "pixel_size_um_estimated": 1.0, "pixel_size_um_embedded": 1.0, "inter_spot_dist": 100.0,
        "spot_diameter": 55.0, "species": "Homo sapiens", "organ": "Breast",
    }  # fmt: skip

    def write(root: Path, sections: dict[str, dict[str, Any]], genes: int = 30) -> Path:
        for name in ("st", "wsis", "metadata", "tissue_seg"):
            (root / name).mkdir(parents=True, exist_ok=True)
        rows = [{"id": name, **usual, **changed} for name, changed in sections.items()]
        pd.DataFrame(rows).to_csv(root / "HEST_v1_3_0.csv", index=False, encoding="utf-8-sig")
        (root / "HEST_v1_1_0.csv").write_text("id,dataset_title\n")
        for seed, row in enumerate(rows):
            rng, name = np.random.default_rng(seed), row["id"]
            darkness = np.clip(np.linspace(20, 140, 800)[None, :] + rng.normal(0, 10, (800, 800)), 0, 200)
            image = np.stack([235 - darkness, 200 - darkness, 230 - darkness / 2], -1).clip(0, 255)
            tifffile.imwrite(root / "wsis" / f"{name}.tif", image.astype(np.uint8), tile=(256, 256))
            steps = np.array([(line, 2 * column + line % 2) for line in range(8) for column in range(7)])
            centres = np.column_stack([70 + steps[:, 0] * 50 * 3**0.5, 60 + steps[:, 1] * 50.0])
            names = [f"{line:08d}-{column}" for line, column in steps]
            if row["st_technology"] == "Xenium":
                steps = np.array([(line, column) for line in range(7) for column in range(7)])
                centres, names = 80 + steps * 100.0, [f"{line:03d}x{column:03d}" for line, column in steps]
            shade = darkness[centres[:, 0].astype(int), centres[:, 1].astype(int)] / 140
            loading = np.linspace(-1, 1, genes)
            counts = rng.poisson(20 * np.exp(2 * loading * (shade[:, None] - 0.5))).astype(np.float32)
            table = anndata.AnnData(csr_matrix(counts), obsm={"spatial": centres[:, ::-1].copy()})
            table.obs_names, table.var_names = names, [f"G{gene}" for gene in range(genes)]
            table.obs["in_tissue"] = [number % 2 for number in range(len(names))]
            if row["st_technology"] != "Xenium":
                table.obs["array_row"], table.obs["array_col"] = steps.T
            table.uns["pixel_size_um_embedded"] = row["pixel_size_um_embedded"]
            small = {"downscaled_fullres": image[::4, ::4].astype(np.uint8)}
            factors = {"tissue_downscaled_fullres_scalef": 0.25, "spot_diameter_fullres": 55.0}
            table.uns["spatial"] = {"ST": {"images": small, "scalefactors": factors}}
            table.write_h5ad(root / "st" / f"{name}.h5ad")
            record = pd.Series(row).to_json()
            (root / "metadata" / f"{name}.json").write_text(record)
            (root / "tissue_seg" / f"{name}_mask.pkl").write_bytes(pickle.dumps(Bomb()))
        return root

    return write


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., Path]:
    """Writes pixels as a DICOM folder of one tiled level, as scanners export it."""
    import imagecodecs

    whole_slide, side = "1.2.840.10008.5.1.4.1.1.77.1.6", 256

    def element(group: int, number: int, kind: str, value: Any) -> bytes:
        numbers = {"US": "<H", "UL": "<I"}
        held = struct.pack(numbers[kind], value) if kind in numbers else value
        held = held.encode() if isinstance(held, str) else held
        held += (b"\0" if kind == "UI" else b" ") * (len(held) % 2)
        size = struct.pack("<HI", 0, len(held)) if kind in ("OB", "SQ") else struct.pack("<H", len(held))
        return struct.pack("<HH", group, number) + kind.encode() + size + held

    def item(held: bytes) -> bytes:
        return struct.pack("<HHI", 0xFFFE, 0xE000, len(held)) + held

    def write(folder: Path, pixels: np.ndarray, mpp: float = 0.5) -> Path:
        rows, columns = pixels.shape[:2]
        whole = np.pad(pixels, ((0, -rows % side), (0, -columns % side), (0, 0)), constant_values=255)
        corners = [(r, c) for r in range(0, rows, side) for c in range(0, columns, side)]
        tiles = [np.ascontiguousarray(whole[r : r + side, c : c + side]) for r, c in corners]
        frames = [imagecodecs.jpeg_encode(tile, level=95) for tile in tiles]
        spacing = element(0x28, 0x30, "DS", f"{mpp / 1000:g}\\{mpp / 1000:g}")
        shared = item(element(0x28, 0x9110, "SQ", item(spacing)))
        meta = [
            (2, 1, "OB", b"\0\1"), (2, 2, "UI", whole_slide), (2, 3, "UI", "1.2.3.1"),
            (2, 0x10, "UI", "1.2.840.10008.1.2.4.50"),
        ]  # fmt: skip
        about = [
            (8, 8, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"), (8, 0x16, "UI", whole_slide),
            (8, 0x18, "UI", "1.2.3.1"), (8, 0x60, "CS", "SM"), (0x20, 0xD, "UI", "1.2.3.2"),
            (0x20, 0xE, "UI", "1.2.3.3"), (0x20, 0x9311, "CS", "TILED_FULL"), (0x28, 2, "US", 3),
            (0x28, 4, "CS", "YBR_FULL_422"), (0x28, 6, "US", 0), (0x28, 8, "IS", str(len(frames))),
            (0x28, 0x10, "US", side), (0x28, 0x11, "US", side), (0x28, 0x100, "US", 8),
            (0x28, 0x101, "US", 8), (0x28, 0x102, "US", 7), (0x28, 0x103, "US", 0),
            (0x48, 6, "UL", columns), (0x48, 7, "UL", rows), (0x5200, 0x9229, "SQ", shared),
        ]  # fmt: skip
        head, body = (b"".join(element(*one) for one in part) for part in (meta, about))
        items = b"".join(item(frame + b"\0" * (len(frame) % 2)) for frame in frames)
        data = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + item(b"") + items
        folder.mkdir(parents=True)
        start = bytes(128) + b"DICM" + element(2, 0, "UL", len(head)) + head
        end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        (folder / "level0.dcm").write_bytes(start + body + data + end)
        return folder

    return write
