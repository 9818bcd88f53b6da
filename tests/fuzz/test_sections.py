"""Any damage to a section's files ends in one clear error, or in a section that makes sense.

`HISTOSCRIBE_FUZZ_SECONDS` says for how long to try (5 without it).
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

from histoscribe.errors import HistoscribeError
from histoscribe.section import Section, open_section, write_section
from histoscribe.simulate import simulate_section
from histoscribe.tiles import Region, read_regions, write_regions
from runs.hd import simulate_hd
from runs.spaceranger import write_spaceranger
from runs.spaceranger_hd import write_spaceranger_hd

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("HISTOSCRIBE_FUZZ_SECONDS", "5"))
SLOWEST = 10.0
MOST_BYTES = 1 << 30
EXAMPLES = 20
KINDS = ("one", "two", "text", "bins", "cells", "h5ad", "zarr", "regions")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small section in every format, and a file of regions."""
    folder = tmp_path_factory.mktemp("whole")
    section = simulate_section(5, name="S", genes=30, size_um=700.0, mpp=2.0)
    write_spaceranger(section, folder / "one", layout="1", hires_px=120)
    write_spaceranger(section, folder / "two", layout="4", hires_px=120)
    write_spaceranger(section, folder / "text", layout="3", matrix="mtx", hires_px=120)
    write_section(open_section(folder / "two"), folder / "h5ad")
    if "spatialdata" in sys.modules or _has_spatialdata():
        write_section(open_section(folder / "two"), folder / "zarr.zarr")
        (folder / "zarr.zarr").rename(folder / "zarr")
    write_spaceranger_hd(simulate_hd(1, genes=30, mpp=2.0), folder / "hd", hires_px=120)
    shutil.move(folder / "hd/binned_outputs/square_016um", folder / "bins")
    shutil.move(folder / "hd/segmented_outputs", folder / "cells")
    (folder / "cells/nucleus_segmentations.geojson").unlink()
    shutil.rmtree(folder / "hd")
    corners = np.array([[10.0, 10.0], [10.0, 90.0], [90.0, 50.0]])
    write_regions([Region("Tumor", (200, 0, 0), corners, (corners * 0.5 + 20,))] * 3, folder / "regions")
    return folder


def _has_spatialdata() -> bool:
    from importlib.util import find_spec

    return find_spec("spatialdata") is not None


def test_nothing_crashes_hangs_or_lies(whole: Path, tmp_path: Path) -> None:
    end, round_number = time.monotonic() + SECONDS, int(os.environ.get("HISTOSCRIBE_FUZZ_SEED", "0"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while time.monotonic() < end:

        @seed(round_number)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            number=st.integers(0, 2**64 - 1),
            kind=st.sampled_from([kind for kind in KINDS if (whole / kind).exists()]),
        )
        def once(number: int, kind: str) -> None:
            if time.monotonic() > end:
                return
            place = tmp_path / kind
            _copy(whole / kind, place)
            _damage(random.Random(number), place)
            start = time.process_time()
            _try(place, kind)
            assert time.process_time() - start < SLOWEST

        once()
        round_number += 1
        gc.collect()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST_BYTES


def _copy(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


def _damage(dice: random.Random, place: Path) -> None:
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    file = dice.choice(files)
    content = file.read_bytes()
    ways: list[Callable[[random.Random, Path, bytes], None]] = [_overwrite, _cut, _insert]
    if content.startswith(b"\x89HDF"):
        ways += [_change_dataset] * 3 + [_retype] * 2
    elif content[:1] in b"{[b" or file.suffix == ".csv":
        ways += [_change_text] * 2 + [_change_json] * 3
    dice.choice(ways)(dice, file, content)


def _overwrite(dice: random.Random, file: Path, content: bytes) -> None:
    changed = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(content) or 1)
        changed[at : at + 4] = dice.randbytes(dice.randint(1, 4))
    file.write_bytes(bytes(changed))


def _cut(dice: random.Random, file: Path, content: bytes) -> None:
    file.write_bytes(content[: dice.randint(0, len(content))])


def _insert(dice: random.Random, file: Path, content: bytes) -> None:
    at = dice.randint(0, len(content))
    file.write_bytes(content[:at] + dice.randbytes(dice.randint(1, 40)) + content[at:])


VALUES = (0, -1, 1, 2**31, 2**40, 2**63 - 1, 0.5, -3.5, 1e300, float("nan"), float("inf"), "", "x", "AC-1")


def _change_text(dice: random.Random, file: Path, content: bytes) -> None:
    """Put other numbers or words where some stood."""
    words = content.decode("utf-8", "replace").split(",")
    for _ in range(dice.randint(1, 3)):
        words[dice.randrange(len(words))] = str(dice.choice(VALUES))
    file.write_text(",".join(words), encoding="utf-8")


def _change_json(dice: random.Random, file: Path, content: bytes) -> None:
    """Put anything in the place of one value, wherever it is nested."""
    try:
        tree = json.loads(content)
    except ValueError:
        return
    part = tree
    while isinstance(part, dict | list) and part:
        key = dice.choice(sorted(part) if isinstance(part, dict) else range(len(part)))
        if not isinstance(part[key], dict | list) or not part[key] or dice.random() < 0.25:
            part[key] = dice.choice((*VALUES, None, [], {}, [None], {"a": 1}))
            break
        part = part[key]
    file.write_text(json.dumps(tree))


def _datasets(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return sorted(names)


def _change_dataset(dice: random.Random, path: Path, content: bytes) -> None:
    """Put another value into a data set."""
    with h5py.File(path, "r+") as file:
        item = file[dice.choice(_datasets(file))]
        if item.size:
            with suppress(TypeError, ValueError, OverflowError, OSError):
                item[tuple(dice.randrange(side) for side in item.shape)] = dice.choice(VALUES)


def _retype(dice: random.Random, path: Path, content: bytes) -> None:
    """Drop a data set, or put one of another type or shape in its place."""
    with h5py.File(path, "r+") as file:
        name = dice.choice(_datasets(file))
        shape, attributes = file[name].shape or (), dict(file[name].attrs)
        del file[name]
        kind = dice.choice(("none", "f4", "i8", "S3", "?", "u1", "longer", "flat", "claims"))
        if kind == "none":
            return
        if kind == "claims":
            made = file.create_dataset(name, shape=(10**11,), dtype="i8", chunks=(1024,))
        else:
            shape = {"longer": tuple(side + 3 for side in shape), "flat": (1, *shape)}.get(kind, shape)
            made = file.create_dataset(name, data=np.ones(shape, dtype=kind if len(kind) < 3 else "i4"))
        if dice.random() < 0.5:
            made.attrs.update(attributes)


def _try(place: Path, kind: str) -> None:
    try:
        opened = read_regions(place) if kind == "regions" else open_section(place)
    except HistoscribeError:
        return
    if isinstance(opened, Section):
        _makes_sense(opened)


def _makes_sense(section: Section) -> None:
    assert np.isfinite(section.centres).all()
    assert section.mpp > 0
    values = section.table.X.data
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert len(set(section.table.obs_names)) == section.table.n_obs
    assert len(set(section.genes)) == section.table.n_vars
    section.table.X.check_format(full_check=True)
    if section.slide is not None:
        try:
            section.slide.levels[-1].pixels[:8, :8]
        except HistoscribeError:
            return
