"""TIFFs as Leica, Philips and PerkinElmer arrange them: tissue, levels, label and macro image found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from histoscribe.errors import SlideError
from histoscribe.slide import open_slide

Pages = list[tuple[np.ndarray, dict]]
TILED = {"tile": (64, 64)}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write pages one after the other."""

    def make(pages: Pages, **common: object) -> Path:
        with tifffile.TiffWriter(tmp_path / "slide.tif") as tiff:
            for pixels, options in pages:
                tiff.write(pixels, photometric="rgb", metadata=None, **{**common, **options})
        return tmp_path / "slide.tif"

    return make


def test_leica(write, picture):
    tissue, glass = picture(400, 300), picture(90, 200, seed=1)
    about = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection>'
        '<image name="macro"><pixels><dimension sizeX="200" sizeY="90" r="0" ifd="0"/></pixels></image>'
        '<image name="tissue"><pixels><dimension sizeX="300" sizeY="400" r="0" ifd="1"/>'
        '<dimension sizeX="150" sizeY="200" r="1" ifd="2"/></pixels>'
        "<scanSettings><objectiveSettings><objective>20</objective></objectiveSettings></scanSettings>"
        "</image></collection></scn>"
    )
    scale = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    pages = [
        (glass, {**TILED, "description": about}),
        (tissue, {**TILED, **scale}),
        (tissue[::2, ::2], TILED),
    ]
    slide = open_slide(write(pages))
    assert (slide.vendor, slide.mpp, slide.objective) == ("Leica", pytest.approx(0.5), 20)
    assert [level.shape for level in slide.levels] == [(400, 300), (200, 150)]
    np.testing.assert_array_equal(slide.levels[0].pixels[:], tissue)
    np.testing.assert_array_equal(slide.associated["macro"](), glass)


def test_philips(write, picture):
    tissue, label = picture(512, 384), picture(60, 70, seed=1)
    levels = "".join(
        f'<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING">'
        f'"{0.00025 * 2**n}" "{0.00025 * 2**n}"</Attribute></DataObject>'
        for n in range(2)
    )
    about = (
        '<?xml version="1.0"?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES"><Array>'
        '<DataObject ObjectType="DPScannedImage"><Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE">'
        f"<Array>{levels}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )
    pages = [
        (tissue, {**TILED, "description": about}),
        (tissue[::2, ::2], TILED),
        (label, {"description": "Label"}),
    ]
    slide = open_slide(write(pages, software="Philips DP v1.0"))
    assert (slide.vendor, slide.mpp) == ("Philips", pytest.approx(0.25))
    assert [level.downsample for level in slide.levels] == [1, 2]
    np.testing.assert_array_equal(slide.levels[0].pixels[:], tissue)
    np.testing.assert_array_equal(slide.associated["label"](), label)


def test_perkin_elmer(write, picture):
    tissue, small = picture(512, 384), picture(100, 80, seed=1)
    about = (
        '<?xml version="1.0" encoding="utf-8"?><PerkinElmer-QPI-ImageDescription>'
        "<Objective>20x</Objective></PerkinElmer-QPI-ImageDescription>"
    )
    scale = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER", "description": about}
    pages = [(tissue, {**TILED, **scale}), (small, {}), (tissue[::2, ::2], TILED)]
    slide = open_slide(write(pages, software="PerkinElmer-QPI"))
    assert (slide.vendor, slide.mpp, slide.objective) == ("PerkinElmer", pytest.approx(0.5), 20)
    assert [level.shape for level in slide.levels] == [(512, 384), (256, 192)]
    np.testing.assert_array_equal(slide.levels[1].pixels[:], tissue[::2, ::2])
    np.testing.assert_array_equal(slide.associated["thumbnail"](), small)


def test_aperio_with_all_its_images(write, picture):
    tissue, label, macro = picture(512, 384), picture(60, 70, seed=1), picture(50, 120, seed=2)
    aperio = "Aperio Image Library v11.2.1"
    pages = [
        (tissue, {**TILED, "description": f"{aperio}\r\n384x512|AppMag = 20|MPP = 0.5"}),
        (tissue[::4, ::4], {"description": f"{aperio}\r\n96x128"}),
        (tissue[::2, ::2], {**TILED, "description": f"{aperio}\r\n192x256"}),
        (label, {"description": f"{aperio}\r\nlabel 70x60", "subfiletype": 1}),
        (macro, {"description": f"{aperio}\r\nmacro 120x50", "subfiletype": 9}),
    ]
    slide = open_slide(write(pages))
    assert (slide.vendor, slide.mpp, slide.objective) == ("Aperio", 0.5, 20)
    assert [level.downsample for level in slide.levels] == [1, 2]
    found = {name: read() for name, read in slide.associated.items()}
    for name, pixels in {"thumbnail": tissue[::4, ::4], "label": label, "macro": macro}.items():
        np.testing.assert_array_equal(found[name], pixels)


def test_aperio_jpeg_2000_in_ycc_has_the_colours_of_the_tissue(tmp_path):
    tissue = (
        np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8).repeat(32, axis=0).repeat(32, axis=1)
    )
    mix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ycc = (tissue @ mix.T + [0, 128, 128]).round().clip(0, 255).astype(np.uint8)
    corners = [(row, column) for row in (0, 128) for column in (0, 128)]
    parts = (np.ascontiguousarray(ycc[row : row + 128, column : column + 128]) for row, column in corners)
    tiles = (imagecodecs.jpeg2k_encode(part, codecformat="j2k", mct=False, reversible=True) for part in parts)
    path = tmp_path / "slide.svs"
    about = {"photometric": "rgb", "compression": 33003, "tile": (128, 128), "metadata": None}
    about["description"] = "Aperio Image Library v11\r\n256x256|AppMag = 20|MPP = 0.5"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(tiles, shape=tissue.shape, dtype=np.uint8, **about)
    pixels = open_slide(path).levels[0].pixels[:]
    assert np.abs(pixels.astype(int) - tissue).max() <= 2
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(path) as peer:
        expected = np.asarray(peer.read_region((0, 0), 0, peer.dimensions))[..., :3]
    assert np.abs(pixels.astype(int) - expected).max() <= 2


def test_other_ycc_is_refused(tmp_path, picture):
    path = tmp_path / "slide.tif"
    about = {"photometric": "ycbcr", "compression": "zlib", "subsampling": (1, 1), "tile": (64, 64)}
    tifffile.imwrite(path, picture(100, 100), metadata=None, **about)
    with pytest.raises(SlideError, match="YCbCr pixels that are not JPEG"):
        open_slide(path)


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m", "mm", "inch", "pixel"])
def test_imagej_names_its_unit(unit, picture, tmp_path):
    per_um = {"mm": 1e-3, "inch": 1 / 25_400}.get(unit, 1.0)
    resolution = (2 / per_um, 2 / per_um)
    tifffile.imwrite(
        tmp_path / "x.tif", picture(90, 80), imagej=True, resolution=resolution, metadata={"unit": unit}
    )
    assert open_slide(tmp_path / "x.tif").mpp == (None if unit == "pixel" else pytest.approx(0.5))


def test_ome_states_inches(picture, tmp_path):
    about = {"axes": "YXS"}
    for axis in "XY":
        about |= {f"PhysicalSize{axis}": 2e-5, f"PhysicalSize{axis}Unit": "in"}
    tifffile.imwrite(tmp_path / "x.ome.tif", picture(90, 80), photometric="rgb", metadata=about)
    assert open_slide(tmp_path / "x.ome.tif").mpp == pytest.approx(0.508)
