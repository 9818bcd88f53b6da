"""The base of the side panels: a declared form, one run at a time, undo, and choices that sessions keep."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import napari
import numpy as np
from magicgui.widgets import CheckBox, ComboBox, Container, PushButton
from magicgui.widgets.bases import BaseValueWidget, Widget
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QEnterEvent, QShowEvent
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from histoscribe.progress import Progress
from histoscribe.widgets.jobs.tasks import TaskBar
from histoscribe.widgets.layers.arrangement import uncover
from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.layers.layers import LayerData, section_of
from histoscribe.widgets.napari_private.window import added_in_turns, share_dock, unwrapped
from histoscribe.widgets.parts.dialogs import ask_before_closing, telling
from histoscribe.widgets.parts.shortcuts import install_shortcuts
from histoscribe.widgets.state.state import state_of

Part = TypeVar("Part", bound="Widget | QWidget")
Request = TypeVar("Request")
Result = TypeVar("Result")
Rule = Callable[[], bool]
Applied = Generator[None, None, None] | None
Field = BaseValueWidget[Any]
_TOLD = ("inserted", "removed", "reordered", "renamed")  # changes of layers that napari tells a panel
_WIDE = 320  # pixels: what a panel gets at first, and the most that it demands


class Panel(QWidget):
    """A side panel. What is here is the same in all of them; a panel declares what is its own.

    *The form.* `add` places parts one below the other in the order of the calls: magicgui widgets with their
    labels (see `histoscribe.widgets.parts.fields`), and plain Qt widgets such as lists and plots. A magicgui
    widget with a name is a **field**. `group` and `tab` put what is added meanwhile into a box or a tab. The
    whole scrolls inside itself, and the Tab key goes through it from top to bottom. `finish` comes last.

    *What applies when.* `add` and `button` take rules beside the part: `visible` and `enabled` are functions
    without arguments. All rules are asked again by `refresh`, which follows every change of a field, of the
    layers and of the running job; a panel calls it when something else that its rules ask about has changed,
    and extends it to show words that follow the choices.

    *A run.* `launch` asks for a request (frozen, complete, made on the GUI thread; what cannot work is
    refused there), hands it to a plain function `job(request, progress)` on another thread, and its
    result to `applied(request, result)` back here; that may yield so that the window answers in between.
    `add_run` places the button that calls `start`, Undo, and the progress with its Cancel. Errors are told,
    wherever they happen.

    *Undo.* `show_layer` adds a layer and remembers it in `added`; `undo` removes it again and calls `forget`,
    where a panel drops what else it remembers of its last result.

    *Sessions.* `values` gives each field's value by its name: layers as layers, all else as plain words,
    numbers and truth values. `restore` sets what fits and passes over the rest; words that a choice shows do
    for its value. Names of fields are kept in files: do not rename them. `kept` and `take_back` are for what
    is no field.
    """

    run_button: QPushButton
    undo_button: QPushButton

    def __init__(self, napari_viewer: napari.Viewer | ViewerModel) -> None:
        super().__init__()
        self.viewer: ViewerModel = unwrapped(napari_viewer)
        self.state = state_of(self.viewer)
        self.tasks = TaskBar()
        self.added: Layer | None = None
        self._covered: list[Layer] = []
        self._rules: list[tuple[Callable[[bool], object], Rule]] = []
        self._tabs: dict[str, QTabWidget] = {}
        self._forms: list[Container[Widget]] = []
        self._ends: list[Callable[[], object]] = []
        self._resetting = self._docked = False
        content = QWidget()
        self._place = QVBoxLayout(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._scrolled = Scrolled(content)
        layout.addWidget(self._scrolled)
        self.tasks.running_changed.connect(self.refresh)
        install_shortcuts(self.viewer)
        ask_before_closing(self.viewer)

    # the form

    def add(
        self, part: Part, *, visible: Rule | None = None, enabled: Rule | None = None, stretch: int = 0
    ) -> Part:
        """Place a part below the others, with the rules that say when it is visible and enabled."""
        if isinstance(part, Widget):
            last = self._place.itemAt(self._place.count() - 1)
            form = getattr(last.widget(), "_magic_widget", None) if last is not None else None
            if form not in self._forms:
                form = Container[Widget](labels=True)
                form.margins = (0, 0, 0, 0)
                form.changed.connect(self._on_change)
                self._forms.append(form)
                self._place.addWidget(form.native)
            form.append(part)
        else:
            self._place.addWidget(part, stretch)
        self.rule(part, visible=visible, enabled=enabled)
        return part

    def rule(
        self, part: Widget | QWidget, *, visible: Rule | None = None, enabled: Rule | None = None
    ) -> None:
        """Say when a part that stands somewhere in the panel is visible and enabled."""
        for name, rule in (("visible", visible), ("enabled", enabled)):
            if rule is not None:
                ours = isinstance(part, Widget)
                follow = partial(setattr, part, name) if ours else getattr(part, f"set{name.capitalize()}")
                self._rules.append((follow, rule))

    def button(
        self, words: str, meaning: str, act: Callable[[], object], *, enabled: Rule | None = None
    ) -> QPushButton:
        """A button that does something; it is not placed yet."""
        button = QPushButton(words)
        button.setToolTip(meaning)
        button.clicked.connect(lambda: act())
        self.rule(button, enabled=enabled)
        return button

    def toggle(
        self, words: str, meaning: str, act: Callable[[bool], object], *, enabled: Rule | None = None
    ) -> QPushButton:
        """A button that stays pressed until it is pressed again; `act` hears which. It is not placed yet."""
        button = self.button(words, meaning, lambda: None, enabled=enabled)
        button.setCheckable(True)
        button.toggled.connect(act)
        return button

    def add_run(self, words: str, meaning: str, *others: QPushButton, ready: Rule, undo: str = "") -> None:
        """Place `others`, the button that starts if `ready`, Undo where it has a meaning, the progress."""
        self.run_button = self.button(words, meaning, self.start, enabled=lambda: self.free and ready())
        buttons = [*others, self.run_button]
        if undo:
            self.undo_button = self.button(
                "Undo", undo, self.undo, enabled=lambda: self.free and self.undoable
            )
            buttons.append(self.undo_button)
        self.add(beside(*buttons, wide=len(others)))
        self.add(self.tasks)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Put what is added meanwhile into a box with a title."""
        box = QGroupBox(title)
        self._place.addWidget(box)
        with self._inside(QVBoxLayout(box)):
            yield

    def add_tabs(self, name: str) -> QTabWidget:
        """Place tabs, to be filled by `tab`; which one is in front is kept like a field of this name."""
        self._tabs[name] = self.add(QTabWidget(), stretch=1)
        return self._tabs[name]

    @contextmanager
    def tab(self, tabs: QTabWidget, title: str) -> Iterator[None]:
        """Put what is added meanwhile into a tab of its own."""
        page = QWidget()
        tabs.addTab(page, title)
        with self._inside(QVBoxLayout(page)):
            yield

    def finish(self, *, stretch: bool = True) -> None:
        """Call last in a panel's `__init__`: room follows, the Tab order is set, all rules are asked."""
        if stretch:
            self._place.addStretch(1)
        self._scrolled.follow()
        self.reset_choices()

    @contextmanager
    def _inside(self, layout: QVBoxLayout) -> Iterator[None]:
        around, self._place = self._place, layout
        try:
            yield
        finally:
            self._place = around

    # what applies

    @property
    def free(self) -> bool:
        """Whether no job of this panel is under way."""
        return not self.tasks.running

    @property
    def undoable(self) -> bool:
        """Whether there is a result to take away."""
        return self.added is not None

    def refresh(self, *_: object) -> None:
        """Ask every rule again."""
        for follow, rule in self._rules:
            follow(rule())

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        if self.added is not None and self.added not in self.viewer.layers:
            self.added = None
        self._resetting = True
        try:
            self._offer()
        finally:
            self._resetting = False
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Docked for the first time: it shares the place of the other panels."""
        super().showEvent(event)
        if not self._docked and isinstance(self.parent(), QDockWidget):
            self._docked = True
            share_dock(self)
            for form in (one.native for one in self._forms):  # magicgui takes napari's letters for smaller
                labels = [one for one in form.findChildren(QLabel) if one.parent().parent() is form]
                for label in labels:
                    label.ensurePolished()
                for label in labels:
                    label.setMinimumWidth(max(one.sizeHint().width() for one in labels))

    def enterEvent(self, event: QEnterEvent) -> None:
        """The mouse comes: classes may have been drawn or renamed meanwhile."""
        self._offer()
        super().enterEvent(event)

    def _offer(self) -> None:
        for form in self._forms:
            form.reset_choices()

    def _on_change(self, *_: object) -> None:
        if not self._resetting:
            self.refresh()

    # a run

    def start(self) -> None:
        """Begin what the panel is for; see `launch`."""
        raise NotImplementedError

    def launch(
        self,
        request: Callable[[], Request],
        job: Callable[[Request, Progress], Result],
        applied: Callable[[Request, Result], Applied],
    ) -> None:
        """Make a request, work on it on another thread, apply the result here; tell what goes wrong."""
        if self.free:
            with telling():
                asked = request()
                self.tasks.run(lambda progress: job(asked, progress), lambda result: applied(asked, result))

    def show_layer(self, described: LayerData) -> Generator[None, None, Layer]:
        """Add a layer in turns; `undo` takes it away again, and shows what it had covered."""
        self.added = yield from added_in_turns(self.viewer, described)
        if self.added in self.viewer.layers and section_of(self.added) is not None:
            self._covered = uncover(self.viewer, self.added)
            EDITED.add(self.added)
        return self.added

    def undo(self) -> None:
        """Take the last result away."""
        if self.added is not None and self.added in self.viewer.layers:
            self.viewer.layers.remove(self.added)
            for layer in self._covered:
                layer.visible = True
        self.added, self._covered = None, []
        self.forget()
        self.refresh()

    def forget(self) -> None:
        """Drop what is remembered of the last result beside its layer."""

    # what it hears of, until it is closed

    def hear(self, signal: Any, act: Callable[..., object]) -> None:
        """Connect to a signal of what outlives the panel: the viewer, its state, a layer."""
        signal.connect(act)
        self._ends.append(partial(signal.disconnect, act))

    def hear_clicks(self, act: Callable[[NDArray[np.float64]], object]) -> Callable[[], None]:
        """Have `act` receive the place in the world of each click in the canvas; gives what ends that."""
        callbacks = self.viewer.mouse_drag_callbacks

        def on_press(_: Any, event: Any) -> Iterator[None]:
            start = np.array(event.position, dtype=float)
            yield
            while event.type == "mouse_move":
                yield
            if np.allclose(start, event.position):
                act(start)

        def end() -> None:
            if on_press in callbacks:
                callbacks.remove(on_press)

        callbacks.append(on_press)
        self._ends.append(end)
        return end

    def let_go(self) -> None:
        """Hear of nothing any more; called when it is closed."""
        while self._ends:
            self._ends.pop()()
        for change in _TOLD:
            self.viewer.layers.events[change].disconnect(self.reset_choices)

    def event(self, event: QEvent) -> bool:
        """Taken out of its dock, which is how napari closes it, it goes for good once its job has ended."""
        if "_ends" not in vars(self):  # emptied by the collector before Qt tells of its end
            return super().event(event)
        closed = event.type() == QEvent.Type.ParentChange and self.parent() is None
        if closed or event.type() == QEvent.Type.DeferredDelete:
            self.let_go()
        if closed and self.free:
            self.deleteLater()
        elif closed:
            self.tasks.running_changed.connect(self.deleteLater)
        return super().event(event)

    # sessions

    def fields(self) -> dict[str, Field]:
        """The fields by name, from top to bottom."""
        return {field.name: field for form in self._forms for field in _fields_in(form)}

    def values(self) -> dict[str, Any]:
        """What is chosen, by the names of the fields: layers, words, numbers, truth values; see the class."""
        found = {name: _plain(field) for name, field in self.fields().items()}
        front = {name: tabs.currentIndex() for name, tabs in self._tabs.items()}
        return {name: value for name, value in found.items() if value is not None} | front

    def restore(self, values: Mapping[str, Any]) -> None:
        """Choose again what `values` gave, from top to bottom; what does not fit is passed over."""
        for name, field in self.fields().items():
            if name in values:
                _choose(field, values[name])
        for name, tabs in self._tabs.items():
            if isinstance(values.get(name), int):
                tabs.setCurrentIndex(values[name])

    def kept(self) -> dict[str, Any]:
        """What a session keeps beside the fields: plain words, numbers, lists and dictionaries."""
        return {}

    def take_back(self, kept: dict[str, Any]) -> None:
        """Bring back what `kept` gave; called once all layers that were chosen are there."""


def beside(*parts: QWidget, wide: int = 0) -> QWidget:
    """Widgets in one row; that at place `wide` takes the room that is left."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for place, part in enumerate(parts):
        layout.addWidget(part, int(place == wide))
    return row


