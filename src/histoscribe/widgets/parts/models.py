"""The model chooser of all panels: bundled models, used ones, any folder, each with its card in words."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit, Label
from magicgui.widgets.bases import ValuedContainerWidget
from qtpy.QtWidgets import QSizePolicy

from histoscribe.errors import HistoscribeError
from histoscribe.models import Card, bundled, bundled_names, read_card
from histoscribe.widgets.parts.fields import ChoiceField, Offer
from histoscribe.widgets.state.preferences import recent_models

SIMULATED = "simulated"
"""The technology on the card of a model that learned from simulated sections: no first choice for tissue."""

_ELSEWHERE = "Another folder"
_KIND, _HEAD = re.compile(rb'"kind":\s*"(\w+)"'), 4096


class ModelField(ValuedContainerWidget[Any]):
    """A `predictor`, `imputer` or `generator`: bundled, used before, or in any folder; then `more`."""

    def __init__(self, name: str, kind: str, *, more: Offer | None = None, label: str = "Model") -> None:
        self.kind, self._more = kind, more
        used = next((path for path in recent_models() if self._suits_tissue(path)), None)
        meaning = "A trained model: bundled, used before, or in another folder"
        self.known = ChoiceField("known", self._offer, tooltip=meaning, first=used)
        mode, where = FileDialogMode.EXISTING_DIRECTORY, "Where card.json of the model lies"
        self.elsewhere = FileEdit(mode=mode, name="elsewhere", tooltip=where)
        self.elsewhere.choose_btn.text = "…"
        self.elsewhere.choose_btn.native.setFixedWidth(28)
        self.elsewhere.choose_btn.tooltip = "Choose the folder of a trained model"
        self.elsewhere.line_edit.native.setPlaceholderText("folder with card.json")
        self.words = Label(name="words")
        self.words.native.setWordWrap(True)
        how = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        how.setHeightForWidth(True)
        self.words.native.setSizePolicy(how)
        parts = [self.known, self.elsewhere, self.words]
        super().__init__(widgets=parts, labels=False, label=label, name=name, tooltip=meaning)
        self.margins = (0, 0, 0, 0)
        self.known.changed.connect(self._on_change)
        self.elsewhere.changed.connect(self._on_change)
        self._on_change()
        self._chosen = 0.0

    def get_value(self) -> Any:
        """A model's folder, or what else was offered; the name of a bundled model serves as its folder."""
        if self.known.value != _ELSEWHERE:
            return self.known.value
        typed = self.elsewhere.line_edit.value.strip()
        return bundled(typed) if typed in bundled_names() else Path(typed).expanduser()

    def set_value(self, value: Any) -> None:
        """Choose a folder, or what else is offered; one that is not known is another folder."""
        known = self.known.get_choice(value) if isinstance(value, str) else value
        chosen = Path(value) if isinstance(value, str) and known is None else known
        if chosen in self.known.values:
            self.known.value = chosen
        elif isinstance(chosen, Path):
            self.elsewhere.line_edit.value = "" if chosen == Path() else str(chosen)
            self.known.value = _ELSEWHERE
        else:
            raise ValueError(f"{value!r} is not offered")

    @property
    def folder(self) -> Path | None:
        """The chosen model's folder; None where something else is chosen."""
        return self.value if isinstance(self.value, Path) else None

    @folder.setter
    def folder(self, path: Path) -> None:
        self.value = path

    @property
    def card(self) -> Card | None:
        """The card of the chosen model; None where it is none of this kind."""
        card = None if self.folder is None else _card_of(self.folder)
        return card if card is not None and card.kind == self.kind else None

    def take(self, began: float, folder: str) -> None:
        """Choose a model that was trained just now, unless another was chosen since its training began."""
        untouched = self._chosen < began
        self.known.reset_choices()
        if untouched:
            self.folder = Path(folder)
            self._on_change()
            self.words.value = f"Trained just now, and chosen. {self.words.value}"

    def _offer(self) -> list[tuple[str, Any] | str]:
        ready = {bundled(name): name for name in bundled_names()}
        models = [path for path in dict.fromkeys([*ready, *recent_models()]) if _kind_of(path) == self.kind]
        offered: list[tuple[str, Any] | str] = [
            (ready.get(path, f"{path.name}, in {path.parent}"), path) for path in models
        ]
        return [*offered, *(self._more() if self._more else ()), _ELSEWHERE]

    def _suits_tissue(self, folder: Path) -> bool:
        card = _card_of(folder) if _kind_of(folder) == self.kind else None
        return card is not None and card.technology != SIMULATED

    def _on_change(self, *_: Any) -> None:
        self._chosen = time.monotonic()
        self.elsewhere.visible = self.known.value == _ELSEWHERE
        self.words.value = "" if self.card is None else card_words(self.card)
        self.words.visible = self.card is not None
        self.changed.emit(self.value)


def card_words(card: Card) -> str:
    """What a model is for: tissue, technology, genes, patients, and how well it did where it was held out."""
    pitch = card.settings.get("pitch_um")
    apart = f"spots {pitch:.0f} µm apart" if isinstance(pitch, int | float) else ""
    about = ", ".join(part for part in (card.tissue, card.technology, apart) if part) or "tissue not stated"
    noun = "samples" if card.mpp is None else "sections"
    what = "labels" if card.kind == "labeller" else "genes"
    said = f"{about[0].upper()}{about[1:]}. {len(card.genes):,} {what} from {len(card.training):,} {noun} of "
    said += f"{len(card.patients):,} patient{'s' if len(card.patients) != 1 else ''}. "
    told: list[str] = []
    for which, whose in (("new", "on a new patient"), ("same", "on a known one"), ("", "held-out")):
        found = [score.get(which) if which else score for score in card.held_out.values()]
        scores = [one["r"] for one in found if one and "r" in one]
        if scores and not (told and not which):
            middle, best = np.quantile(scores, (0.5, 0.9))
            told.append(f"{whose}: median r {middle:.2f}, best tenth of the genes from {best:.2f}")
    if not told:
        return said + "It states no score on held-out tissue."
    words = "; ".join(told)
    return f"{said}{words[0].upper()}{words[1:]}."


def _card_of(folder: Path) -> Card | None:
    try:
        return _read_card(folder, (folder / "card.json").stat().st_mtime_ns)
    except (OSError, HistoscribeError):
        return None


def _kind_of(folder: Path) -> str:
    """The kind that a card states in its first lines; a card of thousands of genes is not read for that."""
    try:
        with (folder / "card.json").open("rb") as file:
            found = _KIND.search(file.read(_HEAD))
    except OSError:
        return ""
    return found[1].decode() if found else ""


@lru_cache(maxsize=32)
def _read_card(folder: Path, changed: int) -> Card:
    return read_card(folder)
