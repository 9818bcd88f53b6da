"""Gene identifiers: Ensembl versions, names that a spreadsheet made dates of, renamed genes, other names."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "feature_id", "gene_symbols", "gene_name", "feature_name")
_LISTS = ("alias", "aliases", "synonyms")
_ENSEMBL = re.compile(r"^(ENS[A-Z]{0,6}G\d{6,})(?:\.\d+)?(?:_PAR_Y)?$")
_SYMBOL = re.compile(
    r"^(?:[A-Z][A-Z0-9]{1,11}(?:[-.@][A-Z0-9]{1,6}){0,2}|C\d{1,2}orf\d+|[A-Z][a-z0-9]{1,9}\d*)$"
)
_ENSEMBL_OF = r"ENS[A-Z]{0,6}G\d{6,}(?:\.\d+)?"
_NUMBER_OF = rf"(?:\d+|{_ENSEMBL_OF})"
_BESIDE = re.compile(
    rf"(?P<a>[^\s|]+)(?:\s*\({_NUMBER_OF}\)|\|{_NUMBER_OF}|[_;-]{_ENSEMBL_OF})"
    rf"|(?:{_NUMBER_OF}\||{_ENSEMBL_OF}[_;-](?!PAR_Y))(?P<b>[^\s|]+)"
)
_ACCESSION = re.compile(r"ENS[A-Z]{1,7}\d{6,}|[NX][MRP]_\d{6,}|HGNC:\d+")
_NAMES_OF_MONTHS = "jan feb mar,mär,mrz apr,avr may,mai jun jul aug sep oct,okt nov dec,dez,déc"
_MONTHS = {name: number for number, own in enumerate(_NAMES_OF_MONTHS.split(), 1) for name in own.split(",")}
_GENES_OF_MONTH = {3: ("MARCH", 11), 4: ("APR", 3), 9: ("SEPT", 14), 10: ("OCT", 11), 12: ("DEC", 2)}
_DAY_MONTH = re.compile(r"(\d{1,2})[-/. ]{1,2}([A-Za-zäé]{3})[a-z]*\.?(?:[-/. ]\d{2,4})?")
_MONTH_DAY = re.compile(r"([A-Za-zäé]{3})[a-z]*\.?[-/. ](\d{1,2})")
_ISO = re.compile(r"(?:19|20)\d\d[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_SLASHES = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(?:\d\d)?\d\d")
_SERIAL = re.compile(r"[34]\d{4}")
_SERIAL_EPOCH = date(1899, 12, 30)
_RENAMED = (("MARCH", "MARCHF"), ("SEPT", "SEPTIN"), ("MARC", "MTARC"))
_RENAMED_ALONE = {"DEC1": "DELEC1", "SEP15": "SELENOF", "DELEC1": "DEC1", "SELENOF": "SEP15"}
_RUNNING = re.compile(r"^(.*?)\d+$")
_SCIENTIFIC = re.compile(r"\d+(?:[.,]\d+)?E[+-]?\d+")
_BOTH_SPECIES = 0.05


@dataclass(frozen=True)
class CleanNames:
    """Gene names as they can be matched, and what was done to them."""

    names: tuple[str, ...]
    """As many and in the same order as given; not made unique."""
    kind: str
    """`ensembl`, `entrez` or `symbol`: what most of them are."""
    dates: tuple[tuple[str, str], ...] = ()
    """Names that a spreadsheet had turned into dates, and what they stand for."""
    doubtful: tuple[str, ...] = ()
    """Dates that stand for more than one gene of this table and were left as they are."""


def clean_names(names: Iterable[object]) -> CleanNames:
    """Strip blanks, Ensembl versions and numbers beside symbols, and turn spreadsheet dates into symbols.

    `A1BG (1)`, `A1BG|1`, `ENSG00000121410.12|A1BG` and `ENSG00000121410_A1BG` become `A1BG`, `7157.0` `7157`.
    `1-Mar`, `2023-03-01`, `01.03.2023` and, among symbols, the serial number 44986 become `MARCH1`; `2-Sep`
    `SEPT2`, `15-Sep` `SEP15`, `1-Dec` `DEC1`. A date that occurs twice (`MARCH1` and `MARC1` both become
    `1-Mar`), or that may be two genes (`3/9/2023`), is left as it is, since nothing tells the two apart.
    """
    stripped = [bare_name(str(name).strip().strip('"')) for name in names]
    serials = _kind(stripped) == "symbol"
    dated = [_from_date(name, serials=serials) for name in stripped]
    found = [genes[0] if len(genes) == 1 else None for genes in dated]
    counts = Counter(found)
    present = set(stripped)
    cleaned, dates, doubtful = [], [], []
    for name, genes, symbol in zip(stripped, dated, found, strict=True):
        if len(genes) > 1 or (symbol is not None and (counts[symbol] > 1 or symbol in present)):
            cleaned.append(name)
            doubtful.append(name)
        elif symbol is None:
            ensembl = _ENSEMBL.match(name)
            cleaned.append(ensembl.group(1) if ensembl else name)
        else:
            cleaned.append(symbol)
            dates.append((name, symbol))
    return CleanNames(tuple(cleaned), _kind(cleaned), tuple(dates), tuple(dict.fromkeys(doubtful)))


def date_words(clean: CleanNames) -> list[str]:
    """What a spreadsheet had made dates of, in plain words: what was turned back, and what could not be."""
    said = []
    if clean.dates:
        shown = ", ".join(f"{old} → {new}" for old, new in clean.dates[:5])
        said.append(f"{len(clean.dates)} gene names had become dates and were turned back ({shown})")
        if any(new in ("MARCH1", "MARCH2") for _, new in clean.dates):
            said.append("MARCH1 and MARCH2 may have been MARC1 and MARC2, which a spreadsheet makes the same")
    if clean.doubtful:
        shown = ", ".join(clean.doubtful[:5])
        said.append(f"{shown}: dates that stand for more than one gene; left as they are")
    return said


def name_doubts(names: Sequence[str]) -> list[str]:
    """What is doubtful about the names of genes, in plain words.

    Those that a spreadsheet made numbers of (2310009E13Rik: `2.31E+13`), and genes of two species.
    """
    said = []
    if numbers := [name for name in names if _SCIENTIFIC.fullmatch(name)]:
        words = "look like numbers that a spreadsheet made of them and were left as they are"
        said.append(f"{len(numbers)} gene names ({', '.join(numbers[:3])}) {words}")
    upper = {name for name in names if name.isupper()}
    both = [name for name in names if not name.isupper() and name[:1].isupper() and name.upper() in upper]
    if len(both) >= 3 and len(both) > _BOTH_SPECIES * len(names):
        words = "are written in both cases, as of man and mouse: take those of one species"
        said.append(f"{len(both)} genes ({', '.join(both[:3])}) {words}")
    return said


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
    """How much these names look like genes, 0 to 1: symbols, Ensembl ids, Entrez numbers, not a count."""
    some = [bare_name(str(name)) for name in names[:2000]]
    if not some or some in ([str(at + first) for at in range(len(some))] for first in (0, 1)):
        return 0.0
    share = sum(bool(_ENSEMBL.match(n) or _SYMBOL.match(n) or _from_date(n) or n.isdigit()) for n in some)
    stems: Counter[str] = Counter()
    for name in some:
        first, hyphen, _ = name.partition("-")
        running = _RUNNING.match(name)
        stem = first if hyphen else running.group(1) if running else ""
        stems[stem] += bool(stem) and not _ACCESSION.match(name)
    numbered = max(stems.values(), default=0)
    return (share - numbered if numbered > 0.6 * len(some) else share) / len(some)


def bare_name(name: str) -> str:
    """A symbol without the identifier beside it, an Entrez number without a spreadsheet's `.0`."""
    found = _BESIDE.fullmatch(name)
    symbol = found and (found["a"] or found["b"])
    if symbol and symbol != "?":
        return symbol
    number = name.removesuffix(".0")
    return number if number.isdigit() else name