class Words(QLabel):
    """Words that break into lines and can be copied; hidden while there are none."""

    def __init__(self, words: str = "") -> None:
        can = Qt.TextInteractionFlag.TextSelectableByMouse
        super().__init__(words, wordWrap=True, textInteractionFlags=can)
        if not words:
            self.hide()

    def setText(self, words: str) -> None:
        """Say other words."""
        super().setText(words)
        self.setVisible(bool(words))


def _fields_in(form: Any) -> Iterator[Field]:
    for part in form:
        if isinstance(part, BaseValueWidget):
            if part.name and not isinstance(part, PushButton):
                yield part
        elif isinstance(part, Container):
            yield from _fields_in(part)


def _plain(field: Field) -> Any:
    value = field.value
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, Layer | str | bool | int | float):
        return value
    return field.current_choice if isinstance(field, ComboBox) else None


def _choose(field: Field, value: Any) -> None:
    """Choose as the user does; what does not fit is left out."""
    if isinstance(field, CheckBox) and not isinstance(value, bool):
        return
    if isinstance(field, ComboBox) and isinstance(value, str) and value not in field.choices:
        value = field.get_choice(value)
    with suppress(ValueError, TypeError):
        field.value = value


class Scrolled(QScrollArea):
    """Scrolls its content; as wide as the content needs, up to a bound, and of any height."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self._climbing = False
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it follows what has the focus
        self.setWidget(content)
        content.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        """Qt asks how little room will do."""
        return QSize(min(self._across(self._content.minimumSizeHint()), _WIDE), 80)

    def sizeHint(self) -> QSize:
        """Qt asks how much room it wants."""
        wanted = self._content.sizeHint()
        return QSize(max(self._across(wanted), _WIDE), wanted.height())

    def follow(self) -> None:
        """Hear of every part of the content, as it stands, that wants more or less room."""
        for one in self._content.findChildren(QWidget):
            if one.layout() is not None:
                one.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Where the content or a part of it wants more or less room, so does this."""
        if event.type() == QEvent.Type.LayoutRequest:
            if watched is self._content:
                self.updateGeometry()
            elif not self._climbing:
                self._lay_out_around(watched)
        return super().eventFilter(watched, event)

    def _lay_out_around(self, part: Any) -> None:
        """Lay out at once what a part lies in: Qt goes one level up at a time and paints in between."""
        self._climbing = True
        around = part.parentWidget()
        while around is not None and around is not self:
            QApplication.sendEvent(around, QEvent(QEvent.Type.LayoutRequest))
            around = around.parentWidget()
        self._climbing = False

    def _across(self, size: QSize) -> int:
        return size.width() + self.verticalScrollBar().sizeHint().width()
