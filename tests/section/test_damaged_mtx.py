"""Damaged matrix-market folders."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from histoscribe.errors import SectionError
from histoscribe.section import open_section

MTX = "filtered_feature_bc_matrix"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("matrix.mtx.gz", b"\x1f\x8bgarbage", "the gzip data are damaged or cut off"),
        ("matrix.mtx.gz", b"not a matrix", "not a whole matrix-market file"),
        (
            "matrix.mtx.gz",
            gzip.compress(b"%%MatrixMarket matrix coordinate integer general\n13 80 999999999999\n1 1 1\n"),
            "claims 999999999999 entries",
        ),
        (
            "matrix.mtx.gz",
            gzip.compress(b"%%MatrixMarket matrix coordinate integer general\n13 80 1999999999\n1 1 1\n"),
            "claims 1999999999 entries",
        ),
        (
            "matrix.mtx.gz",
            gzip.compress(b"%%MatrixMarket matrix coordinate integer general\n13 80 2\n1 1 1\n"),
            "not a whole matrix-market file",
        ),
        (
            "matrix.mtx.gz",
            gzip.compress(b"%%MatrixMarket matrix coordinate integer general\n13 80 1\n99 1 1\n"),
            "not a whole matrix-market file",
        ),
        ("barcodes.tsv.gz", b"A\nB\n", "barcodes.tsv has 2 lines where the matrix has 80"),
        ("features.tsv.gz", b"A\n", "features.tsv has 1 lines where the matrix has 13"),
        ("barcodes.tsv.gz", None, "there is no barcodes.tsv"),
    ],
    ids=[
        "no gzip",
        "no matrix",
        "claims too many entries",
        "claims more entries than it has text for",
        "too few entries",
        "a row too far",
        "few barcodes",
        "few features",
        "no barcodes",
    ],
)
def test_damaged_matrix_market(
    name: str, content: bytes | None, sentence: str, space_ranger: Callable[..., Any]
) -> None:
    folder = space_ranger(form="mtx").folder
    (folder / MTX / name).unlink()
    if content is not None:
        (folder / MTX / name).write_bytes(content)
    with pytest.raises(SectionError) as caught:
        open_section(folder)
    assert sentence in str(caught.value)
