"""What a Space Ranger `spatial/` folder says: scale factors, and the reduced images."""

from dataclasses import dataclass
from pathlib import Path

from histoscribe.bounds.content import read_json
from histoscribe.errors import SectionError, SlideError
from histoscribe.section.alignment import rebased
from histoscribe.section.readers.held_images import opened_packed, refuse_unequal
from histoscribe.section.scale import number_in
from histoscribe.section.table import examples
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

    Raises `SectionError` if they are damaged.
    """
    path = file_in(spatial, "scalefactors_json.json")
    if path is None:
        return Scales()
    content = read_json(path, 1 << 20, SectionError, "copy it from Space Ranger again")
    return Scales(
        hires=number_in(content, "tissue_hires_scalef", path),
        lowres=number_in(content, "tissue_lowres_scalef", path),
        spot_px=number_in(content, "spot_diameter_fullres", path),
        bin_um=number_in(content, "bin_size_um", path),
        mpp=number_in(content, "microns_per_pixel", path),
    )


def visible(folder: Path, pattern: str) -> list[Path]:
    """The files of a pattern but those that file systems put beside them (`._name`), in order."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def file_in(folder: Path, *names: str) -> Path | None:
    """The one file of a name (the first of several names), also gzipped or with a sample's name before it.

    Raises `SectionError` if there are several of a name.
    """
    for name in names:
        endings = (name, f"{name}.gz")
        found = [folder / each for each in endings if (folder / each).is_file()][:1]
        found = found or [path for each in endings for path in visible(folder, f"*[_.-]{each}")]
        if len(found) > 1:
            listed = examples([path.name for path in found])
            raise SectionError(f"several files ({listed})", where=folder, remedy="keep one sample per folder")
        if found:
            return found[0]
    return None


def packed_in(folder: Path) -> str:
    """What to do with the archives that lie in a folder; empty where there are none."""
    found = [path.name for ending in ("tar", "tar.gz", "tgz", "zip") for path in folder.glob(f"*.{ending}")]
    return f"unpack {examples(sorted(found))} first" if found else ""


def own_image(spatial: Path, scales: Scales) -> tuple[Slide | None, list[str]]:
    """The folder's reduced image as a slide in full-resolution pixels, if it can be read.

    Raises `SectionError` if the images contradict each other by their scale factors.
    """
    doubts: list[str] = []
    found: list[tuple[str, Slide]] = []
    for kind, scale in (("hires", scales.hires), ("lowres", scales.lowres)):
        paths = sorted(visible(spatial, f"*tissue_{kind}_image.*"), key=lambda path: ".png" not in path.name)
        if len(paths) > 1 and scale is not None:
            doubts.append(f"of {examples([path.name for path in paths])} the first that can be read is shown")
        for path in paths:
            if scale is None:
                doubts.append(f"{path.name} has no scale factor and was left out")
                continue
            try:
                image = opened_packed(path)
            except (SlideError, SectionError) as error:
                doubts.append(f"{path.name} cannot be read ({error.problem})")
                continue
            found.append((kind, rebased(image, 1 / scale)))
            break
    refuse_unequal(found, spatial)
    return (found[0][1], doubts) if found else (None, [*doubts, "there is no image"])
