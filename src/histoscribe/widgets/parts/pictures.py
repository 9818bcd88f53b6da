"""Small pictures of tissue in a panel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel


def pixmap_of(pixels: NDArray[np.uint8], side: int) -> QPixmap:
    """RGB pixels, shape (rows, columns, 3), to fit a square of `side` pixels on screen."""
    rows, columns = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).tobytes()
    image = QImage(data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
    smooth = Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(image).scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, smooth)


def show_picture(label: QLabel, pixels: NDArray[np.uint8] | None, meaning: str, side: int = 76) -> None:
    """Show a crop as a label's picture and its meaning as tooltip; say why where there is none."""
    label.setToolTip(meaning)
    if pixels is None:
        label.setText("no picture:\nits slide is\nnot open")
    else:
        label.setPixmap(pixmap_of(pixels, side))
