"""Tables on disk are read and written as arrays are."""

from __future__ import annotations

import os

import numpy as np
import pytest

from histoscribe.rows import Rows, part_of


@pytest.mark.parametrize("shared", [True, False])
def test_rows_on_disk_are_those_in_memory(monkeypatch, shared):
    if not shared:
        monkeypatch.delattr(os, "preadv", raising=False)
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    held = Rows(values.shape)
    held[:] = values
    some, none = np.array([4, 5, 6, 1, 0, 49, 49]), np.array([], dtype=np.int64)
    for key in (slice(None), slice(3, 3), slice(5, 2), slice(2, 40, 3), (slice(9), slice(1)), some, none):
        np.testing.assert_array_equal(held[key], values[key])
    part, seen = (part_of(part_of(table, slice(10, 20)), slice(2, 6)) for table in (held, values))
    del held  # the part keeps the file
    for table in (part, seen):
        table[:] = 2 * np.asarray(table)
    np.testing.assert_array_equal(part, values[12:16])
    np.testing.assert_array_equal(part[np.array([3, 0])], values[[15, 12]])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_processes_that_were_forked_do_not_move_each_others_place():
    held = Rows((20_000, 8))
    held[:] = np.arange(20_000, dtype=np.float32)[:, None] + np.zeros(8, np.float32)
    child = os.fork()
    right = all((held[rows : rows + 3][:, 0] == np.arange(rows, rows + 3)).all() for rows in range(19_000))
    if not child:
        os._exit(0 if right else 1)
    assert right
    assert os.waitpid(child, 0)[1] == 0
