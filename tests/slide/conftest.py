"""Pictures, pyramids and damage that the tests of slides share."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session")
def picture() -> Callable[..., Pixels]:
    """Make RGB noise with coarse structure: shape (rows, columns, 3)."""

    def make(rows: int, columns: int, seed: int = 0) -> Pixels:
        random = np.random.default_rng(seed)
        coarse = random.integers(60, 200, (rows // 32 + 1, columns // 32 + 1, 3))
        smooth = coarse.repeat(32, axis=0).repeat(32, axis=1)[:rows, :columns]
        return (smooth + random.integers(-40, 40, (rows, columns, 3))).clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture
def write_tiff(tmp_path: Path) -> Callable[..., Path]:
    """Write a pyramid, one page a level, each level every second pixel of the one before."""

    def write(pixels: Pixels, levels: int = 1, name: str = "slide.tif", **options: object) -> Path:
        options = {"photometric": "rgb", "tile": (64, 64), "metadata": None, **options}
        path = tmp_path / name
        with tifffile.TiffWriter(path, bigtiff=bool(options.pop("bigtiff", False))) as tiff:
            for number in range(levels):
                tiff.write(pixels[:: 2**number, :: 2**number], subfiletype=int(number > 0), **options)
        return path

    return write


def jpeg(pixels: Pixels, **options: int) -> bytes:
    """Pixels as a JPEG whose colours are hardly changed."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=95, subsampling=0, **options)
    return stream.getvalue()


