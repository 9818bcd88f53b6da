from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from pathlib import Path

import pytest

from histoscribe.errors import StorageError, TableError
from histoscribe.files import add_line, read_lines, replacing, sha256, write_h5ad


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_under_its_own_name(tmp_path: Path):
    with replacing(tmp_path / "a.txt") as fresh:
        fresh.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert listing(tmp_path) == ["a.txt"]


def test_a_folder_replaces_a_folder(tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with replacing(tmp_path / "model") as fresh:
        fresh.mkdir()
        (fresh / "new").touch()
    assert listing(tmp_path / "model") == ["new"]
    assert listing(tmp_path) == ["model"]


def test_a_failure_leaves_what_stood_there(tmp_path: Path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError, match="half way"), replacing(tmp_path / "a.txt") as fresh:
        fresh.write_text("half")
        raise RuntimeError("half way")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


def killed_while_writing(target: Path, *, hours: float) -> Path:
    """What a process leaves that was killed after it had moved the old content away."""
    holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    (holder / "previous").mkdir()
    (holder / "previous" / "old").touch()
    for path in (holder / "previous" / "old", holder / "previous", holder):
        os.utime(path, (time.time() - 3600 * hours,) * 2)
    return holder


def test_what_a_killed_run_left_is_swept_away_and_its_old_content_comes_back(tmp_path: Path):
    beside = killed_while_writing(tmp_path / "model.2", hours=30)
    young = killed_while_writing(tmp_path / "model", hours=2)
    killed_while_writing(tmp_path / "model", hours=30)
    other = tmp_path / ".model.settings"
    (other / "mine").mkdir(parents=True)
    for path in (other / "mine", other):
        os.utime(path, (0, 0))
    with pytest.raises(RuntimeError), replacing(tmp_path / "model"):
        raise RuntimeError("nothing is written")
    assert listing(tmp_path) == sorted(["model", beside.name, young.name, other.name])
    assert listing(tmp_path / "model") == ["old"]


def test_a_full_disk_is_said_in_plain_words(tmp_path: Path):
    with pytest.raises(StorageError, match="free some space"), replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert listing(tmp_path) == []


@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_a_full_disk_that_hdf5_reports_is_said_in_plain_words(tmp_path: Path, kind: type[Exception]):
    words = "Can't write data (file write failed\n, errno = 28, error message = 'No space', buf = 0x7)"
    with pytest.raises(StorageError) as caught, replacing(tmp_path / "a.h5ad"):
        raise kind(words)
    assert str(caught.value).endswith(
        "cannot write (no space left on device); free some space on that disk or choose another folder."
    )
    assert listing(tmp_path) == []


def test_a_file_in_the_way_of_a_folder_is_said_in_plain_words(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"), replacing(tmp_path / "file" / "a.txt"):
        pass


def test_a_missing_input_is_not_mistaken_for_a_storage_fault(tmp_path: Path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        (tmp_path / "no-such-input").read_text()


def test_a_block_that_writes_nothing_says_so(tmp_path: Path):
    with pytest.raises(StorageError), replacing(tmp_path / "a.txt"):
        pass


def test_sha256_is_the_standard_digest(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_what_h5ad_cannot_store_is_named_and_nothing_is_written(tmp_path: Path):
    from anndata import AnnData

    table = AnnData(uns={"odd": object()})
    with pytest.raises(TableError, match="h5ad cannot store"):
        write_h5ad(table, tmp_path / "odd.h5ad", TableError)
    assert listing(tmp_path) == []


def test_a_table_is_written_whole(tmp_path: Path):
    import h5py
    import numpy as np
    from anndata import AnnData

    write_h5ad(AnnData(np.eye(3)), tmp_path / "table.h5ad", TableError)
    with h5py.File(tmp_path / "table.h5ad") as file:
        np.testing.assert_array_equal(file["X"], np.eye(3))


def test_a_line_more_takes_the_place_of_a_torn_one_however_long(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    add_line(path, {"first": 1})
    add_line(path, {"second": "x" * 200_000})
    for torn in (b'{"torn', b'{"torn": "' + b"y" * 200_000):
        with path.open("ab") as stream:
            stream.write(torn)
        add_line(path, {"third": 3})
    assert read_lines(path) == [{"first": 1}, {"second": "x" * 200_000}, {"third": 3}, {"third": 3}]
    path.write_bytes(b"nothing whole")
    add_line(path, {"first": 1})
    assert path.read_bytes() == b'{"first": 1}\n'
