"""A benchmark's tables: built once, written as Markdown here and as HTML in the report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from histoscribe.benchmark.methods import REFERENCE
from histoscribe.files import replacing

VARIED = f"{REFERENCE} with"
"""How the names of the default with a part left out or added begin."""

Outcome = Mapping[str, Any]
Pairs = Sequence[Mapping[str, Any]]
Values = Mapping[tuple[str, str, str], Mapping[str, Any]]


@dataclass(frozen=True)
class TableLayout:
    """How a kind of benchmark is shown."""

    title: str = "Benchmark"
    lead: str = ""
    """`title` and `lead`: of the report."""
    headline: str = ""
    """The measure, or the words that several begin with, by which methods are ranked and compared."""
    lower: bool = False
    """Whether lower is better there."""
    label: str = ""
    """The headline in words."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Titles of the measures beside the headline in one wide table with a column for each fold; where empty,
    all measures are shown, those that share what comes before the comma in one table."""
    held: tuple[tuple[str, str, str], ...] = ()
    """Label, method and measure of further rows by fold, such as a control."""

    def leads(self, measure: str) -> bool:
        """Whether methods are compared by this measure."""
        begun = (f"{self.headline},", f"{self.headline} ")
        return bool(self.headline) and (measure == self.headline or measure.startswith(begun))

    def ranked(self, values: Values, measure: str) -> list[str]:
        """The methods that have a measure, best first."""
        found = [method for method, fold, name in values if (fold, name) == ("all", measure)]
        sign = 1 if self.lower else -1
        return sorted(found, key=lambda name: sign * values[name, "all", measure]["value"])


@dataclass(frozen=True)
class Table:
    """Text in rows, the first of each naming it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_tables(outcome: Outcome, path: str | PathLike[str], layout: TableLayout) -> None:
    """Write all tables of what `run_benchmark` returned as Markdown, atomically.

    Raises `StorageError` if they cannot be written.
    """
    with replacing(path) as fresh:
        fresh.write_text(as_markdown(tables_of(outcome, layout)), encoding="utf-8")


def as_markdown(tables: Iterable[Table]) -> str:
    """Tables one below the other; the reference in bold."""
    blocks = []
    for table in tables:
        rows = [(f"**{row[0]}**" if row[0] == REFERENCE else row[0], *row[1:]) for row in table.rows]
        lines = [f"| {' | '.join(row)} |" for row in (table.head, *rows)]
        blocks.append("\n".join([lines[0], "|" + " --- |" * len(table.head), *lines[1:]]))
    return "\n\n".join(blocks) + "\n"


def values_of(outcome: Outcome, dataset: str) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """The records of one dataset by (method, fold, measure)."""
    return {
        (one["method"], one["fold"], one["measure"]): one
        for one in outcome["records"]
        if one["dataset"] == dataset
    }


def tables_of(outcome: Outcome, layout: TableLayout) -> list[Table]:
    """Every table of an outcome, dataset by dataset: scores, paired differences, controls, ablation."""
    tables: list[Table] = []
    for dataset in dict.fromkeys(one["dataset"] for one in outcome["records"]):
        values = values_of(outcome, dataset)
        pairs = [pair for pair in outcome["paired"] if pair["dataset"] == dataset]
        if layout.columns:
            tables += _wide(values, pairs, layout, dataset)
        else:
            tables += _by_measure(values, dataset)
            tables += [_differences(pairs, dataset)] if pairs else []
    return tables


