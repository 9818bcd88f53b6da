"""How a verb runs: what becomes of an error, and how Ctrl-C stops it."""

import contextlib
import errno
import functools
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import NoReturn, ParamSpec, TypeVar

import typer

from histoscribe.cli.console import CALL, bar, call, words
from histoscribe.errors import Cancelled, HistoscribeError, StorageError
from histoscribe.files import FULL, REMEDIES
from histoscribe.progress import Progress

P = ParamSpec("P")
R = TypeVar("R")

DEBUG = "HISTOSCRIBE_DEBUG"
OUR_FAULT, MENDABLE = 1, 2
_STORAGE = {number: REMEDIES[number] for number in (*FULL, errno.EROFS)} | {
    errno.EACCES: "check that you may read and write there",
    errno.EPERM: "check that you may read and write there",
    errno.EMFILE: "allow more open files (ulimit -n)",
}


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Make `function` end in one sentence and an exit code where it fails, never in a traceback.

    Exit code 2 is for what the user can mend, 1 for a fault of ours. With `HISTOSCRIBE_DEBUG=1` the
    traceback is printed as well.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        debug = bool(os.environ.get(DEBUG))
        CALL.set(replace(call(), as_json=bool(kwargs.get("as_json"))))
        with contextlib.nullcontext() if debug else _quiet():
            try:
                return function(*args, **kwargs)
            except typer.Exit:
                raise
            except BrokenPipeError:
                nobody_reads()
            except (Exception, KeyboardInterrupt) as error:
                if debug:
                    words.print(traceback.format_exc(), markup=False)
                known = mendable(error)
                if known is not None:
                    words.print(f"histoscribe: {known}", markup=False, style="red")
                    raise typer.Exit(MENDABLE) from error
                fault = f"histoscribe: this is a fault of ours ({type(error).__name__}: {error})."
                words.print(fault, markup=False, style="red")
                if not debug:
                    words.print(f"Run it again with {DEBUG}=1 for the traceback, and report it.")
                raise typer.Exit(OUR_FAULT) from error

    return run


def nobody_reads() -> NoReturn:
    """End well where whoever read standard output, such as `head`, has seen enough.

    What is still to be written goes nowhere, so that nothing fails at the end of the process.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(0)


@contextlib.contextmanager
def job() -> Iterator[Progress]:
    """Run a long job: a bar on standard error, standard output kept clean, Ctrl-C cancels.

    The first Ctrl-C (or SIGTERM) asks the job to stop at its next report, the second stops at once. Raises
    `Cancelled` if the job was stopped.
    """
    with bar() as listener, contextlib.redirect_stdout(sys.stderr):
        progress = Progress(listener)
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            if stopping.is_set():
                raise KeyboardInterrupt
            stopping.set()
            progress.cancel()
            words.print("Stopping at the next step; press Ctrl-C again to stop at once.")

        with _on_signals(stop):
            try:
                yield progress
            except (KeyboardInterrupt, SystemExit) as error:
                if stopping.is_set():
                    raise Cancelled() from error
                raise


@contextlib.contextmanager
def _on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def mendable(error: BaseException) -> HistoscribeError | None:
    """The sentence for the user if this is something to mend, None if it is our fault."""
    match error:
        case HistoscribeError():
            return error
        case KeyboardInterrupt():
            return Cancelled()
        case MemoryError():
            remedy = "close other programs, or take a smaller region or a coarser grid"
            return HistoscribeError("there is not enough memory", remedy=remedy)
        case OSError() if error.errno in _STORAGE:
            reason = (error.strerror or str(error)).lower()
            problem = f"cannot read or write ({reason})"
            return StorageError(problem, where=error.filename, remedy=_STORAGE[error.errno])
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence other libraries' warnings and logs meanwhile, so that the words on screen are ours."""
    names = ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "tifffile", "distributed")
    levels = {log: log.level for log in map(logging.getLogger, names)}
    for log in levels:
        log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for log, level in levels.items():
            log.setLevel(level)
