"""The ledger: scores that a run has written already, so that a stopped benchmark goes on where it was."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.benchmark.predictor.scores import Scores
from histoscribe.errors import StorageError, TableError
from histoscribe.predictor import EncodedSection

_MOST = 256 * 1024**2


class Ledger:
    """Scores in a file of JSON lines, each under a key that names all that they depend on.

    Parameters
    ----------
    path : path or None
        None keeps nothing.

    Raises
    ------
    TableError
        If the file is no ledger.
    """

    def __init__(self, path: str | PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path)
        self._known: dict[str, dict[str, Any]] = {}
        if self.path is None or not self.path.exists():
            return
        if self.path.stat().st_size > _MOST:
            raise TableError("this file is too large for a ledger", where=self.path, remedy="name another")
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line)
                self._known[entry["key"]] = entry
            except (ValueError, KeyError, TypeError) as error:
                if number == len(lines) - 1:
                    break  # cut short by a stop: that one is computed again
                raise TableError(
                    f"line {number + 1} is no entry of a ledger", where=self.path, remedy="name another file"
                ) from error

    def find(self, key: str) -> tuple[dict[str, Scores], float] | None:
        """Scores by section and the seconds they took, or None."""
        entry = self._known.get(key)
        if entry is None:
            return None
        found = {
            section: {
                measure: np.array([np.nan if value is None else value for value in values], dtype=np.float64)
                for measure, values in scores.items()
            }
            for section, scores in entry["scores"].items()
        }
        return found, float(entry["seconds"])

    def add(self, key: str, about: dict[str, Any], scores: dict[str, Scores], seconds: float) -> None:
        """Write one entry at once.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        if self.path is None:
            return
        plain = {
            section: {
                measure: [None if math.isnan(value) else round(float(value), 7) for value in values]
                for measure, values in found.items()
            }
            for section, found in scores.items()
        }
        entry = {"key": key, **about, "seconds": round(seconds, 2), "scores": plain}
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(entry, allow_nan=False) + "\n")
        except OSError as error:
            raise StorageError(
                f"cannot write ({error.strerror})", where=self.path, remedy="choose another place"
            ) from error


def fingerprint(sections: Sequence[EncodedSection]) -> str:
    """Of descriptors, places and counts: other data are never taken for these."""
    digest = hashlib.sha256()
    for section in sections:
        counts = section.counts.tocsr() if hasattr(section.counts, "tocsr") else np.asarray(section.counts)
        digest.update(f"{section.name}|{section.patient}|{section.pitch_um}".encode())
        for values in (section.features, section.centres_um, getattr(counts, "data", counts)):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def key_of(**about: Any) -> str:
    """A key that changes with anything in `about`."""
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:24]
