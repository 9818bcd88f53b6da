"""What the shell prints: words and a bar on standard error, results on standard output."""

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from histoscribe.progress import Step

words = Console(stderr=True, highlight=False, soft_wrap=True)
results = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Call:
    """One run of a verb."""

    typed: Sequence[str] = ("histoscribe",)
    """The command as it was typed."""
    as_json: bool = False
    """Whether one JSON object is wanted."""
    start: float = field(default_factory=time.monotonic)

    @property
    def line(self) -> str:
        """The command as it was typed, quoted for a shell."""
        return shlex.join(self.typed)

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return round(time.monotonic() - self.start, 1)


CALL: ContextVar[Call | None] = ContextVar("call", default=None)


def call() -> Call:
    """The verb that is being run."""
    return CALL.get() or Call()


@contextlib.contextmanager
def bar() -> Iterator[Callable[[Step], None]]:
    """Show a running job on standard error; yield the listener for its `Progress`.

    On a screen it is one moving bar; in a log file one line per new message.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    current = ""
    if not words.is_terminal:

        def tell(step: Step) -> None:
            nonlocal current
            if step.message != current:
                current = step.message
                words.print(current, markup=False)

        yield tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=words, transient=True) as shown:
        task = shown.add_task("", total=None)

        def listen(step: Step) -> None:
            nonlocal current
            if step.message != current:
                current = step.message
                shown.reset(task, total=step.total or None, description=current)
            shown.update(task, completed=step.done, total=step.total or None)

        yield listen


def emit(document: Mapping[str, object]) -> None:
    """Write one JSON object to standard output; what is not a number becomes null."""
    from histoscribe.files import as_json

    text = as_json(document)
    if "utf" not in (getattr(sys.stdout, "encoding", None) or "utf").lower():
        text = json.dumps(json.loads(text), indent=2) + "\n"
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(
    title: str,
    facts: Mapping[str, object],
    *tables: tuple[Sequence[str], Iterable[Sequence[object]]],
    hint: str = "",
    **more: object,
) -> None:
    """Say what a verb has done: one JSON object, or tables and what to do next.

    `more` and the command line stand in the JSON object alone; `tables`: header and rows of each further one;
    `hint`: a line on standard error under the first table.
    """
    if call().as_json:
        emit({**facts, "command": call().line, **more})
        return
    show(title, facts.items())
    if hint:
        words.print(hint, markup=False)
    for header, rows in tables:
        show_rows(header, rows)


def show(title: str, rows: Iterable[tuple[str, object]]) -> None:
    """Print a two-column table of facts to standard output."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value not in (None, "", [], ()):
            table.add_row(name, _text(value))
    results.print(table)


def show_rows(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table with one line a thing to standard output."""
    table = Table(*header, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    results.print()
    results.print(table)


def caution(warnings: Iterable[str]) -> None:
    """Print everything doubtful to standard error."""
    for warning in dict.fromkeys(warnings):
        words.print(f"Mind: {warning}", markup=False, style="yellow")


def _text(value: object) -> str:
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return escape(", ".join(str(entry) for entry in value))
    return escape(str(value))
