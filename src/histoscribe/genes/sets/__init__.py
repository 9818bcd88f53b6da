"""Gene sets: the project's own lists of well-known marker genes, and any GMT file beside them."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path

import pandas as pd

from histoscribe.bounds.content import read_bytes
from histoscribe.errors import SettingError, TableError, told_as

GeneSets = dict[str, tuple[str, ...]]

COLLECTIONS = ("programmes", "sites")
_LARGEST_FILE = 64 * 1024**2
_MOST_SETS = _MOST_GENES = 100_000


def shipped_gene_sets() -> GeneSets:
    """The collections that come with Histoscribe: programmes of a tumour, functions of a site."""
    folder = files(__name__)
    sets: GeneSets = {}
    for name in COLLECTIONS:
        sets.update(_parse((folder / f"{name}.gmt").read_text(encoding="utf-8"), f"{name}.gmt"))
    return sets


def read_gene_sets(path: str | PathLike[str]) -> GeneSets:
    """Read a GMT file: a set a line, name, description and genes with tabs between.

    Raises
    ------
    TableError
        If it is missing, too large, or no GMT.
    """
    path = Path(path)
    remedy = "give a GMT file: name, description and genes with tabs between, one set a line"
    with told_as(TableError, "this is no text", UnicodeDecodeError, where=path, remedy=remedy):
        return _parse(read_bytes(path, _LARGEST_FILE, TableError).decode("utf-8-sig"), path)


def read_gene_list(path: Path) -> list[str]:
    """Read a gene list: one name a line, empty lines and lines with # left out.

    Raises
    ------
    TableError
        If the file is missing, not text, empty, or names a gene twice.
    """
    wrong, remedy = (OSError, UnicodeDecodeError), "give a text file with one gene a line"
    with told_as(TableError, "this gene list cannot be read", *wrong, where=path, remedy=remedy):
        text = path.read_text(encoding="utf-8")
    names = [line.strip() for line in text.splitlines()]
    genes = [name for name in names if name and not name.startswith("#")]
    if not genes:
        raise TableError("this gene list is empty", where=path, remedy="write one gene a line")
    if len(genes) > _MOST_GENES:
        raise SettingError(f"this gene list has {len(genes)} lines", where=path, remedy="give a gene list")
    twice = sorted({gene for gene in genes if genes.count(gene) > 1}) if len(set(genes)) < len(genes) else []
    if twice:
        raise TableError(f"{', '.join(twice[:3])} named twice", where=path, remedy="name every gene once")
    return genes


def present(sets: Mapping[str, tuple[str, ...]], genes: tuple[str, ...], *, least: int = 5) -> GeneSets:
    """The sets cut to `genes`, those with at least `least` of them."""
    known = set(genes)
    cut = {name: tuple(gene for gene in members if gene in known) for name, members in sets.items()}
    return {name: members for name, members in cut.items() if len(members) >= least}


def _parse(text: str, where: str | Path) -> GeneSets:
    sets: GeneSets = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        genes = tuple(dict.fromkeys(cell for cell in cells[2:] if cell))
        if not cells[0] or not genes or len(sets) >= _MOST_SETS:
            remedy = "write name, description and genes with tabs between, one set a line"
            raise TableError(f"line {number} is no gene set", where=where, remedy=remedy)
        sets[cells[0]] = genes
    if not sets:
        raise TableError("the file holds no gene set", where=where, remedy="write one set a line")
    return sets


def enrich(
    top: Sequence[str], sets: Mapping[str, tuple[str, ...]], background: Sequence[str]
) -> pd.DataFrame:
    """Hypergeometric test of every set among the top genes, by gseapy, offline.

    Returns one row a set: `set`, `p` (1 where nothing is shared) and `overlap` in words.
    """
    import gseapy

    strongest = set(top)
    overlaps = {name: len(strongest.intersection(genes)) for name, genes in sets.items()}
    hit = {name: list(genes) for name, genes in sets.items() if overlaps[name]}
    known: dict[str, float] = {}
    if hit:
        found = gseapy.enrich(
            list(top), hit, background=list(background), outdir=None, no_plot=True, verbose=False
        ).results
        known = dict(zip(found["Term"].astype(str), found["P-value"].astype(float), strict=True))
    shared = [f"{overlaps[name]} of {len(genes)}" for name, genes in sets.items()]
    return pd.DataFrame({"set": list(sets), "p": [known.get(name, 1.0) for name in sets], "overlap": shared})
