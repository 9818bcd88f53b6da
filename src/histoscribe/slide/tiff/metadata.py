"""What a TIFF says about itself: µm per pixel, objective and maker, with a check whether it can be true."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

PLAUSIBLE = (0.02, 25.0)
"""µm per pixel that an image of tissue may have; anything else is a printer's setting or a mistake."""

_MOST_TEXT = 2**24  # characters of a description that are looked at
_NOMINAL = 10.0  # µm per pixel times objective magnification of an ordinary scanner (0.5 at 20x)
UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "Å": 1e-4}
_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}  # µm per inch, per centimetre


@dataclass(frozen=True)
class Metadata:
    """What was found.

    Parameters
    ----------
    vendor : str
        Who wrote the file.
    mpp : float or None
        µm per pixel of the finest level; None where nothing plausible is stated.
    objective : float or None
        Nominal magnification.
    warnings : tuple of str
        What is doubtful about them.
    """

    vendor: str = ""
    mpp: float | None = None
    objective: float | None = None
    warnings: tuple[str, ...] = ()


def read_metadata(tif: TiffFile, page: TiffPage, index: int) -> Metadata:
    """Gather what the file states.

    Parameters
    ----------
    tif : TiffFile
        The open file.
    page : TiffPage
        The page of the finest level.
    index : int
        Which of the file's series that is: an OME-TIFF describes each.
    """
    text = (tif.pages.first.description or "")[:_MOST_TEXT]
    vendor, reader = next(
        ((name, reader) for flag, name, reader in _MAKERS if getattr(tif, flag)), ("", _nothing)
    )
    spacing, objective = reader(text, index)
    mpp, doubts = believable(spacing or _resolution_tags(page), objective)
    if vendor == "OME":
        maker = re.search(r'<Microscope\b[^>]*\bManufacturer="([^"]{1,200})"', text)
        vendor = html.unescape(maker[1]) if maker else vendor
    return Metadata(vendor, mpp, objective, doubts)


def believable(
    spacing: tuple[float, float] | None, objective: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """Check what a slide says of its scale.

    Parameters
    ----------
    spacing : tuple of float or None
        µm per pixel along columns and rows, as stated.
    objective : float or None
        Nominal magnification, as stated.

    Returns
    -------
    mpp : float or None
        µm per pixel, one number for both sides; None where nothing plausible is stated.
    doubts : tuple of str
        What does not fit.
    """
    doubts = []
    mpp = None
    if spacing:
        across, down = spacing
        mpp = math.sqrt(across * down) if across > 0 and down > 0 else math.nan
        if not PLAUSIBLE[0] <= mpp <= PLAUSIBLE[1]:
            doubts.append(f"the file says {across:.4g} µm per pixel, which cannot be true; it is ignored")
            mpp = None
        elif abs(across / down - 1) > 0.01:
            doubts.append(
                f"pixels are not square ({across:.4g} × {down:.4g} µm); {mpp:.4g} µm is used for both sides"
            )
    if mpp and objective and not 1 / 1.6 < mpp * objective / _NOMINAL < 1.6:
        doubts.append(f"{mpp:.4g} µm per pixel do not fit an objective of {objective:g}x")
    return mpp, tuple(doubts)


_Found = tuple[tuple[float, float] | None, float | None]


def _aperio(text: str, index: int) -> _Found:
    mpp, objective = _number(r"\|\s*MPP\s*=\s*", text), _number(r"\|\s*AppMag\s*=\s*", text)
    return (mpp, mpp) if mpp else None, objective


def _ome(text: str, index: int) -> _Found:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None, None
    objective = root.find(".//{*}Objective")
    nominal = _float(objective.get("NominalMagnification") if objective is not None else None)
    images = root.findall("{*}Image")
    pixels = images[index].find("{*}Pixels") if index < len(images) else None
    if pixels is None:
        return None, nominal
    sides = [
        (_float(pixels.get(f"PhysicalSize{axis}")), UM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm")))
        for axis in "XY"
    ]
    (across, unit_across), (down, unit_down) = sides
    if across is None or down is None or unit_across is None or unit_down is None:
        return None, nominal
    return (across * unit_across, down * unit_down), nominal


def _philips(text: str, index: int) -> _Found:
    spacings = [
        (1e3 * float(across), 1e3 * float(down))
        for down, across in re.findall(
            r"DICOM_PIXEL_SPACING\"[^>]*>[^<\d]*([\d.eE+-]+)[^<\d]+([\d.eE+-]+)", text
        )
        if _float(across) and _float(down)
    ]
    return min(spacings, default=None), None


def _leica(text: str, index: int) -> _Found:
    return None, _number(r"<objective>\s*", text)


def _perkin_elmer(text: str, index: int) -> _Found:
    return None, _number(r"<Objective>\s*", text)


def _nothing(text: str, index: int) -> _Found:
    return None, None


_MAKERS: tuple[tuple[str, str, Callable[[str, int], _Found]], ...] = (
    ("is_svs", "Aperio", _aperio),
    ("is_scn", "Leica", _leica),
    ("is_philips", "Philips", _philips),
    ("is_qpi", "PerkinElmer", _perkin_elmer),
    ("is_ndpi", "Hamamatsu", _nothing),
    ("is_ome", "OME", _ome),
)


def _resolution_tags(page: TiffPage) -> tuple[float, float] | None:
    unit = _RESOLUTION_UNIT.get(int(page.resolutionunit))
    across, down = page.resolution
    if unit is None or not across > 0 or not down > 0:
        return None
    return unit / across, unit / down


def _number(before: str, text: str) -> float | None:
    found = re.search(before + r"([\d.]+)", text)
    return _float(found[1]) if found else None


def _float(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
