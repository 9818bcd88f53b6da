"""Verdicts are whole sentences, survive a file, and can be told apart without colour vision."""

from __future__ import annotations

from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from anndata import AnnData

from histoscribe.record import Record, keep_record, record_of
from histoscribe.verdict import HEADLINES, VERDICT_COLOURS, Verdict, VerdictKind, read_verdict


@pytest.mark.parametrize("kind", get_args(VerdictKind))
def test_every_kind_says_a_whole_sentence(kind):
    verdict = Verdict(kind)
    assert verdict.sentence.startswith(f"{HEADLINES[kind]}. ")
    assert verdict.sentence.endswith(".")
    assert verdict.doubts == ()


def test_what_is_doubtful_is_said_with_its_number():
    words = Verdict("coarse", 0.31, 5.04, 1.4, 900.0, 0.2).sentence
    for part in ("31%", "5 times coarser", "stained or scanned", "20%"):
        assert part in words


def test_what_learned_from_the_tissue_itself_says_so_and_promises_no_other():
    verdict = Verdict("same", given=1036)
    assert verdict.sentence.startswith("Learned from spots of this tissue. ")
    assert "1,036 measured spots" in verdict.sentence
    assert "other tissue of this patient" not in verdict.sentence
    assert Verdict("coarse", given=36).sentence == Verdict("coarse").sentence
    assert read_verdict(verdict.to_mapping()) == verdict


def test_only_what_is_mostly_unlike_is_withheld():
    assert [kind for kind in get_args(VerdictKind) if Verdict(kind).withheld] == ["unlike"]


def test_a_record_keeps_its_verdict_in_a_file(tmp_path):
    import anndata

    table = AnnData(np.zeros((2, 2), dtype=np.float32))
    keep_record(table, Record("predicted", verdict=Verdict("unlike", 0.9, None, 0.4, 2300.0)))
    table.write_h5ad(tmp_path / "a.h5ad")
    found = record_of(anndata.read_h5ad(tmp_path / "a.h5ad"))
    assert found.verdict == Verdict("unlike", 0.9, None, 0.4, 2300.0)
    assert not any(key.startswith("verdict") for key in found.other)


def test_older_predictions_say_what_their_training_tells():
    old = Record("predicted", training_sections=("A", "B"), training_patients=("P",))
    assert old.judged("A", "P") == Verdict("training")
    assert old.judged("C", "P") == Verdict("same")
    assert old.judged("C", "Q") is None
    assert Record("measured").judged("A", "P") is None


@pytest.mark.parametrize("stated", [{}, {"kind": "splendid"}, {"kind": 3, "unlike": "x"}])
def test_what_is_no_verdict_is_none(stated):
    assert read_verdict(stated) is None


def test_a_damaged_number_is_not_stated():
    assert read_verdict({"kind": "like", "unlike": "many", "stain": 2}) == Verdict("like", stain=2.0)


def _seen(colour: str, matrix: np.ndarray) -> np.ndarray:
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return matrix @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def test_white_words_can_be_read_on_every_colour():
    for colour in VERDICT_COLOURS.values():
        light = float(_seen(colour, np.array([0.2126, 0.7152, 0.0722])))
        assert 1.05 / (light + 0.05) >= 4.5, colour


def test_colours_differ_for_those_who_do_not_see_red_or_green():
    # Viénot, Brettel and Mollon 1999, linear RGB.
    for matrix in (
        [[0.11, 0.89, 0], [0.11, 0.89, 0], [0.004, -0.004, 1]],
        [[0.29, 0.71, 0], [0.29, 0.71, 0], [-0.02, 0.02, 1]],
    ):
        seen = [_seen(colour, np.array(matrix)) for colour in VERDICT_COLOURS.values()]
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.03
