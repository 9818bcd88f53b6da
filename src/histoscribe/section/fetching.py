"""Fetching sections of HEST-1k for those who have access: only the files that are read here, resumable."""

import re
from collections.abc import Sequence
from pathlib import Path

from histoscribe.errors import SettingError
from histoscribe.files import sha256
from histoscribe.hub import HubListing, download, listing, require_room
from histoscribe.progress import Progress

REPOSITORY = "MahmoodLab/hest"
PAGE = f"https://huggingface.co/datasets/{REPOSITORY}"
_PARTS = ("st/{}.h5ad", "wsis/{}.tif", "metadata/{}.json")
_ID, _TABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"), re.compile(r"HEST_v[\d_]+\.csv")


def look_up_sections(ids: Sequence[str]) -> HubListing:
    """Ask the hub for the files of these sections and the archive's newest table; nothing is downloaded.

    Raises `SettingError` if the archive has no such section; else as `listing`.
    """
    held = listing(REPOSITORY, PAGE, "dataset")
    wanted: dict[str, tuple[int, str]] = {}
    for name in ids:
        table = _PARTS[0].format(name)
        if not _ID.fullmatch(name) or table not in held.files:
            remedy = f"choose ids from the table on {PAGE}"
            raise SettingError("the archive has no such section", where=name, remedy=remedy)
        parts = (part.format(name) for part in _PARTS)
        wanted |= {part: held.files[part] for part in parts if part in held.files}
    tables = [name for name in held.files if _TABLE.fullmatch(name)]
    if tables:
        newest = max(tables, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
        wanted[newest] = held.files[newest]
    return HubListing(held.revision, held.licence, held.gated, wanted)


def fetch_sections(offer: HubListing, folder: Path, *, progress: Progress | None = None) -> list[str]:
    """Download what is not yet there, each file checked; return the names of those that came.

    A run that was stopped goes on where it was, within a file too. Raises `ModelError` if access is refused
    or a file arrives damaged, `StorageError` if the disk has not enough room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = {name: stated for name, stated in offer.files.items() if not _whole(folder / name, stated)}
    require_room(folder, sum(size for size, _ in missing.values()), "free some space, or name another folder")
    tracked = (progress or Progress()).track(missing.items(), "fetching sections", len(missing))
    for name, stated in tracked:
        download(REPOSITORY, name, folder, stated, PAGE, kind="dataset", revision=offer.revision)
    return list(missing)


def _whole(path: Path, stated: tuple[int, str]) -> bool:
    size, digest = stated
    return path.is_file() and path.stat().st_size == size and (not digest or sha256(path) == digest)
