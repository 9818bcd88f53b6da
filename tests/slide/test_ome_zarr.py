"""OME-Zarr: 0.4 and 0.5, in any layout that zarr writes, from a folder and over HTTP."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from numcodecs import LZ4, Blosc, GZip, Zlib, Zstd
from zarr.codecs import BloscCodec, GzipCodec, TransposeCodec, ZstdCodec

from histoscribe.errors import SlideError
from histoscribe.slide import open_slide
from histoscribe.slide.colour import TRANSPARENT
from histoscribe.slide.tiled import BROKEN, BrokenTileWarning
from histoscribe.slide.zarr import place as remote
from histoscribe.slide.zarr.backend import MissingTileWarning

SHAPE = (3, 500, 430)


def describe(axes: str = "cyx", scale: float = 0.5, levels: int = 2, **extra: object) -> dict:
    """The multiscales of an image whose levels halve."""
    kinds = {"c": "channel", "t": "time"}
    named = [
        {"name": axis, "type": kinds.get(axis, "space"), **({} if axis in "ct" else {"unit": "micrometer"})}
        for axis in axes
    ]
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [
                {"type": "scale", "scale": [scale * 2**number if axis in "yx" else 1.0 for axis in axes]}
            ],
        }
        for number in range(levels)
    ]
    return {"multiscales": [{"version": "0.4", "axes": named, "datasets": datasets}], **extra}


@pytest.fixture
def store(picture: Callable, tmp_path: Path) -> Callable[..., tuple[Path, np.ndarray]]:
    """Write an image of two levels with zarr itself; the keywords go to its arrays."""

    def write(
        version: int = 3, *, described: dict | None = None, **options: object
    ) -> tuple[Path, np.ndarray]:
        path, pixels = tmp_path / "slide.zarr", picture(500, 430)
        shutil.rmtree(path, ignore_errors=True)
        group = zarr.open_group(path, mode="w", zarr_format=version)
        options = {"chunks": (3, 128, 128), **options}
        if version == 2:
            options.setdefault("chunk_key_encoding", {"name": "v2", "separator": "/"})
        for number, level in enumerate((pixels, pixels[::2, ::2])):
            array = group.create_array(
                str(number), shape=level.transpose(2, 0, 1).shape, dtype="uint8", **options
            )
            array[:] = level.transpose(2, 0, 1)
        about = described or describe()
        group.attrs.update(about if version == 2 else {"ome": {"version": "0.5", **about}})
        return path, pixels

    return write


def test_stated_scales_tell_the_finest_level_in_whatever_order_they_are_listed(store: Callable) -> None:
    about = describe()
    about["multiscales"][0]["datasets"].reverse()
    path, pixels = store(described=about)
    slide = open_slide(path)
    assert (slide.shape, slide.mpp) == (pixels.shape[:2], 0.5)
    assert [level.downsample for level in slide.levels] == [1.0, 2.0]
    assert slide.warnings == open_slide(store()[0]).warnings


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compressors": None},
        {"compressors": [ZstdCodec(level=1, checksum=True)]},
        {"compressors": [GzipCodec(level=1)]},
        {"compressors": [BloscCodec(cname="lz4", shuffle="bitshuffle")]},
        {"chunks": (1, 100, 128)},
        {"chunks": (3, 64, 64), "shards": (3, 256, 192)},
        {"chunks": (1, 50, 64), "shards": (3, 250, 256), "compressors": None},
        {"filters": [TransposeCodec(order=(1, 2, 0))]},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
        {"version": 2},
        {
            "version": 2,
            "compressors": [Blosc("zstd")],
            "chunk_key_encoding": {"name": "v2", "separator": "."},
        },
        {"version": 2, "compressors": [Zstd()], "order": "F"},
        {"version": 2, "compressors": [GZip()], "chunks": (1, 128, 430)},
        {"version": 2, "compressors": [Zlib()]},
        {"version": 2, "compressors": [LZ4()]},
    ],
)
def test_every_layout_gives_the_pixels_that_zarr_wrote(store, options):
    path, pixels = store(**options)
    slide = open_slide(path)
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)
    np.testing.assert_array_equal(slide.levels[1].pixels[3:99, 7:150], pixels[::2, ::2][3:99, 7:150])
    assert slide.mpp == 0.5
    assert [level.downsample for level in slide.levels] == [1, 2]
    assert "taken for red, green and blue" in " ".join(slide.warnings)


@pytest.mark.parametrize("per_chunk", [1, 4])
def test_transparent_glass_is_laid_on_white_and_said_once(picture, tmp_path, per_chunk):
    pixels = np.concatenate((picture(130, 90), np.full((130, 90, 1), 255, np.uint8)), axis=2)
    pixels[:64] = 0
    group = zarr.open_group(tmp_path / "slide.zarr", mode="w", zarr_format=3)
    for number, level in enumerate((pixels, pixels[::2, ::2])):
        planes = level.transpose(2, 0, 1)
        array = group.create_array(
            str(number), shape=planes.shape, chunks=(per_chunk, 64, 64), dtype="uint8", fill_value=0
        )
        array[:] = planes  # chunks of nothing but transparent black are not even stored
    group.attrs["ome"] = {"version": "0.5", **describe()}
    slide = open_slide(tmp_path / "slide.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingTileWarning)
        read = slide.levels[0].pixels[:]
    assert (read[:64] == 255).all()
    np.testing.assert_array_equal(read[64:], pixels[64:, :, :3])
    assert slide.warnings.count(TRANSPARENT) == 1


def test_dyes_and_labels_are_refused(store, tmp_path):
    channels = [
        {"color": colour, "label": label}
        for colour, label in (("0000FF", "DAPI"), ("00FF00", "FITC"), ("FF0000", "Cy3"))
    ]
    path, _ = store(described={**describe(), "omero": {"channels": channels}})
    with pytest.raises(SlideError, match="DAPI, FITC, Cy3, not red, green and blue"):
        open_slide(path)
    for channel, colour in zip(channels, ("FF0000", "00FF00", "0000FF"), strict=True):
        channel["color"] = colour  # as red, green and blue have
    path, _ = store(described={**describe(), "omero": {"channels": channels}})
    with pytest.raises(SlideError, match="DAPI, FITC, Cy3, not red, green and blue"):
        open_slide(path)
    for channel, name in zip(channels, ("Blue", "Green", "Red"), strict=True):
        channel |= {"color": "FFFFFF", "label": name}
    path, _ = store(described={**describe(), "omero": {"channels": channels}})
    with pytest.raises(SlideError, match="Blue, Green, Red, not red, green and blue"):
        open_slide(path)
    group = zarr.open_group(tmp_path / "labels.zarr", mode="w", zarr_format=3)
    for number in (0, 1):
        group.create_array(str(number), shape=(1, 64 >> number, 64 >> number), dtype="uint8")[:] = 3
    group.attrs["ome"] = {"version": "0.5", "image-label": {}, **describe()}
    with pytest.raises(SlideError, match="labels of objects"):
        open_slide(tmp_path / "labels.zarr")


@pytest.mark.parametrize(("unit", "mpp"), [("nanometer", 0.0005), ("millimeter", 500), ("micrometer", 0.5)])
def test_units_are_minded(store, unit, mpp):
    about = describe()
    for axis in about["multiscales"][0]["axes"][1:]:
        axis["unit"] = unit
    slide = open_slide(store(described=about)[0])
    assert slide.mpp == (mpp if mpp == 0.5 else None)
    assert mpp == 0.5 or "cannot be true" in " ".join(slide.warnings)


def test_each_axis_has_its_own_unit(store):
    about = describe()
    about["multiscales"][0]["axes"][2]["unit"] = "millimeter"
    for dataset in about["multiscales"][0]["datasets"]:
        dataset["coordinateTransformations"][0]["scale"][2] /= 1000
    slide = open_slide(store(described=about)[0])
    assert slide.mpp == pytest.approx(0.5)
    assert not any("unit" in warning for warning in slide.warnings)


def test_times_planes_and_the_layout_of_bioformats2raw(picture, tmp_path):
    pixels = picture(100, 90)
    group = zarr.open_group(tmp_path / "slide.zarr", mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    series = group.create_group("0")
    array = series.create_array("0", shape=(1, 3, 2, 100, 90), chunks=(1, 1, 1, 64, 64), dtype="uint8")
    array[0, :, 0] = pixels.transpose(2, 0, 1)
    colours = {"channels": [{"color": colour} for colour in ("ff0000", "00FF00", "0000FF")]}
    series.attrs.update(describe("tczyx", levels=1, omero=colours))
    slide = open_slide(tmp_path / "slide.zarr")
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)
    assert slide.warnings == ("it holds 2 planes; the first is shown",)


def test_chunks_that_are_not_stored_are_told(store):
    path, pixels = store(fill_value=200)
    (path / "0" / "c" / "0" / "1" / "2").unlink()
    level = open_slide(path).levels[0]
    with pytest.warns(MissingTileWarning, match="fill value 200"):
        read = level.pixels[:]
    expected = pixels.copy()
    expected[128:256, 256:384] = 200
    np.testing.assert_array_equal(read, expected)


def test_where_all_must_be_there_a_missing_chunk_is_broken(store):
    path, pixels = store(described=None)
    about = json.loads((path / "zarr.json").read_text())
    about["attributes"]["histoscribe"] = {"complete": True}
    (path / "zarr.json").write_text(json.dumps(about))
    (path / "0" / "c" / "0" / "1" / "2").unlink()
    level = open_slide(path).levels[0]
    with pytest.warns(BrokenTileWarning, match="row 128, column 256"):
        read = level.pixels[:]
    assert (read[128:256, 256:384] == BROKEN).all()
    np.testing.assert_array_equal(read[:128], pixels[:128])


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder; as a server that does not answer with parts of files."""
    servers = []

    def start(folder: Path) -> str:
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Quiet, directory=folder)
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("options", [{}, {"version": 2}, {"chunks": (3, 64, 64), "shards": (3, 256, 192)}])
def test_over_http(store, serve, options):
    pytest.importorskip("aiohttp")
    path, pixels = store(**options)
    url = f"{serve(path.parent)}/slide.zarr"
    slide = open_slide(url)
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)
    assert (slide.source, slide.name, slide.mpp) == (url, "slide", 0.5)
    assert open_slide(Path(url)).source == url
    assert open_slide(path.as_uri()).path == path


def test_urls_that_lead_nowhere(tmp_path, serve):
    pytest.importorskip("aiohttp")
    with pytest.raises(SlideError, match="no OME-Zarr image"):
        open_slide(f"{serve(tmp_path)}/none.zarr")
    with pytest.raises(SlideError, match="can no longer be read") as caught:
        open_slide("http://127.0.0.1:1/none.zarr")
    assert caught.value.where == "http://127.0.0.1:1/none.zarr"


@pytest.mark.timeout(60)
def test_a_server_that_never_answers_does_not_hang(monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "_SECONDS", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(SlideError, match="can no longer be read"),
    ):
        open_slide(f"http://127.0.0.1:{silent.getsockname()[1]}/slide.zarr")
