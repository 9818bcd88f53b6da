"""The ledger: what it keeps, what it takes again, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from histoscribe.benchmark.ledger import Ledger, Score, data_digest
from histoscribe.errors import StorageError, TableError

RECORD = Score("ridge", "made", "section", "A", "pearson", 1 / 3, float("nan"), 0.5, (0.1, float("nan"), 0.7))


def remembered(path: Path | None, about: dict, code: str = "c") -> tuple[Score, bool]:
    """The record, and whether it was computed."""
    computed = []

    def compute() -> tuple[list[Score], float]:
        computed.append(True)
        return [RECORD], 1.25

    ((record,), seconds) = Ledger(path).remember(about, code, compute)
    assert seconds == 1.25
    return record, bool(computed)


def same(one: Score, other: Score) -> None:
    assert (one.method, one.fold, one.value, one.high) == (other.method, other.fold, other.value, other.high)
    np.testing.assert_equal((one.low, *one.each), (other.low, *other.each))


def test_records_come_back_to_the_last_digit(tmp_path: Path):
    path = tmp_path / "l.jsonl"
    first, again = (remembered(path, {"fold": "A"}) for _ in range(2))
    assert (first[1], again[1]) == (True, False)
    same(first[0], RECORD)
    same(again[0], RECORD)
    same(Ledger(path).records()[0], RECORD)


def test_other_settings_and_other_code_are_computed_anew(tmp_path: Path):
    path = tmp_path / "l.jsonl"
    assert remembered(path, {"fold": "A"})[1]
    assert remembered(path, {"fold": "B"})[1]
    assert remembered(path, {"fold": "A"}, "another")[1]
    assert len(path.read_text().splitlines()) == 3


def test_without_a_file_nothing_is_kept():
    assert remembered(None, {"fold": "A"})[1]
    assert remembered(None, {"fold": "A"})[1]


def test_a_line_cut_by_a_stop_is_dropped_for_good(tmp_path: Path):
    path = tmp_path / "l.jsonl"
    remembered(path, {"fold": "A"})
    whole = path.read_text()
    path.write_text(whole + whole[:30])
    assert remembered(path, {"fold": "B"})[1]
    assert not remembered(path, {"fold": "A"})[1]
    assert all("key" in json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"key": "k", "method": "ridge", "seconds": 1, "scores": {}}\n', "earlier version"),
        ('{"key": "[\\"random\\", 1]", "records": []}\n', "earlier version"),
        ('{"asked": {}, "scored": {"0": []}}', "earlier version"),
        ("barcode,GENE\ns1,3\n", "no entry"),
        ('[1]\n{"key": "k"}\n', "no entry"),
    ],
)
def test_what_is_no_ledger_of_ours_is_refused_in_words(tmp_path: Path, text: str, expected: str):
    path = tmp_path / "l.jsonl"
    path.write_text(text)
    with pytest.raises(TableError, match=expected):
        Ledger(path)
    assert path.read_text() == text


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        remembered(tmp_path / "file" / "l.jsonl", {"fold": "A"})


def test_the_data_digest_knows_values_shapes_and_names():
    base = np.arange(6.0)
    digests = [
        data_digest(base, ["a", "b"]),
        data_digest(base + 1e-9, ["a", "b"]),
        data_digest(base.reshape(2, 3), ["a", "b"]),
        data_digest(base, ["ab", ""]),
        data_digest(base, np.array(["a", "c"], dtype=object)),
    ]
    assert len(set(digests)) == 5
    assert data_digest(base, ["a", "b"]) == digests[0]
