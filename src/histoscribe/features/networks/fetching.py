"""Fetching: published encoders from the Hugging Face hub, their terms shown first, checked on arrival."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from histoscribe.errors import DependencyError, ModelError, StorageError, reason_of
from histoscribe.features.networks.catalogue import Published
from histoscribe.features.networks.checkpoint import CONFIG, ORIGIN, PREPROCESSING
from histoscribe.files import replacing, sha256
from histoscribe.progress import Progress

FOLDER = "HISTOSCRIBE_ENCODERS"
_ENDPOINT = "HF_ENDPOINT"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Offer:
    """What the hub holds of an encoder today."""

    published: Published
    revision: str
    """The commit that is offered."""
    licence: str
    """As its card states it there; empty where it does not."""
    gated: bool
    """Whether its owners ask to be asked."""
    files: dict[str, tuple[int, str]]
    """Name → (bytes, SHA-256 or empty)."""

    @property
    def nbytes(self) -> int:
        """Size of all files."""
        return sum(size for size, _ in self.files.values())


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
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise DependencyError(
            "fetching needs the client of the Hugging Face hub",
            remedy="pip install 'napari-histoscribe[foundation]'",
        ) from error
    if published.repository.startswith("github.com/"):
        raise _only_pickled(published)
    hub = HfApi(endpoint=os.environ.get(_ENDPOINT))
    info = _ask(published, partial(hub.model_info, published.repository, files_metadata=True))
    files = {
        entry.rfilename: (int(entry.size or 0), str(entry.lfs.sha256) if entry.lfs else "")
        for entry in info.siblings or ()
        if entry.rfilename in (CONFIG, PREPROCESSING, _WEIGHTS)
    }
    if _WEIGHTS not in files or (published.library == "transformers" and CONFIG not in files):
        raise _only_pickled(published)
    card: Any = info.card_data
    licence = str(getattr(card, "license_name", None) or getattr(card, "license", None) or "")
    return Offer(published, str(info.sha), licence, bool(info.gated), files)


def fetch(offer: Offer, *, progress: Progress | None = None) -> Path:
    """Download an encoder's configuration and weights, and nothing else; return its folder.

    Every file's SHA-256 is compared with what the hub states; the folder appears whole or not at all. Raises
    `ModelError` if access is refused, or a file arrives damaged; `StorageError` if the disk has not enough
    room.
    """
    from huggingface_hub import hf_hub_download

    published = offer.published
    target = encoders_folder() / published.name
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < 1.1 * offer.nbytes:
        problem = f"{offer.nbytes / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        remedy = f"free some space, or name another folder in {FOLDER}"
        raise StorageError(problem, where=target.parent, remedy=remedy)
    hashes = {}
    with replacing(target) as fresh:
        fresh.mkdir()
        tracked = (progress or Progress()).track(
            offer.files.items(), f"fetching {published.name}", len(offer.files)
        )
        for name, (_, expected) in tracked:
            download = partial(hf_hub_download, published.repository, name, revision=offer.revision)
            _ask(published, partial(download, local_dir=fresh, endpoint=os.environ.get(_ENDPOINT)))
            hashes[name] = sha256(fresh / name)
            if expected and hashes[name] != expected:
                problem = "it arrived damaged: its SHA-256 is not what the hub states"
                raise ModelError(problem, where=name, remedy="fetch it again")
        shutil.rmtree(fresh / ".cache", ignore_errors=True)  # the client's own notes
        origin = {
            "name": published.name,
            "repository": published.repository,
            "revision": offer.revision,
            "licence": offer.licence or published.licence,
            "sha256": hashes,
        }
        (fresh / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    return target


def _only_pickled(published: Published) -> ModelError:
    return ModelError(
        "its owners do not publish it as safetensors, and a pickle is never opened here",
        where=published.page,
        remedy=f"download {published.file} there, then: histoscribe convert-weights {published.file} "
        f"--encoder {published.name}",
    )


def _ask(published: Published, question: Callable[[], Any]) -> Any:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return question()
    except (GatedRepoError, RepositoryNotFoundError) as error:
        remedy = "ask for access on that page, then run `hf auth login` and fetch it again"
        raise ModelError("its owners want to be asked first", where=published.page, remedy=remedy) from error
    except Exception as error:  # the client's own errors and those of the network below it
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        problem = f"the hub does not answer ({reason_of(error)})"
        remedy = "check the network, or copy the encoder's folder from a machine that has it"
        raise ModelError(problem, where=published.page, remedy=remedy) from error
