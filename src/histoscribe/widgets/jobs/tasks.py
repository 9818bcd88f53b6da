"""The one place that wraps workers: a job off the GUI thread, its progress, its end, its errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from napari.utils.notifications import show_error, show_info
from qtpy.compat import isalive
from qtpy.QtCore import QEventLoop, QObject, QThread, QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import FunctionWorker, create_worker

from histoscribe.errors import Cancelled, HistoscribeError
from histoscribe.progress import Progress, Step
from histoscribe.widgets.jobs.loading import lent

R = TypeVar("R")
_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_STEPS = 0.05
_BETWEEN_STEPS_MS = 20
_PATIENCE_MS = 800  # after which a job that was stopped is no longer waited for


class _Relay(QObject):
    """Carries steps from the job's thread to the GUI thread; outlives the panel that watches."""

    stepped = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._last = 0.0

    def listen(self, step: Step) -> None:
        now = time.monotonic()
        finished = step.total and step.done >= step.total
        if finished or now - self._last >= _SECONDS_BETWEEN_STEPS:
            self._last = now
            self.stepped.emit(step)


@dataclass(frozen=True)
class _Pace:
    """Where and when a stage of a job was first heard of."""

    message: str
    done: int
    since: float


def remaining(done: int, left: int, seconds: float) -> str:
    """How long the rest of a stage may take at its pace so far; empty in the first second and at the end."""
    if done <= 0 or left <= 0 or seconds < 1:
        return ""
    rest = left * seconds / done
    if rest < 90:
        return f", about {max(1, round(rest))} s left"
    return f", about {round(rest / 60)} min left" if rest < 5400 else f", about {rest / 3600:.1f} h left"


class _Worker(FunctionWorker[Any]):
    """A worker whose application may have ended before it."""

    def run(self) -> None:
        """Run the job; whoever was to hear of its end may be gone."""
        with suppress(RuntimeError):  # the job's own errors are signals
            super().run()


class TaskBar(QWidget):
    """A progress bar with a cancel button that runs one job at a time; `running_changed` tells of it."""

    running_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar, 1)
        layout.addWidget(self.cancel_button)
        self._worker: FunctionWorker[Any] | None = None
        self._progress: Progress | None = None
        self._relay: _Relay | None = None
        self._apply: Callable[..., Generator[None] | None] | None = None
        self._pace: _Pace | None = None
        self._steps: Generator[None] | None = None
        self._loan = ExitStack()
        self.destroyed.connect(self._loan.close)
        self._turn = QTimer(self, singleShot=True, interval=_BETWEEN_STEPS_MS)
        self._turn.timeout.connect(self._on_finished)
        self._patience = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._patience.timeout.connect(self._let_go)
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the panel, and with it the canvas, keeps its size
        self.setSizePolicy(policy)
        self.setVisible(False)

    @property
    def running(self) -> bool:
        """Whether a job is under way."""
        return self._worker is not None

    def run(self, job: Callable[[Progress], R], apply: Callable[[R], Generator[None] | None]) -> bool:
        """Run `job` on another thread, then `apply` its result on this one; False while another is under way.

        An `apply` that takes the window long yields in between; the job counts as running until the last
        step.
        """
        if self.running:
            return False
        self._relay = _Relay()
        self._relay.stepped.connect(self._on_step)
        self._progress = Progress(self._relay.listen)
        self._apply = apply
        self._loan.enter_context(lent())
        self.destroyed.connect(self._progress.cancel)
        self._worker = create_worker(job, self._progress, _worker_class=_Worker, _ignore_errors=True)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)
        self._on_step(Step("starting"))
        self.cancel_button.setEnabled(True)
        self.setVisible(True)
        self.running_changed.emit(True)
        self._worker.start()
        return True

    def cancel(self) -> None:
        """Ask the job to stop at its next report; one that does not soon get there ends unheard."""
        if self._progress is not None:
            self._progress.cancel()
            self.cancel_button.setEnabled(False)
            self.bar.setFormat("stopping")
            self._patience.start()

    def _let_go(self) -> None:
        """Free the panel of a job that is busy where nothing reports, such as the loading of a library."""
        worker = self._worker
        if worker is None or self._steps is not None:
            return
        worker.returned.disconnect(self._on_returned)
        worker.errored.disconnect(self._on_errored)
        worker.finished.disconnect(self._on_finished)
        loan = self._loan.pop_all()
        worker.finished.connect(lambda *_: loan.close())
        tell(Cancelled())
        self._on_finished()

    def _on_step(self, step: Step) -> None:
        if self._pace is None or self._pace.message != step.message or step.done < self._pace.done:
            self._pace = _Pace(step.message, step.done, time.monotonic())
        self.bar.setRange(0, step.total or 1)  # a bar without an end shows no words
        self.bar.setValue(step.done)
        done, seconds = step.done - self._pace.done, time.monotonic() - self._pace.since
        left = remaining(done, step.total - step.done, seconds)
        self.bar.setFormat(f"{step.message} (%v of %m){left}" if step.total else step.message)
        self.bar.setToolTip(self.bar.text())

    def _on_returned(self, result: object) -> None:
        assert self._apply is not None
        try:
            steps = self._apply(result)
        except Exception as error:
            tell(error)
            return
        if isinstance(steps, Generator):
            self._steps = steps
            self.destroyed.connect(steps.close)

    def _on_errored(self, error: Exception) -> None:
        tell(error)

    def _on_finished(self, *_: object) -> None:
        if self._has_stepped():
            self._turn.start()
            return
        self._worker = self._progress = self._relay = self._apply = self._pace = None
        self._patience.stop()
        self._loan.close()
        self.setVisible(False)
        self.running_changed.emit(False)

    def _has_stepped(self) -> bool:
        """Take the next step of applying a result; False where there is none."""
        try:
            if self._steps is not None:
                next(self._steps)
                return True
        except StopIteration:
            pass
        except Exception as error:
            tell(error)
        self._steps = None
        return False


