"""The bundled predictors load by name, are small, say where they come from, and predict."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from histoscribe.models import bundled
from histoscribe.models.store import WEIGHTS_FILE, bundled_names, read_card
from histoscribe.predictor import Predictor

NAMES = [name for name in bundled_names() if read_card(bundled(name)).kind == "predictor"]


def test_both_tissues_are_bundled():
    assert {"her2st-breast", "olfactory-bulb"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_honest_and_predicts(name):
    folder = bundled(name)
    assert (folder / WEIGHTS_FILE).stat().st_size < 20_000_000
    model = Predictor.load(folder, device="cpu")
    card = model.card
    assert card.licence != "not stated"
    assert card.settings["inner_split"] == "section"
    assert set(card.held_out) == set(card.genes)
    assert "/" not in card.command.replace("scripts/", "")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, card.settings["descriptors"])).astype(np.float32)
    places = np.stack(np.meshgrid(np.arange(8), np.arange(5)), -1).reshape(-1, 2) * 100.0
    expression = model.predict_encoded(features, places)
    assert expression.shape == (40, len(card.genes))
    assert model.fitted.intervals is not None
    assert np.isfinite(expression).all()


def test_loading_leaves_what_it_does_not_need_alone():
    script = (
        "import sys\n"
        "from histoscribe.models import bundled\n"
        "from histoscribe.predictor import Predictor\n"
        f"Predictor.load(bundled({NAMES[0]!r}), device='cpu')\n"
        "print(sorted({'torch._dynamo', 'torch_geometric', 'sympy', 'sklearn', 'scanpy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