def _wide(values: Values, pairs: Pairs, layout: TableLayout, dataset: str) -> list[Table]:
    controls = {method for _, method, _ in layout.held} - {REFERENCE}
    ranked = [name for name in layout.ranked(values, layout.headline) if name not in controls]
    plain = [name for name in ranked if not name.startswith(VARIED)]
    folds = [fold for fold in dict.fromkeys(fold for _, fold, _ in values) if fold != "all"]
    by_other = {pair["other"]: pair for pair in pairs}
    head = ("method", *folds, f"mean {layout.label} (95 % interval)", *layout.columns.values())
    rows = tuple(
        (
            name,
            *(_number(values, name, fold, layout.headline) for fold in folds),
            spread(values[name, "all", layout.headline]),
            *(_number(values, name, "all", measure) for measure in layout.columns),
        )
        for name in plain
    )
    tables = [Table(f"Scores on {dataset}", head, rows)]
    if compared := [by_other[name] for name in plain if name in by_other]:
        tables.append(_differences(compared, dataset))
    held = tuple(
        (label, *(_number(values, method, fold, measure) for fold in (*folds, "all")))
        for label, method, measure in layout.held
        if (method, "all", measure) in values
    )
    if held:
        tables.append(Table("Intervals and chance", ("", *folds, "mean"), held))
    varied = [by_other[name] for name in ranked if name.startswith(VARIED) and name in by_other]
    if varied:
        tables.append(_ablation(values, varied, layout))
    return tables


def _by_measure(values: Values, dataset: str) -> list[Table]:
    """A table for measures that share a beginning, methods in rows; one for all others, measures in rows."""
    methods = list(dict.fromkeys(method for method, _, _ in values))
    measures = list(dict.fromkeys(measure for _, _, measure in values))
    groups: dict[str, list[str]] = {}
    for measure in measures:
        groups.setdefault(measure.partition(", ")[0], []).append(measure)
    tables = []
    for name, group in groups.items():
        if len(group) > 1 or ", " in group[0]:
            own = [method for method in methods if any((method, "all", one) in values for one in group)]
            rows = tuple((method, *(_cell(values, method, one) for one in group)) for method in own)
            heads = tuple(one.partition(", ")[2] or name for one in group)
            tables.append(Table(f"{name} on {dataset}", (name, *heads), rows))
    single = [group[0] for group in groups.values() if len(group) == 1 and ", " not in group[0]]
    if single:
        rows = tuple((one.replace("_", " "), *(_cell(values, m, one) for m in methods)) for one in single)
        tables.append(Table(f"Scores on {dataset}", (dataset, *methods), rows))
    return tables


def _differences(pairs: Pairs, dataset: str) -> Table:
    several = len({pair["measure"] for pair in pairs}) > 1
    rows = tuple(
        (
            f"{pair['other']}, {pair['measure']}" if several else pair["other"],
            _gain(pair),
            f"{pair['p_sections']:.3f}",
            "–" if pair["p_genes"] is None else f"{pair['p_genes']:.1e}",
        )
        for pair in pairs
    )
    measure = "" if several else f", {pairs[0]['measure']}"
    head = (f"the default less{measure}", "difference (95 % interval)", "p over folds", "p over genes")
    return Table(f"The default against each method on {dataset}", head, rows)


def _ablation(values: Values, pairs: Pairs, layout: TableLayout) -> Table:
    rows = [("as it is", _number(values, REFERENCE, "all", layout.headline), "")]
    for pair in sorted(pairs, key=lambda pair: -pair["difference"]):
        part = pair["other"].removeprefix(f"{REFERENCE} ")
        rows.append((part, _number(values, pair["other"], "all", layout.headline), _gain(pair)))
    head = ("the default", f"mean {layout.label}", "the default is better by (95 % interval)")
    return Table("The default with a part left out or added", head, tuple(rows))


def spread(record: Mapping[str, Any]) -> str:
    """A record as `value (low to high)`."""
    return f"{record['value']:.3f} ({record['low']:.3f} to {record['high']:.3f})"


def _number(values: Values, method: str, fold: str, measure: str) -> str:
    record = values.get((method, fold, measure))
    return "–" if record is None else f"{record['value']:.3f}"


def _cell(values: Values, method: str, measure: str) -> str:
    """A mean over folds as `value ± half of its interval`."""
    record = values.get((method, "all", measure))
    if record is None:
        return "–"
    half = record["high"] - record["value"]
    return f"{record['value']:.3f}" + (f" ± {half:.3f}" if half > 0 else "")


def _gain(pair: Mapping[str, Any]) -> str:
    return f"{pair['difference']:+.4f} ({pair['low']:+.4f} to {pair['high']:+.4f})"
