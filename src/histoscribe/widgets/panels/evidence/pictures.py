"""Small crops of tissue in a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap

if TYPE_CHECKING:
    from qtpy.QtWidgets import QLabel

    from histoscribe.widgets.panels.evidence.behind import Picture

_SIDE = 76


def show_picture(label: QLabel, picture: Picture | None, meaning: str) -> None:
    """Show a crop as a label's picture and its meaning as tooltip; say why where there is none."""
    label.setToolTip(meaning)
    if picture is None:
        label.setText("no picture:\nits slide is\nnot open")
        return
    pixels = np.ascontiguousarray(picture)
    rows, columns = pixels.shape[:2]
    image = QImage(pixels.tobytes(), columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
    smooth = Qt.TransformationMode.SmoothTransformation
    label.setPixmap(QPixmap.fromImage(image).scaled(_SIDE, _SIDE, Qt.AspectRatioMode.KeepAspectRatio, smooth))