@pytest.fixture(scope="session")
def write_vms() -> Callable[[Path, Pixels], Path]:
    """Write a Hamamatsu VMS slide into a folder: JPEG files with restart markers, 20x, 0.5 µm per pixel."""

    def write(folder: Path, pixels: Pixels) -> Path:
        for name, step in (("image", 1), ("map", 8), ("macro", 4)):
            small = pixels[::step, ::step]
            (folder / f"{name}.jpg").write_bytes(jpeg(small, restart_marker_blocks=small.shape[1] // 32))
        nm = [500 * side for side in pixels.shape[:2]]
        lines = [
            "[Virtual Microscope Specimen]",
            "NoLayers=1",
            "NoJpegColumns=1",
            "NoJpegRows=1",
            "SourceLens=20",
        ]
        lines += ["ImageFile=image.jpg", "MapFile=map.jpg", "MacroImage=macro.jpg"]
        lines += [f"PhysicalHeight={nm[0]}", f"PhysicalWidth={nm[1]}"]
        (folder / "slide.vms").write_text(
            "\n".join([*lines, "PhysicalMacroHeight=1", "PhysicalMacroWidth=1", ""])
        )
        return folder / "slide.vms"

    return write


@pytest.fixture(scope="session")
def write_ndpi() -> Callable[[Path, Pixels], Path]:
    """Write a Hamamatsu NDPI slide into a folder: two levels and a macro image, each one JPEG strip."""

    def write(folder: Path, pixels: Pixels) -> Path:
        content, places = bytearray(b"II*\0" + bytes(8)), []
        for step, lens in ((1, 20.0), (4, 5.0), (8, -1.0)):
            level = pixels[::step, ::step]
            rows, columns = level.shape[:2]
            data = jpeg(level, restart_marker_blocks=columns // 32)
            start, maker = len(content), len(content) + len(data)
            content += data + b"Hamamatsu\0" + struct.pack("<3H2I", 8, 8, 8, 20_000 // step, 1)
            lens_bits = struct.unpack("<I", struct.pack("<f", lens))[0]
            tags = [(256, 4, 1, columns), (257, 4, 1, rows), (258, 3, 3, maker + 10), (259, 3, 1, 7)]
            tags += [
                (262, 3, 1, 6),
                (271, 2, 10, maker),
                (273, 4, 1, start),
                (277, 3, 1, 3),
                (278, 4, 1, rows),
            ]
            tags += [(279, 4, 1, len(data)), (282, 5, 1, maker + 16), (283, 5, 1, maker + 16), (296, 3, 1, 3)]
            tags += [
                (65420, 4, 1, 1),
                (65421, 11, 1, lens_bits),
                (65422, 9, 1, 0),
                (65423, 9, 1, 0),
                (65424, 9, 1, 0),
            ]
            content += bytes(len(content) % 2)
            places.append((len(content), len(tags)))
            content += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
            content += bytes(8 + 4 * len(tags))  # the next directory, then high words of the values
        links = [4, *(place + 2 + 12 * count for place, count in places)]
        for link, place in zip(links, [*(place for place, _ in places), 0], strict=True):
            content[link : link + 8] = struct.pack("<Q", place)
        (folder / "slide.ndpi").write_bytes(content)
        return folder / "slide.ndpi"

    return write


@pytest.fixture(scope="session")
def write_mirax() -> Callable[[Path, Pixels], Path]:
    """Write a MIRAX slide of two levels into a folder: index, description and tiles of 128 pixels."""
    side, name, levels = 128, "0123456789ABCDEF0123456789ABCDEF", 2

    def write(folder: Path, pixels: Pixels) -> Path:
        root = folder / "slide"
        root.mkdir()
        (folder / "slide.mrxs").write_bytes(jpeg(pixels[::8, ::8]))
        rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
        lines = ["[GENERAL]", "SLIDE_VERSION=01.02", f"SLIDE_ID={name}", f"IMAGENUMBER_X={columns}"]
        lines += [f"IMAGENUMBER_Y={rows}", "OBJECTIVE_MAGNIFICATION=20", "CameraImageDivisionsPerSide=1"]
        lines += ["[HIERARCHICAL]", "HIER_COUNT=1", "HIER_0_NAME=Slide zoom level", f"HIER_0_COUNT={levels}"]
        for level in range(levels):
            lines += [f"HIER_0_VAL_{level}=Zoom{level}", f"HIER_0_VAL_{level}_SECTION=LEVEL_{level}"]
        lines += [
            "NONHIER_COUNT=0",
            "INDEXFILE=Index.dat",
            "[DATAFILE]",
            "FILE_COUNT=1",
            "FILE_0=Data0000.dat",
        ]
        for level in range(levels):
            lines += [f"[LEVEL_{level}]", "OVERLAP_X=0", "OVERLAP_Y=0", "IMAGE_FORMAT=JPEG"]
            lines += [f"MICROMETER_PER_PIXEL_{axis}={0.5 * 2**level}" for axis in "XY"]
            lines += ["IMAGE_FILL_COLOR_BGR=16777215", f"DIGITIZER_WIDTH={side}", f"DIGITIZER_HEIGHT={side}"]
            lines += [f"IMAGE_CONCAT_FACTOR={min(level, 1)}"]
        (root / "Slidedat.ini").write_text("\n".join([*lines, ""]))
        start = 5 + len(name)
        index, data = bytearray(b"01.02" + name.encode()), bytearray()
        index += struct.pack("<ii", start + 8, 0) + bytes(4 * levels)
        for level in range(levels):
            step = 2**level
            entries = []
            for row in range(0, rows, step):
                for column in range(0, columns, step):
                    corner = pixels[row * side :, column * side :][: side * step : step, : side * step : step]
                    missing = [(0, side - extent) for extent in corner.shape[:2]]
                    tile = jpeg(np.pad(corner, (*missing, (0, 0)), mode="edge"))
                    entries.append((row * columns + column, len(data), len(tile), 0))
                    data += tile
            place = len(index)
            index[start + 8 + 4 * level : start + 12 + 4 * level] = struct.pack("<i", place)
            index += struct.pack("<4i", 0, place + 8, len(entries), 0)
            index += b"".join(struct.pack("<4i", *entry) for entry in entries)
        index[start + 4 : start + 8] = struct.pack("<i", len(index))
        (root / "Index.dat").write_bytes(index + bytes(8))
        (root / "Data0000.dat").write_bytes(data)
        return folder / "slide.mrxs"

    return write


@pytest.fixture(scope="session")
def write_bif() -> Callable[[Path, Pixels], Path]:
    """Write a Ventana BIF slide into a folder: label, level of tiles of 128 pixels, coarse level."""
    side = 128

    def write(folder: Path, pixels: Pixels) -> Path:
        rows, columns = pixels.shape[0] // side, pixels.shape[1] // side

        def number(row: int, column: int) -> int:
            """Of a tile on the stage's way to and fro, from below."""
            return row * columns + (columns - 1 - column if row % 2 else column) + 1

        right = [("RIGHT", (r, c), (r, c + 1)) for r in range(rows) for c in range(columns - 1)]
        up = [("UP", (r, c), (r + 1, c)) for r in range(rows - 1) for c in range(columns)]
        joints = "".join(
            f'<TileJointInfo FlagJoined="1" Confidence="100" Direction="{way}" Tile1="{number(*first)}" '
            f'Tile2="{number(*second)}" OverlapX="0" OverlapY="0"/>'
            for way, first, second in right + up
        )
        scan = '<iScan Magnification="20" ScanRes="0.5" ScannerModel="x" UnitNumber="1"/>'
        stitched = (
            f'<EncodeInfo Ver="2"><SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" NumRows="{rows}" '
            f'NumCols="{columns}" Width="{side}" Height="{side}" Pos-X="0" Pos-Y="0">{joints}</ImageInfo>'
            '</SlideStitchInfo><AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
        )
        common = {
            "photometric": "rgb",
            "compression": "jpeg",
            "compressionargs": {"level": 95},
            "metadata": None,
        }
        with tifffile.TiffWriter(folder / "slide.bif") as tiff:
            for step, text, xmp in (
                (8, "Label_Image", scan),
                (1, "level=0 mag=20", stitched),
                (2, "level=1 mag=10", ""),
            ):
                packet = f'<?xml version="1.0"?>{xmp}'.encode()
                about = {"extratags": [(700, 1, len(packet), packet, True)]} if xmp else {}
                about |= {"tile": (side, side)} if step < 8 else {}
                tiff.write(pixels[::step, ::step], description=text, subsampling=(1, 1), **about, **common)
        return folder / "slide.bif"

    return write


@pytest.fixture(scope="session")
def write_czi() -> Callable[[Path, Pixels], Path]:
    """Write a Zeiss CZI slide into a folder: two levels of raw tiles of 128 pixels."""
    side = 128

    def segment(name: bytes, body: bytes) -> bytes:
        room = -(-len(body) // 32) * 32
        return name.ljust(16, b"\0") + struct.pack("<qq", room, len(body)) + body.ljust(room, b"\0")

    def entry(corner: tuple[int, int], stored: tuple[int, ...], step: int, place: int) -> bytes:
        """One line of the directory: BGR, raw, where the tile lies and how large it is at full resolution."""
        head = b"DV" + struct.pack("<iqiiB5si", 3, place, 0, 0, 2 * (step > 1), bytes(5), 5)
        spans = [(b"X", corner[1], stored[1]), (b"Y", corner[0], stored[0])]
        lines = [(axis, at * step, size * step, size) for axis, at, size in spans]
        lines += [(axis, 0, 1, 1) for axis in (b"C", b"M", b"S")]
        return head + b"".join(
            axis.ljust(4, b"\0") + struct.pack("<iifi", at, size, at, small)
            for axis, at, size, small in lines
        )

    def write(folder: Path, pixels: Pixels) -> Path:
        content, entries = bytearray(544), []
        for step in (1, 2):
            level = pixels[::step, ::step, ::-1]
            for top in range(0, level.shape[0], side):
                for left in range(0, level.shape[1], side):
                    tile = level[top : top + side, left : left + side]
                    entries.append(entry((top, left), tile.shape, step, len(content)))
                    body = (struct.pack("<iiq", 0, 0, tile.size) + entries[-1]).ljust(256, b"\0")
                    content += segment(b"ZISRAWSUBBLOCK", body + tile.tobytes())
        directory = len(content)
        content += segment(
            b"ZISRAWDIRECTORY", struct.pack("<i", len(entries)) + bytes(124) + b"".join(entries)
        )
        rows, columns = pixels.shape[:2]
        scale = "".join(f'<Distance Id="{axis}"><Value>5e-07</Value></Distance>' for axis in "XY")
        about = (
            f"<ImageDocument><Metadata><Information><Image><PixelType>Bgr24</PixelType><SizeX>{columns}</SizeX>"
            f"<SizeY>{rows}</SizeY><SizeC>1</SizeC><SizeS>1</SizeS>"
            '<ObjectiveSettings><ObjectiveRef Id="O:1"/></ObjectiveSettings></Image><Instrument><Objectives>'
            '<Objective Id="O:1"><NominalMagnification>20</NominalMagnification></Objective>'
            "</Objectives></Instrument></Information>"
            f"<Scaling><Items>{scale}</Items></Scaling></Metadata></ImageDocument>"
        ).encode()
        described = len(content)
        content += segment(b"ZISRAWMETADATA", struct.pack("<ii", len(about), 0) + bytes(248) + about)
        attached = len(content)
        content += segment(b"ZISRAWATTDIR", bytes(256))
        head = (
            struct.pack("<4i", 1, 0, 0, 0)
            + b"\1" * 32
            + struct.pack("<iqqiq", 0, directory, described, 0, attached)
        )
        content[:544] = segment(b"ZISRAWFILE", head.ljust(512, b"\0"))
        (folder / "slide.czi").write_bytes(content)
        return folder / "slide.czi"

    return write
