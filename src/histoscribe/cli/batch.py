"""Many targets in one run: what fails is reported, the rest goes on, and a table tells of each."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import typer

from histoscribe.cli.console import show_rows, words
from histoscribe.cli.running import DEBUG, MENDABLE, OUR_FAULT, mendable
from histoscribe.errors import Cancelled


@dataclass(frozen=True)
class Outcome:
    """What became of one target."""

    target: str
    """As it was named."""
    outcome: Literal["done", "failed", "not started"]
    """`done`, `failed`, or `not started` where the run was stopped before."""
    problem: str = ""
    remedy: str = ""
    """`problem` and `remedy`: what went wrong, and what to do about it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the work said of it."""
    code: int = 0
    """The exit code that this outcome asks for."""


def run_batch(targets: Sequence[tuple[str, Callable[[], dict[str, Any]]]]) -> list[Outcome]:
    """Do the work of each target; a failure ends that target only.

    Raises `Cancelled` if the user stopped the run; the table of what was done is printed before.
    """
    outcomes: list[Outcome] = []
    for number, (name, work) in enumerate(targets):
        try:
            outcomes.append(Outcome(name, "done", facts=work()))
        except (Cancelled, KeyboardInterrupt):
            left = [Outcome(other, "not started") for other, _ in targets[number:]]
            print_outcomes([*outcomes, *left], columns=())
            raise
        except Exception as error:
            if os.environ.get(DEBUG):
                words.print(traceback.format_exc(), markup=False)
            known = mendable(error)
            problem = known.problem if known else f"a fault of ours ({type(error).__name__}: {error})"
            words.print(
                str(known) if known and known.where else f"{name}: {problem}", markup=False, style="red"
            )
            code = MENDABLE if known else OUR_FAULT
            remedy = (known.remedy if known else None) or ""
            outcomes.append(Outcome(name, "failed", problem, remedy, code=code))
    return outcomes


def print_outcomes(outcomes: Iterable[Outcome], columns: Sequence[str]) -> None:
    """Print the table of what happened to every target."""
    rows = [
        (Path(one.target).name, one.outcome, *map(one.facts.get, columns), one.problem or None)
        for one in outcomes
    ]
    show_rows(("target", "outcome", *(column.replace("_", " ") for column in columns), "problem"), rows)


def leave(outcomes: Iterable[Outcome]) -> None:
    """End the verb with the exit code of its outcomes: 1 if one was our fault, else 2 if one failed."""
    codes = {entry.code for entry in outcomes} - {0}
    if codes:
        raise typer.Exit(min(codes))
