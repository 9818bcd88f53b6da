from __future__ import annotations

from importlib import import_module

import pytest

PACKAGES = (
    "bulk",
    "evaluation",
    "features",
    "generator",
    "graphs",
    "imputer",
    "predictor",
    "section",
    "simulate",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_no_other(name: str) -> None:
    package = import_module(f"histoscribe.{name}")
    assert all(getattr(package, public) is not None for public in package.__all__)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = package.nothing_like_this
