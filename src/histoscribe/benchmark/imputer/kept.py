"""What a benchmark has done, kept in a file as it is done, so that a run that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from histoscribe.errors import SettingError


class Kept:
    """Results by seed and name.

    Parameters
    ----------
    path : Path, optional
        Where they are kept, one JSON object a line; nothing is kept where not given.
    about : tuple
        What the results depend on beside seed and name: others in the file are left alone.

    Raises
    ------
    SettingError
        If the file is there and holds something else.
    """

    def __init__(self, path: Path | None, about: tuple[Any, ...]) -> None:
        self._path, self._about = path, about
        self._done: dict[str, Any] = {}
        if path is None or not path.exists():
            return
        try:
            entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            self._done = {entry["key"]: entry["records"] for entry in entries}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingError(
                "this file does not keep a benchmark's records", where=path, remedy="name a new file"
            ) from error

    def remember(self, seed: int, name: str, compute: Callable[[], Any]) -> Any:
        """The result of this seed and name: from the file, or computed and kept."""
        key = json.dumps([*self._about, seed, name])
        if key not in self._done:
            self._done[key] = compute()
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"key": key, "records": self._done[key]}) + "\n")
        return self._done[key]
