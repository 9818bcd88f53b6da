"""The benchmark as Markdown tables, ready to stand in documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from histoscribe.benchmark.predictor.run import CONTROL, REFERENCE, VARIED
from histoscribe.files import replacing

_MEASURES = {
    "pearson_top50": ("top 50", 3),
    "pearson_best50": ("best 50", 3),
    "spearman": ("Spearman", 3),
    "mse": ("MSE", 3),
    "mae": ("MAE", 3),
    "ssim": ("SSIM", 3),
    "svg_pearson": ("r of spatial genes", 3),
    "svg_recovered": ("recovered", 2),
}


def write_tables(outcome: Mapping[str, Any], path: str | PathLike[str]) -> None:
    """Write the scores, the paired differences, the coverage and the ablation, atomically.

    Parameters
    ----------
    outcome : mapping
        What `run_benchmark` returned.
    path : path

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    tested = outcome["settings"]["tested"]
    values = {(r["method"], r["fold"], r["measure"]): r for r in outcome["records"]}
    names = dict.fromkeys(r["method"] for r in outcome["records"])
    ranked = sorted(names, key=lambda name: -values[name, "all", "pearson"]["value"])
    plain = [name for name in ranked if name != CONTROL and not name.startswith(VARIED)]
    pairs = {pair["other"]: pair for pair in outcome["paired"]}
    parts = [_scores(values, plain, tested)]
    if any(name in pairs for name in plain):
        parts.append(_differences([pairs[name] for name in plain if name in pairs]))
    if (REFERENCE, "all", "coverage") in values:
        parts.append(_held(values, tested))
    if varied := [name for name in ranked if name.startswith(VARIED) and name in pairs]:
        parts.append(_ablation(values, [pairs[name] for name in varied]))
    with replacing(path) as fresh:
        fresh.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


Values = Mapping[tuple[str, str, str], Mapping[str, Any]]


def _scores(values: Values, methods: Sequence[str], tested: Sequence[str]) -> str:
    heads = [label for label, _ in _MEASURES.values()]
    rows = [["method", *tested, "mean r (95 % interval over sections)", *heads]]
    for name in methods:
        mean = values[name, "all", "pearson"]
        rows.append(
            [
                f"**{name}**" if name == REFERENCE else name,
                *(f"{values[name, section, 'pearson']['value']:.3f}" for section in tested),
                f"{mean['value']:.3f} ({mean['low']:.3f} to {mean['high']:.3f})",
                *(
                    f"{values[name, 'all', measure]['value']:.{digits}f}"
                    if (name, "all", measure) in values
                    else "–"
                    for measure, (_, digits) in _MEASURES.items()
                ),
            ]
        )
    return _table(rows)


def _differences(pairs: Sequence[Mapping[str, Any]]) -> str:
    rows = [["the default's mean r against", "difference (95 % interval)", "p over sections"]]
    rows += [[pair["other"], _interval(pair), f"{pair['p_sections']:.3f}"] for pair in pairs]
    return _table(rows)


def _held(values: Values, tested: Sequence[str]) -> str:
    rows = [["", *tested, "mean"]]
    for label, method, measure in (
        ("coverage of the 90 % intervals", REFERENCE, "coverage"),
        ("mean r with spots permuted", CONTROL, "pearson"),
    ):
        rows.append([label, *(f"{values[method, fold, measure]['value']:.3f}" for fold in (*tested, "all"))])
    return _table(rows)


def _ablation(values: Values, pairs: Sequence[Mapping[str, Any]]) -> str:
    rows = [["the default", "mean r", "the default is better by (95 % interval)"]]
    rows.append(["as it is", f"{values[REFERENCE, 'all', 'pearson']['value']:.3f}", ""])
    for pair in sorted(pairs, key=lambda pair: -pair["difference"]):
        r = values[pair["other"], "all", "pearson"]["value"]
        rows.append([pair["other"].removeprefix(VARIED), f"{r:.3f}", _interval(pair)])
    return _table(rows)


def _interval(pair: Mapping[str, Any]) -> str:
    return f"{pair['difference']:+.4f} ({pair['low']:+.4f} to {pair['high']:+.4f})"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
