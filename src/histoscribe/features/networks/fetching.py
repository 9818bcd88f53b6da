"""Fetching: published encoders from the Hugging Face hub, their terms shown first, checked on arrival."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from histoscribe.errors import ModelError
from histoscribe.features.networks.catalogue import Published
from histoscribe.features.networks.checkpoint import CONFIG, ORIGIN, PREPROCESSING
from histoscribe.files import as_json, replacing
from histoscribe.hub import HubListing, download, listing, require_room
from histoscribe.progress import Progress

FOLDER = "HISTOSCRIBE_ENCODERS"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Offer(HubListing):
    """What the hub holds of an encoder today: its configuration and weights alone."""

    published: Published


def encoders_folder() -> Path:
    """Where fetched encoders lie: `HISTOSCRIBE_ENCODERS`, or a folder of the user's cache."""
    if os.environ.get(FOLDER):
        return Path(os.environ[FOLDER])
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "histoscribe" / "encoders"


def look_up(published: Published) -> Offer:
    """Ask the hub what it holds; nothing is downloaded.

    Raises `DependencyError` if the hub's client is not installed; `ModelError` if the hub does not answer, or
    has no safetensors of it.
    """
    if published.repository.startswith("github.com/"):
        raise _only_pickled(published)
    held = listing(published.repository, published.page)
    files = {name: held.files[name] for name in (CONFIG, PREPROCESSING, _WEIGHTS) if name in held.files}
    if _WEIGHTS not in files or (published.library == "transformers" and CONFIG not in files):
        raise _only_pickled(published)
    return Offer(held.revision, held.licence, held.gated, files, published)


def fetch(offer: Offer, *, progress: Progress | None = None) -> Path:
    """Download an encoder's configuration and weights, and nothing else; return its folder.

    Every file's SHA-256 is compared with what the hub states; the folder appears whole or not at all. Raises
    `ModelError` if access is refused, or a file arrives damaged; `StorageError` if the disk has not enough
    room.
    """
    published = offer.published
    target = encoders_folder() / published.name
    target.parent.mkdir(parents=True, exist_ok=True)
    require_room(target.parent, offer.nbytes, f"free some space, or name another folder in {FOLDER}")
    hashes = {}
    with replacing(target) as fresh:
        fresh.mkdir()
        tracked = (progress or Progress()).track(
            offer.files.items(), f"fetching {published.name}", len(offer.files)
        )
        for name, stated in tracked:
            hashes[name] = download(
                published.repository, name, fresh, stated, published.page, revision=offer.revision
            )
        origin = {
            "name": published.name,
            "repository": published.repository,
            "revision": offer.revision,
            "licence": offer.licence or published.licence,
            "sha256": hashes,
        }
        (fresh / ORIGIN).write_text(as_json(origin, indent=1), encoding="utf-8")
    return target


def _only_pickled(published: Published) -> ModelError:
    return ModelError(
        "its owners do not publish it as safetensors, and a pickle is never opened here",
        where=published.page,
        remedy=f"download {published.file} there, then: histoscribe convert-weights {published.file} "
        f"--encoder {published.name}",
    )
