"""What is predicted: log1p of counts per 10,000 over all genes of a spot, for a panel of genes."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from histoscribe.arrays import Floats, Wide
from histoscribe.bulk.scales import log_cp10k as log_cp10k
from histoscribe.bulk.table import dense
from histoscribe.errors import SectionError, SettingError, TableError
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.section import Section

Target = Literal["clean", "published"]
TARGET = "log1p of counts per 10,000 over all genes of the spot"
TARGETS: dict[Target, str] = {
    "clean": TARGET,
    "published": "as published, NOT clean: log1p of counts per 10,000 of the gene over the section, so that "
    "the depth of a spot leaks into every gene",
}
PANEL_SIZE = 250
FEWEST_SPOTS = 8
HARDLY_ANY, _MANY = 0.1, 100
"""Share of the smallest table's genes that must be common to all, asked where it has many."""
OTHER_WHOLE, _DOUBTED = 3.0, 1.5
"""How often larger the common genes' share of the counts may be in one section than in another."""


def panel_expression(section: EncodedSection, panel: Sequence[str], target: Target = "clean") -> Floats:
    """The target of one section, shape (spots, panel): normalised over all its genes, then restricted.

    Parameters
    ----------
    target : str
        `clean`; or `published`, normalised along the wrong axis as GR2ST's first code did, to reproduce its
        numbers and for nothing else.

    Raises
    ------
    TableError
        If a gene of the panel is not in the section.
    """
    require_genes(section, panel)
    columns = _columns(section, panel)
    if target == "published":
        values = log_cp10k(section.counts[:, columns].T).T
    else:
        values = log_cp10k(section.counts)[:, columns]
    return dense(values)


def require_genes(section: EncodedSection | Section, panel: Sequence[str]) -> None:
    """Raise `TableError` if a gene of the panel is not in the section."""
    known = set(section.genes)
    if missing := [gene for gene in panel if gene not in known]:
        problem = f"{len(missing)} of {len(panel)} panel genes are not in the table, such as {missing[0]}"
        remedy = "use sections whose tables name their genes alike"
        raise TableError(problem, where=section.name, remedy=remedy)


def spot_weights(sections: Sequence[EncodedSection]) -> Wide:
    """How much each spot of these sections is believed, shape (all spots,): 1 at the median depth.

    The noise of log expression falls as a spot's counts grow. The square root of the depth, bounded to a
    tenth and ten times, lets deep spots speak louder without silencing the others.
    """
    depth = np.concatenate([section.depth for section in sections])
    middle = float(np.median(depth)) or 1.0
    return np.asarray(np.clip(np.sqrt(depth / middle), 0.1, 10.0), dtype=np.float64)


def common_genes(sections: Sequence[EncodedSection] | Sequence[Section]) -> list[str]:
    """Genes that every section has, in the order of the first.

    Raises `TableError` if there is none.
    """
    shared = set(sections[0].genes).intersection(*(section.genes for section in sections[1:]))
    if not shared:
        problem = "the sections have no gene in common"
        remedy = "give tables of one species with the same kind of gene names (symbols or Ensembl ids)"
        raise TableError(problem, where=", ".join(section.name for section in sections), remedy=remedy)
    return [gene for gene in sections[0].genes if gene in shared]


