"""How well each gene is restored on patients that the model did not learn from."""

from __future__ import annotations

import numpy as np

from histoscribe.imputer.blend import Blend, Rehearsal

_HALF_HIDDEN = (0, 2)


def held_out_scores(
    rehearsals: list[Rehearsal], blend: Blend, genes: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Pearson r of each gene with half of all values hidden, over held-out training patients.

    Returns
    -------
    dict of str to dict
        `r` with `low` and `high` (Fisher's 95 % interval) for each gene that has at least 10 hidden values.
    """
    for one in rehearsals:
        if (one.mode, one.knot) == _HALF_HIDDEN:
            break
    else:
        return {}
    gate = float(blend.gate[_HALF_HIDDEN])
    truth, gaussian, memory = (part.astype(np.float32) for part in (one.truth, one.gaussian, one.memory))
    guess = gaussian + gate * (memory - gaussian)
    count = one.scored.sum(0)
    weight = one.scored / np.maximum(count, 1)
    truth = truth - (truth * weight).sum(0)
    guess = guess - (guess * weight).sum(0)
    power = np.sqrt((truth**2 * weight).sum(0) * (guess**2 * weight).sum(0))
    r = np.clip((truth * guess * weight).sum(0) / np.maximum(power, 1e-9), -0.9999, 0.9999)
    width = 1.96 / np.sqrt(np.maximum(count - 3, 1))
    low, high = np.tanh(np.arctanh(r) - width), np.tanh(np.arctanh(r) + width)
    return {
        gene: {"r": round(float(r[i]), 4), "low": round(float(low[i]), 4), "high": round(float(high[i]), 4)}
        for i, gene in enumerate(genes)
        if count[i] >= 10
    }
