"""Any damage to a slide ends in one clear error, or in pixels that are the slide's or marked as broken.

`HISTOSCRIBE_FUZZ_SECONDS` says for how long to try (5 without it).
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import resource
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

from histoscribe.errors import HistoscribeError
from histoscribe.slide import open_slide, write_slide
from histoscribe.slide.tiled import BROKEN

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("HISTOSCRIBE_FUZZ_SECONDS", "5"))
SLOWEST = 10.0
MOST_BYTES = 1 << 30
EXAMPLES = 20
SIDE = 200
CHECKED = ("written.zarr",)  # with checksums: damage to pixels cannot go unseen
INI = "[GENERAL]\nSLIDE_ID=x\nIMAGENUMBER_X=4\nIMAGENUMBER_Y=4\n[HIERARCHICAL]\nINDEXFILE=Index.dat\n"
VMS = "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\nImageFile=a.jpg\n"
HAMAMATSU = [(271, 2, 0, "Hamamatsu", True), (65420, 4, 1, 1, True)]
VENTANA = [(700, 1, 30, b"<iScan Magnification='20'/>   ", True)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small slide in every format that can be made here, and what OpenSlide takes for one."""
    folder = tmp_path_factory.mktemp("whole")
    dice = np.random.default_rng(0)
    pixels = (
        dice.integers(60, 220, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    )
    aperio = "Aperio Image Library\r\n|MPP = 0.5|AppMag = 20"
    for name, options in {
        "jpeg.svs": {"compression": "jpeg"},
        "zlib.tif": {"compression": "zlib", "predictor": True},
        "lzw.tif": {"compression": "lzw", "tile": None, "rowsperstrip": 16},
        "j2k.tif": {"compression": "jpeg2000"},
        "planes.tif": {"planarconfig": "separate"},
        "hamamatsu.ndpi": {"compression": "jpeg", "extratags": HAMAMATSU},
        "ventana.bif": {"compression": "jpeg", "extratags": VENTANA},
    }.items():
        with tifffile.TiffWriter(folder / name) as tiff:
            for factor in (1, 2):
                level = pixels[::factor, ::factor]
                stored = level.transpose(2, 0, 1) if "planarconfig" in options else level
                about = {"tile": (64, 64), "photometric": "rgb", "metadata": None, **options}
                tiff.write(stored, subfiletype=int(factor > 1), description=aperio, **about)
    slide = open_slide(folder / "zlib.tif", mpp=0.5)
    write_slide(slide, folder / "written.ome.tif")
    write_slide(slide, folder / "written.zarr")
    (folder / "plain.png").write_bytes(imagecodecs.png_encode(pixels))
    (folder / "plain.jpg").write_bytes(imagecodecs.jpeg8_encode(pixels))
    (folder / "slide.vms").write_text(VMS)
    (folder / "scan.dcm").write_bytes(bytes(128) + b"DICM" + bytes(300))
    (folder / "scan.czi").write_bytes(b"ZISRAWFILE" + bytes(900))
    (folder / "mirax").mkdir()
    (folder / "mirax" / "Slidedat.ini").write_text(INI)
    shared = Path(os.environ.get("HISTOSCRIBE_DATA", "")) / "slides" / "boxes_0.dcm"
    if shared.is_file():
        shutil.copyfile(shared, folder / "boxes.dcm")
    np.save(folder / "pixels.npy", pixels)
    return folder


@pytest.mark.timeout(SECONDS * 4 + 120)
def test_nothing_crashes_hangs_or_lies(whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="tifffile")
    pixels = np.load(whole / "pixels.npy")
    kinds = sorted(entry.name for entry in whole.iterdir() if entry.suffix != ".npy")
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
        @given(number=st.integers(0, 2**64 - 1), kind=st.sampled_from(kinds))
        def once(number: int, kind: str) -> None:
            if time.monotonic() > end:
                return
            place = tmp_path / kind
            shutil.rmtree(place, ignore_errors=True)
            (shutil.copytree if (whole / kind).is_dir() else shutil.copyfile)(whole / kind, place)
            told = _damage(random.Random(number), place)
            start = time.process_time()
            read = _try(place)
            assert time.process_time() - start < SLOWEST, (kind, number)
            if read is not None and kind in CHECKED and not told:
                assert ((read == pixels) | (read == BROKEN)).all(), (kind, number)

        once()
        round_number += 1
        gc.collect()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST_BYTES


def _try(place: Path) -> np.ndarray | None:
    said = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            slide = open_slide(place)
            for level in slide.levels:
                assert level.pixels[:50, :50].dtype == np.uint8
            for picture in slide.associated.values():
                picture()
            if slide.profile is not None:
                slide.profile()
            return slide.levels[0].pixels[:] if slide.shape == (SIDE, SIDE) else None
        except HistoscribeError as error:
            said = str(error)
    assert "\n" not in said
    return None


def _damage(dice: random.Random, place: Path) -> bool:
    """Damage one file; True where it is a description, after which other pixels may be right."""
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    file = dice.choice(files)
    content = file.read_bytes()
    ways: list[Callable[[random.Random, bytes], bytes]] = [_overwrite, _overwrite, _cut, _insert]
    if content[:1] == b"{":
        ways += [_change_json] * 4
    elif content[:2] in (b"II", b"MM"):
        ways += [_change_directory] * 4
    file.write_bytes(dice.choice(ways)(dice, content))
    return file.suffix == ".json"


def _overwrite(dice: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(content) or 1)
        changed[at : at + 4] = dice.randbytes(dice.randint(1, 4))
    return bytes(changed)


def _cut(dice: random.Random, content: bytes) -> bytes:
    return content[: dice.randint(0, len(content))]


def _insert(dice: random.Random, content: bytes) -> bytes:
    at = dice.randint(0, len(content))
    return content[:at] + dice.randbytes(dice.randint(1, 40)) + content[at:]


NUMBERS = (0, 1, 2, 3, 7, 255, 256, 65535, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def _change_directory(dice: random.Random, content: bytes) -> bytes:
    """Put other numbers into the entries of a TIFF's directories."""
    changed = bytearray(content)
    order = "little" if content[:2] == b"II" else "big"
    first = int.from_bytes(content[4:8], order)
    for _ in range(dice.randint(1, 4)):
        at = first + 2 + 12 * dice.randrange(20) + dice.choice((0, 2, 4, 8))
        size = 4 if (at - first - 2) % 12 in (4, 8) else 2
        changed[at : at + size] = (dice.choice(NUMBERS) % 256**size).to_bytes(size, order)
    return bytes(changed[: len(content)])


VALUES = (0, -1, 1, 2, 2**31, 2**40, 2**63, 0.5, -3.5, 1e300, float("nan"), "", "x", "..", "../..", "/", None)


def _change_json(dice: random.Random, content: bytes) -> bytes:
    """Put anything in the place of one value, wherever it is nested."""
    tree = json.loads(content)
    part = tree
    while isinstance(part, dict | list) and part:
        key = dice.choice(sorted(part) if isinstance(part, dict) else range(len(part)))
        if not isinstance(part[key], dict | list) or not part[key] or dice.random() < 0.2:
            part[key] = dice.choice((*VALUES, [], {}, [None], {"a": 1}))
            break
        part = part[key]
    return json.dumps(tree).encode()