def joined(sections: Sequence[EncodedSection], wanted: int) -> list[str]:
    """Refuse sections that cannot be learned from together; else say what joining them costs.

    `wanted`: how many genes are to be predicted. Raises `SectionError` if a section has too few spots, or
    counts of another share of the genes than the rest: its counts per 10,000 are of another whole, or is
    another one under a second name and patient; `TableError` if hardly any gene is in all sections.
    """
    few = min(sections, key=lambda section: len(section.features))
    if (count := len(few.features)) < FEWEST_SPOTS:
        problem = f"it has {count} spots with counts, and each section needs at least {FEWEST_SPOTS}"
        raise SectionError(problem, where=few.name, remedy="leave it out")
    common = common_genes(sections)
    sizes = [len(section.genes) for section in sections]
    if len(common) < HARDLY_ANY * min(sizes) and min(sizes) >= _MANY:
        known = Counter(gene for section in sections for gene in section.genes)
        shared = [sum(known[gene] > 1 for gene in section.genes) for section in sections]
        odd = min(range(len(sections)), key=lambda number: shared[number] / sizes[number])
        raise TableError(
            f"only {len(common)} genes are in all {len(sections)} sections; of the {sizes[odd]:,} of this "
            f"one {shared[odd]:,} are in any other",
            where=sections[odd].name,
            remedy="leave it out, or name its genes as the others do",
        )
    of_genes = [np.asarray(section.counts.sum(axis=0), dtype=np.float64).reshape(-1) for section in sections]
    places = [_columns(section, common) for section in sections]
    inside = [own[at].sum() / max(own.sum(), 1e-9) for own, at in zip(of_genes, places, strict=True)]
    low, high = int(np.argmin(inside)), int(np.argmax(inside))
    words = (
        f"the {len(common):,} genes that all sections have hold {inside[low]:.0%} of the counts of "
        f"{sections[low].name} and {inside[high]:.0%} of those of {sections[high].name}, so that counts per "
        "10,000 mean different things"
    )
    said = []
    if inside[high] > OTHER_WHOLE * inside[low]:
        remedy = "learn from sections of one gene panel, or keep the same genes in every table"
        raise SectionError(words, where=sections[low].name, remedy=remedy)
    if inside[high] > _DOUBTED * inside[low]:
        said.append(words)
    if len(common) < (largest := max(sizes)) / 2:
        most = sections[sizes.index(largest)].name
        said.append(
            f"{largest - len(common):,} of the {largest:,} genes of {most} were left out: "
            f"only {len(common):,} are in all {len(sections)} sections"
        )
    held: dict[tuple[object, ...], EncodedSection] = {}
    for section in sections:
        first = held.setdefault((section.counts.shape, section.depth.tobytes()), section)
        if first is not section:
            words = f"it holds the same counts as {first.name}: the same section twice"
            if first.patient != section.patient:
                remedy = "leave it out, or what is held out of training has been seen in it"
                raise SectionError(words, where=section.name, remedy=remedy)
            said.append(f"{section.name}: {words}?")
    if wanted > len(common):
        said.append(f"{wanted} genes were wanted, and the sections have {len(common)} in common")
    return said


def _columns(section: EncodedSection, genes: Sequence[str]) -> list[int]:
    index = {gene: column for column, gene in enumerate(section.genes)}
    return [index[gene] for gene in genes]


def choose_panel(sections: Sequence[EncodedSection], size: int = PANEL_SIZE) -> list[str]:
    """The genes whose target varies most over all spots of these sections, most variable first.

    Pass training sections only: a panel that saw the test section flatters every method.

    Parameters
    ----------
    size : int
        How many genes; fewer are returned where fewer are common to all sections.

    Raises
    ------
    SettingError
        If `size` is not positive or there is no section.
    TableError
        If the sections have no gene in common.
    """
    if size < 1 or not sections:
        raise SettingError("a panel needs at least one gene and one section", remedy="ask for more genes")
    genes = common_genes(sections)
    spots, total, squares = 0, np.zeros(len(genes)), np.zeros(len(genes))
    for section in sections:
        values = log_cp10k(section.counts)[:, _columns(section, genes)].astype(np.float64)
        spots += values.shape[0]
        total += np.asarray(values.sum(axis=0)).reshape(-1)
        squares += np.asarray((values**2).sum(axis=0)).reshape(-1)
    variance = squares / max(spots, 1) - (total / max(spots, 1)) ** 2
    order = np.argsort(-np.round(variance, 12), kind="stable")
    return [genes[column] for column in order[:size]]
