"""Many targets in one run: what fails is reported, the rest goes on, and a table tells of each.

A folder of results holds a ledger, so that what is done is not done again; at the end a table
(`targets.csv`) and a page (`index.html`) tell of every target.
"""

from __future__ import annotations

import hashlib
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import typer

from histoscribe.cli.console import call, emit, show_rows, words
from histoscribe.cli.running import DEBUG, MENDABLE, OUR_FAULT, mendable
from histoscribe.errors import Cancelled
from histoscribe.features.tasks import cluster_gone
from histoscribe.files import FULL, add_line, as_json, plain, read_lines, replacing
from histoscribe.verdict import HEADLINES, read_verdict

LEDGER, TABLE, PAGE = "done.jsonl", "targets.csv", "index.html"


@dataclass(frozen=True)
class Outcome:
    """What became of one target."""

    target: str
    """As it was named."""
    outcome: Literal["done", "done before", "failed", "not started"]
    """`done`, in this run or `done before`, `failed`, or `not started` where the run was stopped before."""
    problem: str = ""
    remedy: str = ""
    """`problem` and `remedy`: what went wrong, and what to do about it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the work said of it."""
    code: int = 0
    """The exit code that this outcome asks for."""


@dataclass(frozen=True)
class FolderLedger:
    """What is done in a folder of results, a line each; a line that was torn by a stop is as none."""

    folder: Path
    depends: Mapping[str, Any]
    """On what every result depends, beside its target."""
    parts: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """Where each target lies, if its name is no path."""

    def key(self, target: str) -> str:
        """Of a target's name and the content that it has now."""
        from histoscribe.slide.identity import content_hash

        places = self.parts.get(target, [Path(target)])
        content = [content_hash(place) for place in places if place.exists()]
        depends = {**self.depends, "target": [Path(target).name, content]}
        return hashlib.sha256(as_json(depends).encode()).hexdigest()

    def done(self) -> dict[str, dict[str, Any]]:
        """What was said of each result that still stands as it was written, by its key."""
        found: dict[str, dict[str, Any]] = {}
        for facts in read_lines(self.folder / LEDGER):
            with suppress(TypeError, KeyError, OSError):
                if Path(facts["written"]).stat().st_size == facts["bytes"]:
                    found[facts["key"]] = facts
        return found

    def add(self, key: str, facts: dict[str, Any]) -> None:
        """Note that a result is written."""
        size = Path(facts["written"]).stat().st_size
        add_line(self.folder / LEDGER, plain({**facts, "key": key, "bytes": size}))


def run_batch(
    targets: Sequence[tuple[str, Callable[[], dict[str, Any]]]], ledger: FolderLedger | None = None
) -> list[Outcome]:
    """Do the work of each target that is not done; a failure ends that target only.

    Where the disk is full or the cluster is gone, the rest is not started. With a ledger, table and page are
    written. Raises `Cancelled` if the user stopped the run; the table of what was done is printed before.
    """
    outcomes: list[Outcome] = []
    done = {} if ledger is None else ledger.done()
    for number, (name, work) in enumerate(targets):
        try:
            key = "" if ledger is None else ledger.key(name)
            if key in done:
                outcomes.append(Outcome(name, "done before", facts=done[key]))
                continue
            outcomes.append(Outcome(name, "done", facts=work()))
            if ledger is not None:
                ledger.add(key, outcomes[-1].facts)
        except (Cancelled, KeyboardInterrupt):
            outcomes += [Outcome(other, "not started") for other, _ in targets[number:]]
            print_outcomes(outcomes, columns=())
            if ledger is not None:
                tell(outcomes, ledger.folder)
            raise
        except Exception as error:
            if os.environ.get(DEBUG):
                words.print(traceback.format_exc(), markup=False)
            known = mendable(error)
            problem = known.problem if known else f"a fault of ours ({type(error).__name__}: {error})"
            told = str(known) if known and known.where else f"{name}: {problem}"
            words.print(told, markup=False, style="red")
            code = MENDABLE if known else OUR_FAULT
            remedy = (known.remedy if known else None) or ""
            outcomes.append(Outcome(name, "failed", problem, remedy, code=code))
            full = any(getattr(one, "errno", None) in FULL for one in (error, error.__cause__))
            if full or cluster_gone():
                outcomes += [Outcome(other, "not started") for other, _ in targets[number + 1 :]]
                break
    if ledger is not None:
        tell(outcomes, ledger.folder)
    return outcomes


def tell(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write the table and the page of all targets."""
    import pandas as pd

    from histoscribe.evaluation.report import render_page

    rows = [
        {"target": one.target, "outcome": one.outcome, "problem": one.problem, "remedy": one.remedy}
        | {name: value for name, value in one.facts.items() if isinstance(value, str | int | float | Path)}
        | {f"verdict_{name}": value for name, value in _verdict(one).items()}
        for one in outcomes
    ]
    with replacing(folder / TABLE) as fresh:
        table = pd.DataFrame(rows).drop(columns=["key", "bytes"], errors="ignore")
        table.convert_dtypes().to_csv(fresh, index=False)  # counts stay whole beside rows without any
    shown = [(one, read_verdict(_verdict(one)), Path(one.facts.get("written", "")).name) for one in outcomes]
    counts = Counter(one.outcome for one in outcomes)
    template = Path(__file__).parent / "batch.html.j2"
    render_page(template, folder / PAGE, shown=shown, counts=counts, table=TABLE)


def _verdict(one: Outcome) -> dict[str, Any]:
    found = one.facts.get("verdict")
    return dict(found) if isinstance(found, Mapping) else {}


def print_outcomes(outcomes: Iterable[Outcome], columns: Sequence[str]) -> None:
    """Print the table of what happened to every target."""
    rows = [
        (Path(one.target).name, one.outcome, *(_shown(one, name) for name in columns), one.problem or None)
        for one in outcomes
    ]
    show_rows(("target", "outcome", *(column.replace("_", " ") for column in columns), "problem"), rows)


def _shown(one: Outcome, name: str) -> Any:
    """A fact in a cell: of a verdict its headline."""
    return HEADLINES.get(_verdict(one).get("kind", ""), "") if name == "verdict" else one.facts.get(name)


def answer_all(outcomes: Sequence[Outcome], columns: Sequence[str], **settings: object) -> None:
    """Say what became of every target, as JSON with these settings or as a table, and leave."""
    if call().as_json:
        emit({"settings": {**settings, "command": call().line}, "records": outcomes})
    else:
        print_outcomes(outcomes, columns)
    leave(outcomes)


def leave(outcomes: Iterable[Outcome]) -> None:
    """End the verb with the exit code of its outcomes: 1 if one was our fault, else 2 if one failed."""
    codes = {entry.code for entry in outcomes} - {0}
    if codes:
        raise typer.Exit(min(codes))
