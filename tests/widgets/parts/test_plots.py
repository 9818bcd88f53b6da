"""Where the plots put values, what a lasso catches, and that every plot paints something."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from histoscribe.widgets.parts.plots import DotMap, Dots, Plot, Scatter, Violins

pytestmark = pytest.mark.viewer


def shown(plot: Plot, qtbot: Any) -> Plot:
    qtbot.addWidget(plot)
    plot.resize(300, 260)
    plot.show()
    return plot


def colours(plot: Plot) -> int:
    """How many different colours are in the picture of a plot."""
    image = plot.grab().toImage()
    return len({image.pixel(x, y) for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)})


@pytest.fixture
def scatter(qtbot: Any) -> Any:
    plot = shown(Scatter(), qtbot)
    rng = np.random.default_rng(0)
    plot.show_values(rng.random(50), rng.random(50), "EPCAM")
    return plot


def test_both_axes_of_a_scatter_have_the_same_ends(scatter: Scatter) -> None:
    scatter.show_values(np.array([0.0, 1.0, np.nan]), np.array([0.0, 4.0, 1.0]), "")
    places, box = scatter.places(), scatter.box
    np.testing.assert_allclose(places[0], [box.left(), box.bottom()])
    np.testing.assert_allclose(places[1], [box.left() + box.width() / 4, box.top()])


def test_a_lasso_catches_the_dots_inside_and_a_click_lets_them_go(scatter: Scatter, qtbot: Any) -> None:
    caught: list[Any] = []
    scatter.lassoed.connect(caught.append)
    box, left = scatter.box.toRect().adjusted(-2, -2, 2, 2), Qt.MouseButton.LeftButton
    corners = [box.topLeft(), QPoint(box.center().x(), box.top()), QPoint(box.center().x(), box.bottom())]
    corners += [box.bottomLeft()]
    qtbot.mousePress(scatter, left, pos=corners[0])
    for corner in corners[1:]:
        qtbot.mouseMove(scatter, corner)
    qtbot.mouseRelease(scatter, left, pos=corners[-1])
    inside = np.flatnonzero(scatter.places()[:, 0] < box.center().x())
    np.testing.assert_array_equal(caught[-1], inside)
    np.testing.assert_array_equal(scatter.marked, inside)
    qtbot.mouseClick(scatter, left, pos=box.center())
    assert len(caught[-1]) == 0


def test_marks_stay_while_the_spots_are_the_same(scatter: Scatter) -> None:
    scatter.mark(np.array([3, 4]))
    scatter.show_values(np.zeros(50), np.ones(50), "ERBB2")
    assert list(scatter.marked) == [3, 4]
    scatter.show_values(np.zeros(10), np.ones(10), "ERBB2")
    assert list(scatter.marked) == []


def test_a_map_shows_each_group_and_names_it_below(qtbot: Any) -> None:
    plot = DotMap("first", "second")
    shown(plot, qtbot)
    empty = colours(plot)
    plot.show_groups(
        [
            Dots(f"a rather long name {n}", np.random.default_rng(n).random((9, 2)), c)
            for n, c in enumerate(("red", "blue"))
        ]
    )
    assert colours(plot) > empty
    lines = {line for _, _, line in plot._legend()}
    assert len(lines) == 2
    plot.resize(900, 260)
    assert {line for _, _, line in plot._legend()} == {0}
    assert plot.grab().height() == 260


def test_a_map_passes_over_what_has_no_place(qtbot: Any) -> None:
    plot = DotMap("first", "second")
    shown(plot, qtbot)
    plot.show_groups([Dots("", np.array([[np.nan, 1.0], [2.0, 3.0], [4.0, 5.0]]), "red")])
    np.testing.assert_allclose(plot.place(np.array([[4.0, 5.0]]))[0], [plot.box.right(), plot.box.top()])


def test_violins_tell_their_medians(qtbot: Any) -> None:
    plot = Violins()
    shown(plot, qtbot)
    groups = {"Tumour": (np.array([1.0, 2.0, 9.0]), (200, 0, 0)), "Stroma": (np.zeros(0), (0, 0, 200))}
    plot.show_groups(groups, "EPCAM")
    assert plot.toolTip() == "Tumour: median 2.00 of 3 spots"
    assert colours(plot) > 3
    plot.show_groups({}, "")
    assert plot.toolTip() == ""
    assert colours(plot) >= 1