def quietly(owner: QObject, job: Callable[[], R], apply: Callable[[R], None]) -> None:
    """Run a short job on another thread without a progress bar; errors are told.

    What comes after its `owner`, such as the panel that asked, was closed, is dropped.
    """
    worker = create_worker(job, _worker_class=_Worker, _ignore_errors=True)

    def hear(act: Callable[[Any], None], value: Any) -> None:
        if isalive(owner):  # type: ignore[no-untyped-call]
            act(value)

    worker.returned.connect(partial(hear, apply))
    worker.errored.connect(partial(hear, tell))
    worker.start()


def tell(error: Exception) -> None:
    """Show an error as a notification: the user's in plain words, ours as ours with its trace in the log."""
    if isinstance(error, Cancelled):
        show_info(str(error))
    elif isinstance(error, HistoscribeError):
        show_error(str(error))
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        show_error(
            "The memory is not enough for this; nothing was lost. Choose a smaller region or a wider grid, "
            "another device, or close other programs, and start it again."
        )
    else:
        _log.error("a fault of Histoscribe", exc_info=error)
        show_error(
            f"This is a fault of Histoscribe, not yours: {type(error).__name__}: {error}. "
            "The trace is in the terminal; please report it with what you did."
        )


def waited_for(job: Callable[[Progress], R], title: str) -> R:
    """Run a job on another thread and return its result, or raise its error, when it has ended.

    A dialog of this title shows the progress and blocks nothing; its button, Escape and closing the window
    stop the job, which raises `Cancelled`. Off the GUI thread, and without an application, the job simply
    runs.
    """
    application = QApplication.instance()
    if application is None or QThread.currentThread() is not application.thread():
        return job(Progress())
    dialog, loop = JobDialog(title), QEventLoop()
    ended: Future[R] = Future()
    dialog.tasks.running_changed.connect(lambda running: None if running else loop.quit())
    dialog.destroyed.connect(loop.quit)
    dialog.tasks.run(partial(_keep_end, job, ended), lambda _: None)
    dialog.show()
    loop.exec()
    if not ended.done():
        raise Cancelled()
    dialog.hide()
    dialog.deleteLater()
    return ended.result()


class JobDialog(QDialog):
    """The progress of one job, above the window it belongs to; blocks nothing."""

    def __init__(self, title: str) -> None:
        windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, QMainWindow)]
        super().__init__(QApplication.activeWindow() or next(filter(QMainWindow.isVisible, windows), None))
        self.setWindowTitle(title)
        self.setMinimumWidth(460)
        self.tasks = TaskBar()
        QVBoxLayout(self).addWidget(self.tasks)

    def reject(self) -> None:
        """Escape, or the dialog's own close button: stop the job, stay until it has stopped."""
        self.tasks.cancel()


def _keep_end(job: Callable[[Progress], R], ended: Future[R], progress: Progress) -> None:
    try:
        ended.set_result(job(progress))
    except Exception as error:
        ended.set_exception(error)
