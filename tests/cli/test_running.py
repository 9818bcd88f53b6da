"""How a verb ends: exit codes, sentences, and Ctrl-C."""

from __future__ import annotations

import errno
import os
import signal
import sys

import pytest
import typer

from histoscribe.cli.running import DEBUG, job, verb
from histoscribe.errors import Cancelled, SlideError


def failing_with(error: BaseException):
    def fail() -> None:
        raise error

    return verb(fail)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SlideError("no pixels", where="a.tif", remedy="copy it again"), "a.tif: no pixels; copy it again."),
        (Cancelled(), "stopped on request"),
        (KeyboardInterrupt(), "stopped on request"),
        (MemoryError(), "not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "check that you may read and write"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_and_two(error, sentence, capsys, monkeypatch):
    monkeypatch.delenv(DEBUG, raising=False)
    with pytest.raises(typer.Exit) as ended:
        failing_with(error)()
    shown = capsys.readouterr()
    assert ended.value.exit_code == 2
    assert sentence in shown.err
    assert shown.err.strip().endswith(".")
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_our_fault_is_one_and_says_how_to_get_the_traceback(capsys, monkeypatch):
    monkeypatch.delenv(DEBUG, raising=False)
    with pytest.raises(typer.Exit) as ended:
        failing_with(ZeroDivisionError("by zero"))()
    shown = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert "ZeroDivisionError: by zero" in shown.err
    assert f"{DEBUG}=1" in shown.err
    assert "Traceback" not in shown.err


def test_the_traceback_comes_when_asked_for(capsys, monkeypatch):
    monkeypatch.setenv(DEBUG, "1")
    with pytest.raises(typer.Exit):
        failing_with(ZeroDivisionError("by zero"))()
    assert "Traceback" in capsys.readouterr().err


def test_a_verb_keeps_what_it_returns_and_its_name():
    def add(first: int, second: int) -> int:
        """Add."""
        return first + second

    wrapped = verb(add)
    assert wrapped(1, second=2) == 3
    assert wrapped.__doc__ == "Add."


def test_ctrl_c_stops_a_job_at_its_next_report(capsys):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Cancelled), job() as progress:
        progress.report("first")
        os.kill(os.getpid(), signal.SIGINT)
        progress.report("second")
    assert signal.getsignal(signal.SIGINT) is before
    shown = capsys.readouterr().err
    assert "first" in shown
    assert "Stopping at the next step" in shown
    assert "second" not in shown


def test_a_second_ctrl_c_stops_at_once():
    reached = False
    with pytest.raises(Cancelled), job():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        reached = True
    assert not reached


def test_what_a_job_prints_does_not_reach_standard_output(capsys):
    with job() as progress:
        sys.stdout.write("a library talks\n")
        progress.report("working", 1, 2)
        progress.report("working", 2, 2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "a library talks" in shown.err
    assert shown.err.count("working") == 1


def test_the_number_of_threads_that_is_asked_for_holds_for_numba_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from histoscribe.cli import main

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("OMP_WAIT_POLICY", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("histoscribe.cli.app.app", lambda: None)
    main()
    assert os.environ["NUMBA_NUM_THREADS"] == "1"
