"""What a Space Ranger `spatial/` folder says: scale factors, and the reduced images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from histoscribe.errors import SectionError, SlideError
from histoscribe.section.alignment import opened, rebased
from histoscribe.section.bounds.hdf5 import read_text
from histoscribe.slide import Slide


@dataclass(frozen=True)
class Scales:
    """What `scalefactors_json.json` says; None where it does not."""

    hires: float | None = None
    lowres: float | None = None
    spot_px: float | None = None
    bin_um: float | None = None
    mpp: float | None = None


def read_scales(spatial: Path) -> Scales:
    """Read the scale factors; a folder without them says nothing.

    Raises
    ------
    SectionError
        If they are damaged.
    """
    path = spatial / "scalefactors_json.json"
    if not path.is_file():
        return Scales()
    try:
        content = json.loads(read_text(path, 1 << 20).getvalue())
    except ValueError as error:
        raise SectionError(
            "not a whole JSON file", where=path, remedy="copy it from Space Ranger again"
        ) from error
    if not isinstance(content, dict):
        raise SectionError("holds no scale factors", where=path, remedy="copy it from Space Ranger again")

    def positive(key: str) -> float | None:
        value = content.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise SectionError(
                f"{key} is {value!r}, not a positive number",
                where=path,
                remedy="copy it from Space Ranger again",
            )
        return float(value)

    return Scales(
        hires=positive("tissue_hires_scalef"),
        lowres=positive("tissue_lowres_scalef"),
        spot_px=positive("spot_diameter_fullres"),
        bin_um=positive("bin_size_um"),
        mpp=positive("microns_per_pixel"),
    )


def own_image(spatial: Path, scales: Scales) -> tuple[Slide | None, list[str]]:
    """The folder's reduced image as a slide in full-resolution pixels, if it can be read."""
    doubts = []
    for kind, scale in (("hires", scales.hires), ("lowres", scales.lowres)):
        for path in sorted(spatial.glob(f"*tissue_{kind}_image.*")):
            if scale is None:
                doubts.append(f"{path.name} has no scale factor and was left out")
                continue
            try:
                image = opened(path)
            except SlideError as error:
                doubts.append(f"{path.name} cannot be read ({error.problem})")
                continue
            return rebased(image, 1 / scale), doubts
    return None, [*doubts, "there is no image"]
