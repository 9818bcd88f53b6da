"""`histoscribe doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoscribe.cli.console import emit, results
from histoscribe.cli.options import AsJson
from histoscribe.cli.screen import INSTALL, has_screen, has_viewer, is_installed
from histoscribe.errors import HistoscribeError

if TYPE_CHECKING:
    from histoscribe.features import TileEncoder

PACKAGES = (
    *("napari-histoscribe", "numpy", "torch", "torch-geometric", "lightning", "anndata", "squidpy", "dask"),
    *("zarr", "tifffile", "imagecodecs", "openslide-bin", "spatialdata", "napari", "PySide6", "PyQt6"),
    *("timm", "transformers", "distributed", "numba"),
)
EXTRAS = {
    "spatialdata": ("spatialdata", "SpatialData", "opening and Export"),
    "distributed": ("cluster", "a cluster", "describe and predict with --scheduler"),
    "transformers": ("foundation", "", "Predict and Evidence, with models of these encoders"),
    "timm": ("timm", "", "Predict and Evidence, with models of these encoders"),
}
"""What further libraries bring: the extra that installs each, what it is for, and where it is missed."""
LOW_DISK, LOW_MEMORY = 5e9, 4e9


@dataclass
class Check:
    """One thing looked at: whether it is as it should be, what there is, and how to get what is missing."""

    name: str
    good: bool
    found: str
    remedy: str = ""

    def __post_init__(self) -> None:
        self.remedy = "" if self.good else self.remedy


def doctor(as_json: AsJson = False) -> None:
    """Versions, device, display, encoders, what is missing for which panel and how to get it."""
    versions = {name: _version(name) for name in PACKAGES}
    if as_json:
        emit({"versions": versions, "python": platform.python_version(), "checks": list(_checks())})
        return
    from rich.markup import escape
    from rich.table import Table

    for check in _checks():  # each is told at once: on a first run the last ones take long to load
        line = Table(box=None, pad_edge=False, show_header=False)
        for width in (7, 26):
            line.add_column(width=width)
        mark = "[green]ok[/green]" if check.good else "[yellow]missing[/yellow]"
        line.add_row(mark, check.name, escape(check.found + (f": {check.remedy}" if check.remedy else "")))
        results.print(line)
    installed = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    results.print(f"\nInstalled: {installed}", markup=False)


def _checks() -> Iterator[Check]:
    """Everything looked at, what loads least first."""
    python = f"Python {platform.python_version()} on {platform.platform(terse=True)}"
    yield Check("python", sys.version_info >= (3, 11), python, "install Python 3.11 or later")
    if not hasattr(os, "sysconf"):
        yield Check("memory", True, "not known on this system")
    else:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        yield Check("memory", size >= LOW_MEMORY, f"{size / 1e9:.0f} GB", "4 GB are the least for training")
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    yield Check("disk", free >= LOW_DISK, f"{free / 1e9:.0f} GB free in {folder}", "free some space")
    screen = (os.environ.get("DISPLAY") or "a screen") if has_screen() else "no screen"
    yield Check("display", has_screen(), screen, "histoscribe view needs one; every other verb works without")
    napari = f"napari {_version('napari')}" if has_viewer() else "napari or Qt is absent (every panel)"
    yield Check("viewer", has_viewer(), napari, INSTALL)
    yield from _libraries()
    yield _slides()
    yield Check("device", True, _device())
    yield from _encoders()


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.get_device_name(0)}), {os.cpu_count()} CPU cores"
    if torch.backends.mps.is_available():
        return f"mps, {os.cpu_count()} CPU cores"
    return f"cpu, {os.cpu_count()} cores (no GPU found; everything works without one)"


def _libraries() -> Iterator[Check]:
    from histoscribe.features.networks.catalogue import PUBLISHED

    for library, (extra, what, use) in EXTRAS.items():
        count = sum(entry.library == library for entry in PUBLISHED.values())
        good = is_installed(library)
        found = f"{library} {_version(library)}" if good else f"{library} is absent ({use})"
        yield Check(
            f"for {what or f'{count} published encoders'}",
            good,
            found,
            f"pip install 'napari-histoscribe[{extra}]'",
        )


def _slides() -> Check:
    from histoscribe.slide.openslide.handles import library

    name = "for NDPI, MRXS, BIF, CZI, DICOM"
    try:
        return Check(name, True, f"OpenSlide {library().__library_version__}")
    except HistoscribeError as error:
        return Check(name, False, error.problem, error.remedy or "")


def _encoders() -> list[Check]:
    from histoscribe.features import encoder_named
    from histoscribe.features.networks.fetching import encoders_folder
    from histoscribe.features.registry import OWN

    checks = [_encoder(encoder_named(name, device="cpu"), ", no download needed") for name in OWN]
    own = len(checks)
    folder = encoders_folder()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            encoder = encoder_named(str(path))
        except HistoscribeError as error:
            checks.append(Check("encoder", False, f"{path.name}: {error.problem}", error.remedy or ""))
            continue
        checks.append(_encoder(encoder))
    if len(checks) == own:
        checks.append(
            Check("encoder", True, "none is fetched, and none is needed; histoscribe fetch lists them")
        )
    return checks


def _encoder(encoder: TileEncoder, more: str = "") -> Check:
    facts = f"{encoder.name}: {encoder.dimension} descriptors of {encoder.crop_um:g} µm crops{more}"
    return Check("encoder", True, facts)