def _kind(names: Sequence[str]) -> str:
    some = names[:5000]
    if sum(bool(_ENSEMBL.match(name)) for name in some) * 2 > len(some):
        return "ensembl"
    return "entrez" if some and sum(name.isdigit() for name in some) * 2 > len(some) else "symbol"


def _from_date(name: str, *, serials: bool = False) -> tuple[str, ...]:
    """The genes that a spreadsheet may have made this date of: none, one, or two where day and month swap."""
    if match := _DAY_MONTH.fullmatch(name):
        days = [(match.group(1), _MONTHS.get(match.group(2).lower(), 0))]
    elif match := _MONTH_DAY.fullmatch(name):
        days = [(match.group(2), _MONTHS.get(match.group(1).lower(), 0))]
    elif match := _ISO.fullmatch(name):
        days = [(match.group(2), int(match.group(1)))]
    elif match := _SLASHES.fullmatch(name):
        days = [(match.group(3), int(match.group(1))), (match.group(1), int(match.group(3)))]
    elif serials and _SERIAL.fullmatch(name):
        day = _SERIAL_EPOCH + timedelta(days=int(name))
        days = [(str(day.day), day.month)]
    else:
        return ()
    genes = (_gene_of_day(int(day), month) for day, month in days)
    return tuple(dict.fromkeys(gene for gene in genes if gene))


