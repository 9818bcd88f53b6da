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

from histoscribe.errors import TableError
from histoscribe.files import add_line, read_lines

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
    """Records in a file of JSON lines, each job under a key of all that they depend on; kept nowhere if None.

    Raises `TableError` if the file is no ledger, or one of an earlier version, which does not say by what
    code it was scored.
    """

    def __init__(self, path: str | PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path)
        self._known: dict[str, dict[str, Any]] = {}
        if self.path is not None and self.path.is_file() and self.path.stat().st_size > _MOST:
            raise TableError("this file is too large for a ledger", where=self.path, remedy="name another")
        for number, entry in enumerate(() if self.path is None else read_lines(self.path), start=1):
            if isinstance(entry, dict) and {"key", "code", "records"} <= entry.keys():
                self._known[entry["key"]] = entry
            elif isinstance(entry, dict) and entry.keys() & {"key", "scored"}:
                problem = "this ledger is of an earlier version, which does not say what code scored it"
                raise TableError(problem, where=self.path, remedy="name a new file")
            else:
                problem = f"line {number} is no entry of a ledger"
                raise TableError(problem, where=self.path, remedy="name another file")

    def remember(
        self, about: Mapping[str, Any], code: str, compute: Callable[[], tuple[Sequence[Score], float]]
    ) -> tuple[list[Score], float]:
        """Records and the seconds they took: from the file, or computed and written at once.

        `about`: all that the records depend on beside the code, read by people too; `code`: digest of the
        code behind them: records of other code are not taken. Raises `StorageError` if the file cannot be
        written.
        """
        key = hashlib.sha256(json.dumps([about, code], sort_keys=True, default=str).encode()).hexdigest()[:24]
        known = self._known.get(key)
        if known is None:
            records, seconds = compute()
            kept, about = [asdict(record) for record in records], dict(about)
            known = {"key": key, "code": code, "about": about, "seconds": round(seconds, 2), "records": kept}
            self._known[key] = known
            if self.path is not None:
                add_line(self.path, known)
        return [Score(**fields) for fields in known["records"]], float(known["seconds"])

    def records(self) -> list[Score]:
        """Everything that is kept, whatever its key."""
        return [Score(**fields) for entry in self._known.values() for fields in entry["records"]]


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
