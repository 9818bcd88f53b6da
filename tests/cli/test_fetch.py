from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from histoscribe.features.networks import fetching
from histoscribe.features.networks.catalogue import PUBLISHED


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[fetching.Offer]:
    """A hub that offers everything, and what was downloaded from it."""
    offers: list[fetching.Offer] = []

    def look_up(published):
        files = {"config.json": (100, ""), "model.safetensors": (10**9, "0" * 64)}
        return fetching.Offer("abc", "a licence of the hub's own", True, files, published)

    def fetch(offer, *, progress=None):
        offers.append(offer)
        return tmp_path / "here"

    monkeypatch.setattr(fetching, "look_up", look_up)
    monkeypatch.setattr(fetching, "fetch", fetch)
    return offers


def test_terms_come_before_the_download(shell: Callable, taken: list) -> None:
    shown = shell("fetch", "uni2")
    assert shown.exit_code == 2
    assert taken == []
    terms = (
        "CC-BY-NC-ND-4.0",
        "a licence of the hub's own",
        "asked",
        "1,000 MB",
        "huggingface.co/MahmoodLab",
    )
    assert [term for term in terms if term not in shown.stderr] == []
    assert "--accept-licence" in shown.stderr


def test_with_the_licence_accepted_it_is_fetched(shell: Callable, taken: list, tmp_path: Path) -> None:
    result = shell("fetch", "phikon-v2", "--accept-licence", "--json")
    assert result.exit_code == 0, result.stderr
    assert [offer.published.name for offer in taken] == ["phikon-v2"]
    assert json.loads(result.stdout)["folder"] == str(tmp_path / "here")


def test_without_a_name_all_are_listed(shell: Callable, taken: list) -> None:
    result = shell("fetch", "--json")
    assert {entry["name"] for entry in json.loads(result.stdout)["encoders"]} == set(PUBLISHED)
    assert "gigapath" in shell("fetch").stdout
    assert taken == []


def test_an_unknown_name_is_refused(shell: Callable, taken: list) -> None:
    result = shell("fetch", "resnet", "--accept-licence")
    assert result.exit_code == 2
    assert "phikon" in result.stderr


def test_a_pickle_is_converted_by_name(shell: Callable, tmp_path: Path, monkeypatch) -> None:
    import torch

    monkeypatch.setenv("HISTOSCRIBE_ENCODERS", str(tmp_path / "encoders"))
    torch.save({"a": torch.ones(2)}, tmp_path / "GPFM.pth")
    result = shell("convert-weights", tmp_path / "GPFM.pth", "--encoder", "gpfm", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["tensors"], told["written"]) == (1, str(tmp_path / "encoders" / "gpfm"))
    assert told["licence"] == PUBLISHED["gpfm"].licence
    shown = shell("convert-weights", tmp_path / "none.pth")
    assert shown.exit_code == 2
    assert "no such file" in shown.stderr