def _gene_of_day(day: int, month: int) -> str:
    stem, last = _GENES_OF_MONTH.get(month, ("", 0))
    if (day, month) == (15, 9):
        return "SEP15"
    return f"{stem}{day}" if 1 <= day <= last else ""


def renamed_symbols(gene: str) -> list[str]:
    """Old and new symbols of the genes that were renamed because of spreadsheets."""
    if gene in _RENAMED_ALONE:
        return [_RENAMED_ALONE[gene]]
    for old, new in _RENAMED:
        for here, there in ((old, new), (new, old)):
            if (rest := gene.removeprefix(here)) != gene and rest.isdigit():
                return [there + rest]
    return []


@cache
def _ensembl_symbols() -> Mapping[str, str]:
    text = gzip.decompress((files(__package__) / "symbols.tsv.gz").read_bytes()).decode()
    return dict(line.split("\t") for line in text.splitlines())


def symbol_of(gene: str) -> str:
    """The symbol of a gene of human or mouse that is named by its Ensembl identifier; else the name itself.

    Symbols are those of Ensembl's BioMart of November 2022, when release 108 was current.
    """
    known = _ENSEMBL.match(gene)
    return _ensembl_symbols().get(known.group(1), gene) if known else gene


@cache
def clinical_names() -> Mapping[str, tuple[str, ...]]:
    """What pathologists call genes: symbol → names (`ERBB2` → `HER2`, `NEU`, `CD340`)."""
    lines = (files(__package__) / "clinical_names.tsv").read_text(encoding="utf-8").splitlines()
    return {gene: tuple(_split(names)) for gene, names in (line.split("\t") for line in lines)}


def other_names(tables: Iterable[pd.DataFrame]) -> dict[str, tuple[str, ...]]:
    """Every other name under which a gene of these tables may be searched.

    `tables` are the `var` of AnnData tables, one row a gene. Read from their columns (`gene_ids`, `alias`,
    `synonyms` and the like; lists are split at commas, semicolons and bars), from families that were
    renamed (`MARCH1`, now `MARCHF1`), from `symbol_of` and from `clinical_names`.

    Returns
    -------
    dict of str to tuple of str
        Gene → its other names, only genes that have some.
    """
    found: dict[str, dict[str, None]] = {}
    clinical = clinical_names()
    for var in tables:
        genes = [str(name) for name in var.index]
        for gene in genes:
            symbol = symbol_of(gene)
            known = [symbol, *clinical.get(symbol, ()), *renamed_symbols(symbol)]
            if known != [gene]:
                found.setdefault(gene, {}).update(dict.fromkeys(name for name in known if name != gene))
        for column in (*_COLUMNS, *_LISTS):
            if column not in var:
                continue
            for gene, text in zip(genes, var[column].astype(str), strict=True):
                names = _split(text) if column in _LISTS else [text.strip()]
                kept = [name for name in names if name and name != gene and name.lower() != "nan"]
                if kept:
                    found.setdefault(gene, {}).update(dict.fromkeys(kept))
    return {gene: tuple(names) for gene, names in found.items()}


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.replace(";", ",").replace("|", ",").split(",")]
