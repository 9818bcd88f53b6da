"""One job at a time: its result, its progress, stopping it, and its errors in plain words."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel

from histoscribe.errors import SlideError
from histoscribe.progress import Progress
from histoscribe.widgets.jobs import loading
from histoscribe.widgets.jobs.tasks import TaskBar, quietly, remaining

pytestmark = pytest.mark.viewer


@pytest.fixture
def told() -> Iterator[list[Notification]]:
    """What the user has been told."""
    heard: list[Notification] = []
    notification_manager.notification_ready.connect(heard.append)
    yield heard
    notification_manager.notification_ready.disconnect(heard.append)


@pytest.fixture
def tasks(qtbot: Any) -> TaskBar:
    bar = TaskBar()
    qtbot.addWidget(bar)
    return bar


def forever(progress: Progress) -> None:
    for done in range(10_000):
        progress.report("waiting", done, 10_000)
        time.sleep(0.002)


def ended(qtbot: Any, tasks: TaskBar) -> Callable[[], None]:
    qtbot.waitUntil(lambda: not tasks.running, timeout=5000)


def test_the_job_runs_elsewhere_and_its_result_is_applied_here(qtbot: Any, tasks: TaskBar) -> None:
    threads: list[threading.Thread] = []
    results: list[int] = []

    def apply(result: int) -> None:
        threads.append(threading.current_thread())
        results.append(result)

    def job(progress: Progress) -> int:
        threads.append(threading.current_thread())
        progress.report("counting", 1, 2)
        return 42

    assert tasks.run(job, apply)
    ended(qtbot, tasks)
    assert results == [42]
    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()


def test_a_result_is_applied_in_steps_and_the_window_answers_in_between(
    qtbot: Any, tasks: TaskBar, told: list[Notification]
) -> None:
    happened: list[str] = []
    timer = QTimer()
    timer.timeout.connect(lambda: happened.append("tick"))
    timer.start(1)

    def apply(result: int) -> Iterator[None]:
        for step in range(result):
            happened.append(f"step {step}")
            assert tasks.running
            yield
        raise ZeroDivisionError("oh")

    tasks.run(lambda _: 3, apply)
    ended(qtbot, tasks)
    timer.stop()
    first, last = happened.index("step 0"), happened.index("step 2")
    assert [one for one in happened if one != "tick"] == ["step 0", "step 1", "step 2"]
    assert happened[first:last].count("tick") >= 2
    assert [note.message.count("ZeroDivisionError") for note in told] == [1]
    assert tasks.run(lambda _: 1, lambda _: None)
    ended(qtbot, tasks)


def test_what_a_result_holds_is_let_go_when_the_panel_is_closed_between_two_steps(qtbot: Any) -> None:
    let_go: list[bool] = []

    def apply(_: object) -> Iterator[None]:
        try:
            while True:
                yield
        finally:
            let_go.append(True)

    bar = TaskBar()
    bar.run(lambda _: 1, apply)
    qtbot.wait(100)
    assert let_go == []
    bar.deleteLater()
    qtbot.waitUntil(lambda: let_go == [True], timeout=5000)


def test_progress_shows_message_and_count(qtbot: Any, tasks: TaskBar) -> None:
    tasks.run(forever, lambda _: None)
    qtbot.waitUntil(lambda: tasks.bar.value() > 3, timeout=5000)
    assert tasks.bar.format().startswith("waiting")
    assert tasks.bar.maximum() == 10_000
    tasks.cancel()
    ended(qtbot, tasks)


def test_a_second_start_is_refused(qtbot: Any, tasks: TaskBar) -> None:
    assert tasks.run(forever, lambda _: None)
    assert not tasks.run(lambda _: 1, lambda _: None)
    tasks.cancel()
    ended(qtbot, tasks)
    assert tasks.run(lambda _: 1, lambda _: None)
    ended(qtbot, tasks)


def test_cancel_stops_soon_and_applies_nothing(qtbot: Any, tasks: TaskBar, told: list[Notification]) -> None:
    applied: list[Any] = []
    tasks.run(forever, applied.append)
    qtbot.waitUntil(lambda: tasks.bar.value() > 0, timeout=5000)
    tasks.cancel_button.click()
    ended(qtbot, tasks)
    assert applied == []
    assert [str(note.severity) for note in told] == ["info"]
    assert "stopped on request" in told[0].message


def test_a_job_that_does_not_hear_is_let_go(qtbot: Any, tasks: TaskBar, told: list[Notification]) -> None:
    """As while a library loads: the panel is free soon, and what comes late is applied nowhere."""
    stuck = threading.Event()
    applied: list[str] = []

    def deaf(progress: Progress) -> str:
        progress.report("loading")
        stuck.wait(30)
        return "late"

    tasks.run(deaf, applied.append)
    qtbot.waitUntil(lambda: "loading" in tasks.bar.text(), timeout=5000)
    tasks.cancel_button.click()
    ended(qtbot, tasks)
    assert loading._PROCESS.jobs == 1
    assert tasks.run(lambda _: "next", applied.append)
    ended(qtbot, tasks)
    stuck.set()
    qtbot.waitUntil(lambda: loading._PROCESS.jobs == 0, timeout=5000)
    assert applied == ["next"]
    assert [str(note.severity) for note in told] == ["info"]


def test_the_users_error_is_told_with_its_remedy(
    qtbot: Any, tasks: TaskBar, told: list[Notification]
) -> None:
    def job(_: Progress) -> None:
        raise SlideError("the file ends too early", where="a.svs", remedy="copy it again")

    tasks.run(job, lambda _: None)
    ended(qtbot, tasks)
    assert [note.message for note in told] == ["a.svs: the file ends too early; copy it again."]
    assert str(told[0].severity) == "error"


@pytest.mark.parametrize("at", ["job", "apply"])
def test_our_own_fault_is_told_as_ours(qtbot: Any, tasks: TaskBar, told: list[Notification], at: str) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("oh")

    tasks.run(fail if at == "job" else lambda _: 1, fail)
    ended(qtbot, tasks)
    assert len(told) == 1
    assert told[0].message.startswith("This is a fault of Histoscribe, not yours: ZeroDivisionError")


def test_a_job_and_its_panel_leave_the_turns_of_threads_as_they_were(qtbot: Any, tasks: TaskBar) -> None:
    before, during = sys.getswitchinterval(), []
    tasks.run(lambda _: during.append(sys.getswitchinterval()), lambda _: None)
    ended(qtbot, tasks)
    assert during[0] < before == sys.getswitchinterval()
    bar = TaskBar()
    bar.run(forever, lambda _: None)
    assert sys.getswitchinterval() < before
    bar.deleteLater()
    qtbot.waitUntil(lambda: sys.getswitchinterval() == before, timeout=5000)


def test_closing_the_panel_stops_the_job(qtbot: Any, told: list[Notification]) -> None:
    stopped = threading.Event()

    def job(progress: Progress) -> None:
        try:
            forever(progress)
        finally:
            stopped.set()

    bar = TaskBar()
    bar.run(job, lambda _: None)
    qtbot.wait(100)
    bar.deleteLater()
    qtbot.waitUntil(stopped.is_set, timeout=5000)
    qtbot.wait(50)
    assert told == []


@pytest.mark.parametrize(
    ("done", "left", "seconds", "words"),
    [
        (10, 30, 20.0, ", about 60 s left"),
        (1, 1, 0.5, ""),
        (5, 0, 20.0, ""),
        (0, 9, 20.0, ""),
        (10, 100, 60.0, ", about 10 min left"),
        (1, 400, 60.0, ", about 6.7 h left"),
    ],
)
def test_the_rest_is_estimated_from_the_pace(done: int, left: int, seconds: float, words: str) -> None:
    assert remaining(done, left, seconds) == words


def test_what_ends_after_its_panel_was_closed_is_dropped(
    qtbot: Any, told: list[Notification], capfd: pytest.CaptureFixture[str]
) -> None:
    """The panel's parts are gone: neither the result nor an error may reach them."""
    panels, ended, shown = [QLabel(), QLabel()], threading.Event(), []

    def fails() -> None:
        ended.wait(10)
        raise SlideError("gone")

    quietly(panels[0], lambda: ended.wait(10), lambda _: shown.append(panels[0].text()))
    quietly(panels[1], fails, shown.append)
    for panel in panels:
        panel.deleteLater()
    qtbot.wait(50)
    ended.set()
    qtbot.wait(300)
    assert (shown, told) == ([], [])
    assert "Traceback" not in capfd.readouterr().err
    kept = QLabel()
    qtbot.addWidget(kept)
    quietly(kept, lambda: "counted", kept.setText)
    qtbot.waitUntil(lambda: kept.text() == "counted")


ENDED = """
import sys, time
from qtpy.QtWidgets import QApplication, QLabel
from histoscribe.widgets.jobs.tasks import quietly
application, panel = QApplication([]), QLabel()
quietly(panel, lambda: time.sleep(1), lambda _: None)
application.processEvents()
sys.exit()
"""


def test_a_process_that_ends_before_its_jobs_says_nothing() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, check=True)
    assert "Traceback" not in ended.stderr
