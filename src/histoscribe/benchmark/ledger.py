"""The ledger: what a benchmark has scored already, so that a stopped run goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import StorageError, TableError

_MOST = 1024**3


@dataclass(frozen=True, eq=False)
class Score:
    """One number of a benchmark."""

    method: str
    dataset: str
    split: str
    fold: str
    """What was held out; `all` for the mean over folds."""
    measure: str
    value: float
    low: float
    high: float
    """`low` and `high`: 95 % interval; the value itself where one value says nothing of its spread."""
    each: Sequence[float] = ()
    """The values that `value` is the mean of, one a gene, for paired tests; empty where there are none."""

    def as_json(self) -> dict[str, Any]:
        """The eight fields of a benchmark's JSON."""
        return {name: value for name, value in asdict(self).items() if name != "each"}


class Ledger:
    """Records in a file of JSON lines, each job under a key of all that they depend on.

    Parameters
    ----------
    path : path or None
        None keeps nothing.

    Raises
    ------
    TableError
        If the file is no ledger, or one of an earlier version, which does not say by what code it was scored.
    """

    def __init__(self, path: str | PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path)
        self._known: dict[str, dict[str, Any]] = {}
        self._whole: int | None = None
        if self.path is None or not self.path.exists():
            return
        if self.path.stat().st_size > _MOST:
            raise TableError("this file is too large for a ledger", where=self.path, remedy="name another")
        lines = self.path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line)
            except ValueError as error:
                if number == len(lines) - 1 and number:
                    self._whole = sum(map(len, lines[:-1]))  # cut short by a stop: that one is computed again
                    return
                raise self._refused(number) from error
            if not isinstance(entry, dict) or not {"key", "code", "records"} <= set(entry):
                old = isinstance(entry, dict) and ("key" in entry or "scored" in entry)
                raise self._refused(number, old=old)
            self._known[entry["key"]] = entry

    def remember(
        self, about: Mapping[str, Any], code: str, compute: Callable[[], tuple[Sequence[Score], float]]
    ) -> tuple[list[Score], float]:
        """Records and the seconds they took: from the file, or computed and written at once.

        Parameters
        ----------
        about : mapping
            All that the records depend on beside the code; read by people too.
        code : str
            Digest of the code behind them: records of other code are not taken.
        compute : callable

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        key = hashlib.sha256(json.dumps([about, code], sort_keys=True, default=str).encode()).hexdigest()[:24]
        known = self._known.get(key)
        if known is None:
            records, seconds = compute()
            known = {
                "key": key, "code": code, "about": dict(about), "seconds": round(seconds, 2),
                "records": [asdict(record) for record in records],
            }  # fmt: skip
            self._known[key] = known
            self._write(known)
        return [Score(**fields) for fields in known["records"]], float(known["seconds"])

    def records(self) -> list[Score]:
        """Everything that is kept, whatever its key."""
        return [Score(**fields) for entry in self._known.values() for fields in entry["records"]]

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self.path is None:
            return
        try:
            if self._whole is not None:
                with self.path.open("r+b") as stream:
                    stream.truncate(self._whole)
                self._whole = None
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(entry, default=str) + "\n")
        except OSError as error:
            remedy = "choose another place"
            raise StorageError(f"cannot write ({error.strerror})", where=self.path, remedy=remedy) from error

    def _refused(self, line: int, *, old: bool = False) -> TableError:
        problem = "was kept by an earlier version, which does not say by what code it was scored"
        problem = f"this ledger {problem}" if old else f"line {line + 1} is no entry of a ledger"
        return TableError(problem, where=self.path, remedy="name a new file" if old else "name another file")


def data_digest(*arrays: NDArray[Any] | Sequence[str]) -> str:
    """Of values and names: other data are never taken for these."""
    digest = hashlib.sha256()
    for values in arrays:
        array = np.asarray(values)
        digest.update(f"{array.dtype.kind}{array.shape}".encode())
        digest.update(
            "\0".join(map(str, array.ravel())).encode()
            if array.dtype.kind in "OUS"
            else np.ascontiguousarray(array).tobytes()
        )
    return digest.hexdigest()[:16]
