"""What a TIFF says about itself: maker, µm per pixel, objective, dyes and orientation."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from histoscribe.slide.colour import DYES, is_mixed
from histoscribe.slide.orientation import TAG
from histoscribe.slide.scale import NUMBER, positive, stated_after, um_of

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_MOST_TEXT = 2**24  # characters of a description that are looked at
_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}  # µm per inch, per centimetre
_OBJECTIVE = {"Aperio": r"\|\s*AppMag\s*=\s*", "Leica": r"<objective>\s*", "PerkinElmer": r"<Objective>\s*"}
_MAKERS = {
    "is_svs": "Aperio",
    "is_scn": "Leica",
    "is_philips": "Philips",
    "is_qpi": "PerkinElmer",
    "is_ndpi": "Hamamatsu",
    "is_ome": "OME",
}

Spacing = tuple[float, float]
"""µm per pixel along columns and rows."""


def read_metadata(tif: TiffFile, page: TiffPage, index: int) -> tuple[str, Spacing | None, float | None]:
    """Gather what the file states.

    `page`: the page of the finest level; `index`: which of the file's series that is: an OME-TIFF describes
    each. Returns `vendor`: who wrote the file; empty where it does not say; `spacing`: µm per pixel along
    columns and rows, as stated; `objective`: nominal magnification, as stated.
    """
    text = _description(tif)
    vendor = next((name for flag, name in _MAKERS.items() if getattr(tif, flag)), "")
    objective = stated_after(_OBJECTIVE[vendor], text) if vendor in _OBJECTIVE else None
    spacing = None
    match vendor:
        case "Aperio":
            mpp = stated_after(r"\|\s*MPP\s*=\s*", text)
            spacing = (mpp, mpp) if mpp else None
        case "Philips":
            pairs = re.findall(rf"DICOM_PIXEL_SPACING\"[^>]*>[^<\d]*{NUMBER}[^<\d]+{NUMBER}", text)
            sides = [(positive(across), positive(down)) for down, across in pairs]
            sizes = [(1e3 * across, 1e3 * down) for across, down in sides if across and down]
            spacing = min(sizes, default=None)
        case "OME":
            spacing, objective = _ome(text, index)
            maker = re.search(r'<Microscope\b[^>]*\bManufacturer="([^"]{1,200})"', text)
            vendor = html.unescape(maker[1]) if maker else vendor
    vendor = vendor or str(tif.pages.first.software or "").strip()
    return vendor, spacing or _resolution_tags(page, text if tif.is_imagej else ""), objective


def orientation_of(page: TiffPage) -> int:
    """How the page is stored, 1 (upright) to 8."""
    tag = page.tags.get(TAG)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def other_channels(tif: TiffFile, index: int) -> list[str]:
    """Channels of an OME-TIFF's image that are dyes, or all where they are blue, green, red or the like."""
    image = _ome_image(_description(tif), index) if tif.is_ome else None
    channels = [] if image is None else image.findall("{*}Pixels/{*}Channel")
    dyes = []
    for channel in channels:
        keys = ("Name", "Fluor", "ContrastMethod", "IlluminationType")
        words = " ".join(channel.get(key, "") for key in keys)
        if channel.get("Fluor") or channel.get("EmissionWavelength") or DYES.search(words):
            dyes.append(channel.get("Fluor") or channel.get("Name") or "a dye")
    names = [channel.get("Name", "") for channel in channels]
    packed = [re.fullmatch(r"-?\d{1,10}", channel.get("Color", "")) for channel in channels]
    colours = [f"{int(each[0]) % 2**32:08X}"[:6] if each else "" for each in packed]  # as RGBA
    mixed = is_mixed(names, colours)
    return dyes or ([name or colour for name, colour in zip(names, colours, strict=True)] if mixed else [])


def _description(tif: TiffFile) -> str:
    return (tif.pages.first.description or "")[:_MOST_TEXT]


def _ome_image(text: str, index: int) -> ElementTree.Element | None:
    try:
        images = ElementTree.fromstring(text).findall("{*}Image")
    except ElementTree.ParseError:
        return None
    return images[index] if index < len(images) else None


def _ome(text: str, index: int) -> tuple[Spacing | None, float | None]:
    objective = re.search(r'<(?:\w+:)?Objective\b[^>]*\bNominalMagnification="([^"]{1,40})"', text)
    nominal = positive(objective[1]) if objective else None
    image = _ome_image(text, index)
    pixels = image.find("{*}Pixels") if image is not None else None
    if pixels is None:
        return None, nominal
    across, down = (
        (positive(pixels.get(f"PhysicalSize{axis}")) or 0)
        * (um_of(pixels.get(f"PhysicalSize{axis}Unit", "µm")) or 0)
        for axis in "XY"
    )
    return (across, down) if across and down else None, nominal


def _resolution_tags(page: TiffPage, imagej: str) -> Spacing | None:
    """By the unit of the tags, or the one that ImageJ names in its description."""
    named = re.search(r"^unit=(\S+)", imagej, re.MULTILINE)
    unit = um_of(named[1]) if named else _RESOLUTION_UNIT.get(int(page.resolutionunit))
    across, down = page.resolution
    if unit is None or not across > 0 or not down > 0:
        return None
    return unit / across, unit / down
