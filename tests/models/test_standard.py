"""Units of genes, and their tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from histoscribe.errors import ModelError
from histoscribe.models.standard import Standard, fill, halve, to_tensors


def standard(genes: int = 4, *, limit: float = 5.0, floor: float | None = None) -> Standard:
    mean = np.linspace(1, 9, genes, dtype=np.float32)
    sd = np.linspace(0.5, 2, genes, dtype=np.float32)
    return Standard(tuple(f"G{number}" for number in range(genes)), mean, sd, "log2", limit, floor)


@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4))
def test_applying_and_undoing_gives_back_what_lies_within_the_limit(values: list[float]) -> None:
    units = standard()
    row = np.array([values], dtype=np.float32)
    there = np.abs((row - units.mean) / units.sd) < 5
    back = units.undo(units.apply(row))
    assert np.allclose(back[there], row[there], atol=1e-4)
    assert (np.abs(units.apply(row)) <= 5).all()


def test_holes_stay_holes_and_a_floor_holds() -> None:
    units = standard(floor=0.0)
    assert np.isnan(units.apply(np.full((1, 4), np.nan, dtype=np.float32))).all()
    assert (units.undo(np.full((1, 4), -4, dtype=np.float32)) >= 0).all()


def test_tensors_come_back_as_they_were_rounded() -> None:
    network, units = torch.nn.Linear(4, 3), standard()
    halve(network)
    tensors = to_tensors(network, units)
    assert tensors["weight"].dtype == np.float16
    again = torch.nn.Linear(4, 3)
    mean, sd = fill(again, tensors, 4, where=Path("x"))
    assert torch.equal(again.weight, network.weight)
    assert np.array_equal(mean, units.mean)
    assert np.array_equal(sd, units.sd)


def test_only_what_is_named_is_halved() -> None:
    network = torch.nn.Linear(4, 3)
    before = network.bias.detach().clone()
    halve(network, ("weight",))
    assert torch.equal(network.bias, before)
    tensors = to_tensors(network, standard(), ("weight",))
    assert (tensors["weight"].dtype, tensors["bias"].dtype) == (np.float16, np.float32)


@pytest.mark.parametrize("damage", ["shape", "missing", "nan", "sd"])
def test_tensors_that_do_not_fit_are_refused(damage: str) -> None:
    tensors = to_tensors(torch.nn.Linear(4, 3), standard())
    if damage == "shape":
        tensors["weight"] = tensors["weight"][:2]
    elif damage == "missing":
        del tensors["bias"]
    elif damage == "nan":
        tensors["standard.mean"] = np.full(4, np.nan, dtype=np.float32)
    else:
        tensors["standard.sd"] = np.zeros(4, dtype=np.float32)
    with pytest.raises(ModelError):
        fill(torch.nn.Linear(4, 3), tensors, 4, where=Path("x"))
