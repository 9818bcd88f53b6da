"""One palette and one scale bar for every figure, readable for the colour-blind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, PALE = "#101828", "#7a869a", "#c9cfdd"
"""Words and outlines; axes; what stands back."""
ACCENT, MARK = "#5b6ee1", "#e07a3f"
"""What is shown; what is marked in it."""
TUMOUR, TISSUE, SPOT, DRAWN = "#d1495b", "#2a6f97", "#7fb8d0", "#ffb000"
"""Of a tumour or what was generated; of a tissue or a pair; spots without a gene; outlines that are drawn."""


def scale_bar(
    axes: Axes, left: float, height: float, most: float, *, unit: str = "µm", inside: bool = False
) -> None:
    """Draw a bar of a round length from (`left`, `height`), at most `most` long, with its length in words.

    The coordinates of `axes` are in `unit`. `inside`: words above the bar on a white ground, for a bar in the
    picture; else below it.
    """
    length = round_length(most)
    words = f"{length / 1000:g} mm" if unit == "µm" and length >= 1000 else f"{length:g} {unit}"
    axes.plot(
        [left, left + length],
        [height, height],
        color=INK,
        linewidth=3 if inside else 2.2,
        zorder=1000,
        solid_capstyle="butt",
        clip_on=inside,
    )
    ground = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
    axes.annotate(
        words,
        (left + length / 2, height),
        xytext=(0, 4 if inside else -4),
        textcoords="offset points",
        ha="center",
        va="bottom" if inside else "top",
        fontsize=8.5 if inside else 8,
        color=INK,
        bbox=ground if inside else None,
        zorder=1001,
        annotation_clip=False,
    )


def round_length(most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))
