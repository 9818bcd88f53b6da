from __future__ import annotations

import pytest

from histoscribe.errors import Cancelled
from histoscribe.progress import Progress, Step


def test_track_reports_before_each_item_and_after_the_last():
    seen: list[Step] = []
    assert list(Progress(seen.append).track("abc", "reading", 3)) == ["a", "b", "c"]
    assert [(step.done, step.total) for step in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_track_of_nothing_still_reports_once():
    seen: list[Step] = []
    assert list(Progress(seen.append).track([], "reading")) == []
    assert seen == [Step("reading", 0, 0)]


def test_a_cancelled_job_stops_at_its_next_report():
    progress = Progress()
    done = []
    with pytest.raises(Cancelled):
        for item in progress.track(range(10), "reading", 10):
            done.append(item)
            if item == 2:
                progress.cancel()
    assert done == [0, 1, 2]
