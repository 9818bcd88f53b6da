"""Reference crops survive packing, travel with the table, and cannot be used to fill the memory."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import ModelError
from histoscribe.predictor.retrieval.evidence import SIDE, Crops, pack_crops


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    shade = np.linspace(20, 230, SIDE, dtype=np.float32)
    return np.stack([np.broadcast_to(shade * k, (3, SIDE, SIDE)).T for k in (0.3, 0.6, 1.0)]).astype(np.uint8)


def test_crops_come_back_nearly_as_they_were(pictures):
    crops = pack_crops(pictures)
    assert len(crops) == 3
    for number, picture in enumerate(pictures):
        assert np.abs(crops[number].astype(int) - picture).mean() < 3


def test_some_crops_keep_their_order(pictures):
    crops = pack_crops(pictures)
    np.testing.assert_array_equal(crops.some([2, 0])[0], crops[2])


@pytest.mark.parametrize("ends", [[10, 5, 7], [0, 0, 0], [10**9, 10**9, 10**9]])
def test_ends_that_lie_are_refused(pictures, ends):
    crops = Crops(pack_crops(pictures).data, np.asarray(ends, dtype=np.int64))
    with pytest.raises(ModelError, match="damaged"):
        crops[1]


def test_pictures_of_another_size_are_refused():
    import imagecodecs

    large = Crops.joined([imagecodecs.jpeg8_encode(np.zeros((2000, 2000, 3), np.uint8))])
    with pytest.raises(ModelError, match="damaged"):
        large[0]


def test_numbers_out_of_range_are_refused(pictures):
    with pytest.raises(ModelError, match="no reference crop 3"):
        pack_crops(pictures)[3]
