"""Converting: weights that owners publish as a pickle only, made safetensors without trusting the file."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from histoscribe.errors import ModelError, reason_of
from histoscribe.features.networks import conversion
from histoscribe.features.networks.catalogue import Published
from histoscribe.features.networks.checkpoint import ORIGIN
from histoscribe.features.networks.fetching import encoders_folder
from histoscribe.files import as_json, replacing, sha256

_SPARE, _TIMES = 1 << 30, 4
_SECONDS, _BYTES_A_SECOND = 120, 20_000_000


@dataclass(frozen=True)
class Converted:
    """Weights that were a pickle."""

    path: Path
    """The safetensors file, or the folder of a published encoder."""
    sha256: str
    """Of the safetensors file."""
    tensors: int
    given_up: tuple[str, ...]
    """What the process that read the pickle could not reach: the network, files, privileges and so on."""


def convert_weights(
    file: Path, *, published: Published | None = None, target: Path | None = None, spare: int = _SPARE
) -> Converted:
    """Write a checkpoint's tensors as safetensors; nothing that the pickle asks for is run.

    PyTorch's reader of plain weights looks at the file in a process that has given up network, files and
    privileges as far as the system allows, with bounded memory and time. `published`: what it is, so that it
    becomes the encoder of that name; `target`: else the file to write, beside `file` where it is not given;
    `spare`: bytes that the process may take beside four times the file's size. Raises `ModelError` if it is
    no checkpoint, asks for a program to be run, or wants more than it may have.
    """
    if not file.is_file():
        raise ModelError("there is no such file", where=file, remedy="check the path")
    size = file.stat().st_size
    seconds = _SECONDS + size // _BYTES_A_SECOND
    with tempfile.TemporaryDirectory(prefix="histoscribe-") as room:
        given = [room, str(_TIMES * size + spare), str(seconds)]
        command = [sys.executable, "-I", "-B", conversion.__file__, *given]
        one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        kept = {key: os.environ[key] for key in ("SYSTEMROOT", "LD_LIBRARY_PATH") if key in os.environ}
        try:
            with file.open("rb") as stream:
                done = subprocess.run(
                    command,
                    stdin=stream,
                    capture_output=True,
                    env=one | kept,
                    timeout=2 * seconds,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise _refused(file, "it took too long") from error
        if done.returncode != 0:
            raise _refused(file, _said(done))
        found, made = json.loads(done.stdout), Path(room) / conversion.OUT
        digest = sha256(made)
        out = encoders_folder() / published.name if published else target or file.with_suffix(".safetensors")
        with replacing(out) as fresh:
            if published is None:
                shutil.copyfile(made, fresh)
            else:
                fresh.mkdir()
                shutil.copyfile(made, fresh / "model.safetensors")
                origin = {
                    "name": published.name,
                    "repository": published.repository,
                    "licence": published.licence,
                    "converted_from": {"file": file.name, "sha256": sha256(file)},
                    "sha256": {"model.safetensors": digest},
                }
                (fresh / ORIGIN).write_text(as_json(origin), encoding="utf-8")
    return Converted(out, digest, found["tensors"], tuple(found["given_up"]))


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return "it wants more memory or time than such a file should"
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    last = said[-1] if said else "it cannot be read"
    if any(word in last for word in ("MemoryError", "alloc", "File too large")):
        return "it wants more memory or room than such a file should"
    if "Weights only load failed" in last or "Unsupported" in last:
        return "it asks for something other than weights, which is never run"
    return reason_of(ValueError(last))


def _refused(file: Path, problem: str) -> ModelError:
    remedy = "take the file that the owners publish of the weights alone, or ask them for safetensors"
    return ModelError(f"this is not converted: {problem}", where=file, remedy=remedy)
