from __future__ import annotations

import pickle

import pytest

from histoscribe import errors
from histoscribe.errors import Cancelled, HistoscribeError, SlideError

KINDS = [value for value in vars(errors).values() if isinstance(value, type)]


def test_an_error_is_one_sentence_with_place_and_remedy():
    error = SlideError("holds no image", where="a.svs", remedy="export it again")
    assert str(error) == "a.svs: holds no image; export it again."


def test_place_and_remedy_may_be_absent():
    assert str(SlideError("holds no image")) == "holds no image."


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, HistoscribeError)])
def test_every_kind_crosses_processes_unchanged(kind: type[HistoscribeError]):
    error = kind("is odd", where="here", remedy="mend it")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes, as dask sends them
    assert type(copy) is kind
    assert str(copy) == str(error)


def test_cancelling_says_that_nothing_was_written():
    assert "nothing was written" in str(Cancelled())
