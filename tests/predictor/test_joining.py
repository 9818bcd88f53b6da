"""Sections that are learned from together: what joining them costs is said, what cannot be right refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from histoscribe.errors import SectionError, TableError
from histoscribe.predictor import EncodedSection, Predictor
from histoscribe.predictor.target import joined


def with_genes(section: EncodedSection, genes: list[str], rate: float = 5.0) -> EncodedSection:
    """The same spots with other genes, of about `rate` counts each."""
    counts = np.random.default_rng(1).poisson(rate, (len(section.features), len(genes)))
    return replace(section, genes=genes, counts=csr_matrix(counts.astype(np.float32)))


def named(count: int, prefix: str = "G") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_sections_of_one_kind_are_joined_without_a_word(make_section):
    assert joined([make_section("A"), make_section("B", seed=1)], 60) == []


def test_few_genes_in_common_are_said(make_section):
    sections = [with_genes(make_section("A"), named(40)), with_genes(make_section("B"), named(40)[30:])]
    sections[0] = with_genes(sections[0], named(40), 0.1)
    heavy = sections[0].counts.toarray()
    heavy[:, 30:] += 20
    sections[0] = replace(sections[0], counts=csr_matrix(heavy))
    said = joined(sections, 250)
    assert said == [
        "30 of the 40 genes of A were left out: only 10 are in all 2 sections",
        "250 genes were wanted, and the sections have 10 in common",
    ]


def test_names_of_another_kind_are_refused_with_the_section_that_has_them(make_section):
    ours = [with_genes(make_section(name), named(300)) for name in "AB"]
    theirs = with_genes(make_section("C"), [*named(5), *named(295, "ENSG")])
    with pytest.raises(TableError, match=r"C: only 5 genes are in all 3 sections; of the 300 of this one 5"):
        joined([*ours, theirs], 250)


@pytest.mark.parametrize(("genes", "refused"), [(20, True), (60, False), (95, None)])
def test_counts_of_another_whole_are_refused_or_said(genes, refused, make_section):
    """A panel of 20 of 100 equal genes: a fifth of the counts of one section, all of the other's."""
    sections = [with_genes(make_section("A"), named(100)), with_genes(make_section("B"), named(genes))]
    if refused:
        with pytest.raises(SectionError, match=r"hold 20% of the counts of A and 100% of those of B"):
            joined(sections, 10)
    else:
        said = any("mean different things" in words for words in joined(sections, 10))
        assert said == (refused is False)


@pytest.mark.parametrize("spots", [3, 7, 8])
def test_a_section_of_few_spots_is_refused(spots, make_section):
    small = make_section("small").part(np.arange(spots), "small")
    if spots < 8:
        with pytest.raises(SectionError, match=rf"small: it has {spots} spots with counts.*at least 8"):
            joined([make_section("A"), small], 10)
        with pytest.raises(SectionError, match="at least 8"):
            Predictor(epochs=1).fit_encoded([small])
    else:
        assert joined([make_section("A"), small], 10) == []


def test_the_same_section_twice_is_no_second_patient(make_section):
    """A copy under another name would be held out of training and had been seen in it."""
    first, again = make_section("A"), make_section("A2", patient="A")
    other = make_section("B", seed=1)
    assert joined([first, other, again], 60) == ["A2: it holds the same counts as A: the same section twice?"]
    with pytest.raises(SectionError, match=r"A2: it holds the same counts as A.*held out of training"):
        joined([first, other, replace(again, patient="C")], 60)


def test_species_are_not_joined_by_the_few_names_that_both_write_alike(make_section):
    """Symbols of mice are not those of people; of 300 of each, four are alike."""
    alike = ["C1", "H19", "XIST", "F3"]
    people = with_genes(make_section("A"), [*alike, *(f"GENE{number}" for number in range(296))])
    mice = with_genes(make_section("M"), [*alike, *(f"Gene{number}" for number in range(296))])
    with pytest.raises(TableError, match="only 4 genes are in all 2 sections"):
        joined([people, mice], 250)


def test_the_card_keeps_what_was_said(make_section, tmp_path):
    model = Predictor(epochs=1, panel_size=250, members=1).fit_encoded([make_section("A")])
    model.save(tmp_path / "model")
    card = Predictor.load(tmp_path / "model").card
    assert card.settings["doubts"] == ["250 genes were wanted, and the sections have 60 in common"]
