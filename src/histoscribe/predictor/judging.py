"""What a model's verdict on a slide rests on: whose tissue it is, what it looks like, how fine its image
is."""

from collections.abc import Sequence
from typing import Any

from histoscribe.arrays import Floats
from histoscribe.errors import ModelError
from histoscribe.models import Card
from histoscribe.predictor.novelty import NoveltyReference
from histoscribe.rows import Held
from histoscribe.verdict import REFUSED, TOO_COARSE, UNLIKE, Verdict, VerdictKind


def judge(
    card: Card,
    familiar: NoveltyReference,
    novelty: Floats,
    features: Held,
    *,
    section: str,
    patient: str,
    coarser: float | None,
    genes: Sequence[str] | None,
    scale: str = "",
) -> Verdict:
    """Weigh what is known of a prediction.

    Tissue that the model knows, by its name, by its patient or because the tiles are those of the training,
    is judged by that and by its image; tissue that it does not know by what it looks like first.

    `novelty` (tiles,); `features` (tiles, d): descriptors as the encoder gave them; `section` and `patient`:
    of what was predicted; `coarser`: how many times coarser its image is than the coarsest of the training;
    `genes`: of its own table, where it has one; `scale`: what other witnesses say against its µm per pixel.
    """
    unlike = float((novelty > 1).mean())
    trained = section in card.sections or familiar.share_seen(features) > 0.5
    kind: VerdictKind = "training" if trained else "same" if patient in card.patients else "like"
    if kind == "like" and unlike > UNLIKE:
        kind = "unlike"
    elif coarser is not None and coarser > TOO_COARSE:
        kind = "coarse"
    share = None if genes is None else len(set(genes) & set(card.genes)) / len(card.genes)
    stain, depth = familiar.shift(features), card.settings.get("depth")
    return Verdict(kind, unlike, coarser, stain, depth, share, scale=scale)


def times_coarser(card: Card, fineness_um: float, where: str) -> float | None:
    """How many times coarser an image is than the coarsest of the training; None where the card does not say.

    Raises `ModelError` if it shows so little that a prediction would be made up.
    """
    known = card.settings.get("fineness_um")
    if not isinstance(known, int | float) or not known > 0:
        return None
    coarser = round(fineness_um / known, 3)
    if coarser > REFUSED:
        raise ModelError(
            f"its finest detail is {fineness_um:.3g} µm a pixel, {coarser:.2g} times coarser than what this "
            f"model learned from ({known:.3g} µm)",
            where=where,
            remedy="give the full-resolution image, or a model that was trained on images like this",
        )
    return coarser


def score_that_applies(score: dict[str, Any], *, known: bool) -> dict[str, Any]:
    """A gene's held-out score for a known or a new patient; empty where that was not measured.

    Cards of earlier versions hold one score for both.
    """
    if "same" not in score and "new" not in score:
        return score
    return score.get("same" if known else "new") or {}
