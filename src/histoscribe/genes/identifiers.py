"""Gene identifiers: Ensembl versions, names that a spreadsheet turned into dates, renamed genes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_ENSEMBL = re.compile(r"^(ENS[A-Z]{0,6}G\d{6,})(?:\.\d+)?(?:_PAR_Y)?$")
_SYMBOL = re.compile(
    r"^(?:[A-Z][A-Z0-9]{1,11}(?:[-.@][A-Z0-9]{1,6}){0,2}|C\d{1,2}orf\d+|[A-Z][a-z0-9]{1,9}\d*)$"
)
_MONTHS = {"mar": "MARCH", "sep": "SEPT", "dec": "DEC", "oct": "OCT", "apr": "APR"}
_DAY_MONTH = re.compile(r"^(\d{1,2})[-/. ]([A-Za-z]{3})[a-z]*(?:[-/. ]\d{2,4})?$")
_MONTH_DAY = re.compile(r"^([A-Za-z]{3})[a-z]*[-/. ](\d{1,2})$")
_RENAMED = (("MARCH", "MARCHF"), ("SEPT", "SEPTIN"), ("MARC", "MTARC"))
_RUNNING = re.compile(r"^(.*?)\d+$")


@dataclass(frozen=True)
class CleanNames:
    """Gene names as they can be matched, and what was done to them.

    Parameters
    ----------
    names : tuple of str
        As many and in the same order as given; not made unique.
    kind : str
        `ensembl`, `entrez` or `symbol`: what most of them are.
    dates : tuple of (str, str)
        Names that a spreadsheet had turned into dates, and what they stand for.
    doubtful : tuple of str
        Dates that stand for more than one gene of this table and were left as they are.
    """

    names: tuple[str, ...]
    kind: str
    dates: tuple[tuple[str, str], ...] = ()
    doubtful: tuple[str, ...] = ()


def clean_names(names: Iterable[object]) -> CleanNames:
    """Strip blanks and Ensembl versions, and turn spreadsheet dates back into gene symbols.

    `1-Mar` becomes `MARCH1`, `2-Sep` `SEPT2`, `1-Dec` `DEC1`. A date that occurs twice (`MARCH1`
    and `MARC1` both become `1-Mar`) is left as it is, since nothing tells the two apart.
    """
    stripped = [str(name).strip().strip('"') for name in names]
    found = [_from_date(name) for name in stripped]
    counts: dict[str, int] = {}
    for symbol in found:
        if symbol is not None:
            counts[symbol] = counts.get(symbol, 0) + 1
    present = set(stripped)
    cleaned, dates, doubtful = [], [], []
    for name, symbol in zip(stripped, found, strict=True):
        if symbol is None:
            ensembl = _ENSEMBL.match(name)
            cleaned.append(ensembl.group(1) if ensembl else name)
        elif counts[symbol] > 1 or symbol in present:
            cleaned.append(name)
            doubtful.append(name)
        else:
            cleaned.append(symbol)
            dates.append((name, symbol))
    return CleanNames(tuple(cleaned), _kind(cleaned), tuple(dates), tuple(dict.fromkeys(doubtful)))


def match_genes(
    wanted: Sequence[str], offered: Sequence[str], aliases: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Find each wanted gene among the offered names.

    Parameters
    ----------
    wanted : sequence of str
        The model's genes.
    offered : sequence of str
        Names of a table, clean.
    aliases : mapping of str to str, optional
        Another name of a wanted gene (its Ensembl id, say) → the wanted gene.

    Returns
    -------
    dict of str to int
        Wanted gene → index into `offered`, in the order of `wanted`, only those that are there.
    """
    index: dict[str, int] = {}
    for position, name in enumerate(offered):
        index.setdefault(name, position)
    others: dict[str, list[str]] = {}
    for alias, gene in (aliases or {}).items():
        others.setdefault(gene, []).append(alias)
    found = {}
    for gene in wanted:
        for candidate in (gene, *others.get(gene, ()), *renamed_symbols(gene)):
            if candidate in index:
                found[gene] = index[candidate]
                break
    return found


def gene_likeness(names: Sequence[str]) -> float:
    """How much these names look like genes, 0 to 1: symbols, Ensembl ids, Entrez numbers."""
    some = [str(name) for name in names[:2000]]
    if not some:
        return 0.0
    share = sum(bool(_ENSEMBL.match(n) or _SYMBOL.match(n) or _from_date(n) or n.isdigit()) for n in some)
    stems: dict[str, int] = {}
    for name in some:
        running = _RUNNING.match(name)
        if running and running.group(1) and not _ENSEMBL.match(name):
            stems[running.group(1)] = stems.get(running.group(1), 0) + 1
    numbered = max(stems.values(), default=0)
    return (share - numbered if numbered > 0.6 * len(some) else share) / len(some)


def _kind(names: Sequence[str]) -> str:
    some = names[:5000]
    if sum(bool(_ENSEMBL.match(name)) for name in some) * 2 > len(some):
        return "ensembl"
    return "entrez" if some and sum(name.isdigit() for name in some) * 2 > len(some) else "symbol"


def _from_date(name: str) -> str | None:
    if match := _DAY_MONTH.match(name):
        day, month = match.group(1), match.group(2)
    elif match := _MONTH_DAY.match(name):
        month, day = match.group(1), match.group(2)
    else:
        return None
    stem = _MONTHS.get(month.lower())
    return f"{stem}{int(day)}" if stem and int(day) <= 31 else None


def renamed_symbols(gene: str) -> list[str]:
    """Old and new symbols of the genes that were renamed because of spreadsheets."""
    if gene in ("DEC1", "DELEC1"):
        return ["DELEC1" if gene == "DEC1" else "DEC1"]
    for old, new in _RENAMED:
        for here, there in ((old, new), (new, old)):
            if (rest := gene.removeprefix(here)) != gene and rest.isdigit():
                return [there + rest]
    return []
