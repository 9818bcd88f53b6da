"""The Hugging Face hub: asked so that every failure is one sentence, its files checked on arrival."""

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from histoscribe.errors import DependencyError, ModelError, StorageError, reason_of
from histoscribe.files import sha256

_ENDPOINT = "HF_ENDPOINT"


@dataclass(frozen=True)
class HubListing:
    """What a repository of the hub holds today."""

    revision: str
    """The commit that is offered."""
    licence: str
    """As its card states it there; empty where it does not."""
    gated: bool
    """Whether its owners ask to be asked."""
    files: Mapping[str, tuple[int, str]]
    """Name → (bytes, SHA-256 or empty)."""

    @property
    def nbytes(self) -> int:
        """Size of all files."""
        return sum(size for size, _ in self.files.values())


def listing(repository: str, page: str, kind: Literal["model", "dataset"] = "model") -> HubListing:
    """Ask what lies in a repository; nothing is downloaded.

    Raises `DependencyError` if the hub's client is not installed; `ModelError` if the hub does not answer.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        remedy = "pip install 'napari-histoscribe[foundation]'"
        raise DependencyError("fetching needs the client of the Hugging Face hub", remedy=remedy) from error
    hub = HfApi(endpoint=os.environ.get(_ENDPOINT))
    info = ask(page, partial(hub.repo_info, repository, repo_type=kind, files_metadata=True))
    files = {
        str(entry.rfilename): (int(entry.size or 0), str(entry.lfs.sha256) if entry.lfs else "")
        for entry in info.siblings or ()
    }
    card: Any = info.card_data
    licence = str(getattr(card, "license_name", None) or getattr(card, "license", None) or "")
    return HubListing(str(info.sha), licence, bool(info.gated), files)


def download(
    repository: str,
    name: str,
    folder: Path,
    stated: tuple[int, str],
    page: str,
    *,
    revision: str,
    kind: Literal["model", "dataset"] = "model",
) -> str:
    """Download a file into a folder and return its SHA-256; a part of an earlier run is gone on with.

    `stated`: bytes and SHA-256 that the hub lists. Raises `ModelError` if access is refused or the file
    arrives damaged, which is then not kept.
    """
    from huggingface_hub import hf_hub_url, utils
    from huggingface_hub.file_download import http_get

    client: Any = utils
    size, digest = stated
    part = folder / f"{name}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    endpoint = os.environ.get(_ENDPOINT)
    url = hf_hub_url(repository, name, repo_type=kind, revision=revision, endpoint=endpoint)
    with part.open("ab") as stream:
        if stream.tell() > size:
            stream.truncate(0)
        resumed: Callable[..., Any] = partial(
            http_get,
            url,
            stream,
            resume_size=stream.tell(),
            headers=client.build_hf_headers(),
            expected_size=size or None,
        )
        ask(page, resumed)
    found = sha256(part)
    if digest not in ("", found):
        part.unlink()
        problem = "it arrived damaged: its SHA-256 is not what the hub states"
        raise ModelError(problem, where=name, remedy="fetch it again")
    os.replace(part, folder / name)
    return found


def require_room(folder: Path, nbytes: int, remedy: str) -> None:
    """Raise `StorageError` unless a tenth more than `nbytes` is free where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if free < 1.1 * nbytes:
        problem = f"{nbytes / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        raise StorageError(problem, where=folder, remedy=remedy)


def ask(page: str, question: Callable[[], Any]) -> Any:
    """The hub's answer; raises `ModelError` if it refuses, or does not answer."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return question()
    except (GatedRepoError, RepositoryNotFoundError) as error:
        remedy = "ask for access on that page, then run `hf auth login` and fetch it again"
        raise ModelError("its owners want to be asked first", where=page, remedy=remedy) from error
    except Exception as error:  # the client's own errors and those of the network below it
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        problem = f"the hub does not answer ({reason_of(error)})"
        remedy = "check the network, or copy the files from a machine that has them"
        raise ModelError(problem, where=page, remedy=remedy) from error
