"""A long job behind a call that must hand back its result: the window stays alive meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from qtpy.QtCore import QEventLoop, QThread
from qtpy.QtWidgets import QApplication, QDialog, QMainWindow, QVBoxLayout

from histoscribe.errors import Cancelled
from histoscribe.progress import Progress
from histoscribe.widgets.jobs.tasks import TaskBar

R = TypeVar("R")


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
