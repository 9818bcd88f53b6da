"""The scale that a slide states: its numbers and units as people write them, and whether they can be true."""

import math
import re

PLAUSIBLE = (0.02, 25.0)
"""µm per pixel that an image of tissue may have; anything else is a printer's setting or a mistake."""

UM = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "micrometer": 1.0, "micron": 1.0, "nm": 1e-3, "nanometer": 1e-3,
    "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6, "meter": 1e6,
    "Å": 1e-4, "angstrom": 1e-4, "in": 25_400.0, "inch": 25_400.0, "microns": 1.0, "\\u00B5m": 1.0,
}  # fmt: skip
"""µm per unit of length."""


def um_of(unit: object) -> float | None:
    """µm of a unit of length in any spelling (`Micrometers`, `micrometre`, `MM`); None for anything else."""
    word = str(unit).strip()
    if word in UM:
        return UM[word]
    word = word.lower().replace("metre", "meter")
    return None if len(word) < 2 else UM.get(word) or UM.get(word.removesuffix("s"))


NUMBER = r"([+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?)"
"""A number within a text, in any spelling that `positive` reads."""

_NOMINAL = 10.0  # µm per pixel times objective magnification of an ordinary scanner (0.5 at 20x)


def positive(value: object) -> float | None:
    """A positive finite number as stated (`0.252`, `2.52e-01`, `0,252`); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value.strip().replace(",", ".") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def stated_after(before: str, text: str) -> float | None:
    """The positive number that follows the regular expression `before` in a text; None without one."""
    found = re.search(before + NUMBER, text)
    return positive(found[1]) if found else None


def believable(
    spacing: tuple[float, float] | None, objective: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """Check what a slide says of its scale.

    `spacing`: µm per pixel along columns and rows, as stated; `objective`: nominal magnification, as stated.
    Returns `mpp`: µm per pixel, one number for both sides; None where nothing plausible is stated; `doubts`:
    what does not fit.
    """
    doubts = []
    mpp = None
    if spacing:
        across, down = spacing
        mpp = math.sqrt(across * down) if across > 0 and down > 0 else math.nan
        if not PLAUSIBLE[0] <= mpp <= PLAUSIBLE[1]:
            doubts.append(f"the file says {across:.4g} µm per pixel, which cannot be true; it is ignored")
            mpp = None
        elif not 1 / 3 < across / down < 3:
            doubts.append(f"pixels of {across:.4g} × {down:.4g} µm cannot be true; they are ignored")
            mpp = None
        elif abs(across / down - 1) > 0.01:
            doubts.append(
                f"pixels are not square ({across:.4g} × {down:.4g} µm); {mpp:.4g} µm is used for both sides"
            )
    if mpp and objective and not 1 / 1.6 < mpp * objective / _NOMINAL < 1.6:
        doubts.append(f"{mpp:.4g} µm per pixel do not fit an objective of {objective:g}x")
    return mpp, tuple(doubts)
