from __future__ import annotations

import pytest
import torch

from histoscribe.errors import SettingError
from histoscribe.features.device import resolve_device


def test_auto_finds_a_device_that_works():
    assert torch.ones(2, device=resolve_device("auto")).sum() == 2


def test_an_unknown_device_names_the_known_ones():
    with pytest.raises(SettingError, match="auto, cuda, mps, cpu"):
        resolve_device("abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_an_absent_device_is_said_to_be_absent():
    with pytest.raises(SettingError, match="not here"):
        resolve_device("cuda")
