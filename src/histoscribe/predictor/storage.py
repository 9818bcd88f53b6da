"""From a fitted predictor to named arrays, and back with every shape checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.errors import ModelError, SettingError
from histoscribe.models import Card, require_shapes
from histoscribe.models.standard import side_by_side
from histoscribe.predictor.ensemble import EnsembleWeights
from histoscribe.predictor.inputs import InputSpace
from histoscribe.predictor.intervals import BINS, Intervals
from histoscribe.predictor.model import FittedPredictor
from histoscribe.predictor.novelty import NoveltyReference, shapes_of_familiar
from histoscribe.predictor.retrieval.evidence import Crops
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.variants.variant import variant_named

_MAX_WIDTH = 65_536
_MAX_MEMBERS = 64
_PLAIN = ("components", "mean", "deviation", "ridge", "loadings", "values", "trust")
_FAMILIAR, _INTERVALS, _CROPS = (
    tuple(entry.name for entry in fields(kind)) for kind in (NoveltyReference, Intervals, Crops)
)
_SIZES = ("members_kept", "descriptors", "references", "familiar_kept")
# Not needed to build the network, but kept on the card.
_BESIDE = ("variant", "gallery", "inner_split", "type_names", "uses", "fineness_um", "depth", "doubts")
_REMEDY = "fetch or train it anew"


def to_tensors(fitted: FittedPredictor) -> dict[str, NDArray[Any]]:
    """Every array of a fitted predictor under its name."""
    tensors = {name: getattr(fitted, name) for name in (*_PLAIN, "spatial")}
    for name in ("descriptors", "context"):
        tensors[f"{name}.mean"], tensors[f"{name}.deviation"] = getattr(fitted.space, name)
    for prefix, names, part in (
        ("familiar", _FAMILIAR, fitted.familiar),
        ("intervals", _INTERVALS, fitted.intervals),
        ("crops", _CROPS, fitted.crops),
    ):
        if part is not None:
            tensors |= {f"{prefix}.{name}": getattr(part, name) for name in names}
    tensors |= {f"keys{number}": keys for number, keys in enumerate(fitted.keys)}
    return tensors | {name: v.numpy() for name, v in side_by_side(fitted.networks).state_dict().items()}


def to_settings(fitted: FittedPredictor) -> dict[str, Any]:
    """What else is needed to rebuild it, as plain values for the card."""
    return {
        **fitted.settings.to_dict(),
        "pitch_um": fitted.pitch_um,
        "blend": asdict(fitted.weights),
        "members_kept": len(fitted.networks),
        "views": fitted.views,
        "descriptors": len(fitted.space.descriptors[0]),
        "references": len(fitted.values),
        "familiar_kept": len(fitted.familiar.appearance),
    }


@dataclass(frozen=True)
class _Plan:
    """What a card says of the arrays beside it."""

    settings: PredictorSettings
    pitch_um: float
    weights: EnsembleWeights
    members: int
    views: int
    descriptors: int
    references: int
    familiar: int

    @property
    def inputs(self) -> int:
        return self.descriptors * self.settings.blocks


def from_tensors(
    tensors: Mapping[str, NDArray[Any]], card: Card, *, where: str | PathLike[str] | None = None
) -> FittedPredictor:
    """Rebuild a fitted predictor.

    Raises `ModelError` if the card's settings are impossible or an array is missing or of a wrong shape.
    """
    plan, genes = _plan_of(card, where), len(card.genes)
    settings, numbers = plan.settings, range(plan.members)
    if "intervals.low" in tensors:
        tensors = _with_depths(tensors)
    looked = _columns(tensors, "components") // plan.views or plan.inputs
    with torch.device("meta"):
        networks = [variant_named(settings.variant).build(settings, looked, genes, 0) for _ in numbers]
    whole = side_by_side(networks)
    shapes = _shapes(plan, genes, tensors) | {name: tuple(v.shape) for name, v in whole.state_dict().items()}
    require_shapes(tensors, shapes, where=where)
    if foreign := sorted(name for name in tensors if name.startswith("network") and name not in shapes):
        problem = f"the weights hold {foreign[0]}, which the card's settings do not have"
        raise ModelError(problem, where=where, remedy=_REMEDY)
    saved = {name: torch.from_numpy(tensors[name].astype(np.float32)) for name in whole.state_dict()}
    whole.eval().load_state_dict(saved, assign=True)
    scales = [(tensors[f"{name}.mean"], tensors[f"{name}.deviation"]) for name in ("descriptors", "context")]
    crops = intervals = None
    if "intervals.low" in tensors:
        intervals = Intervals(*(tensors[f"intervals.{name}"] for name in _INTERVALS))
    if "crops.data" in tensors:
        crops = Crops(tensors["crops.data"].astype(np.uint8).ravel(), tensors["crops.ends"].astype(np.int64))
    return FittedPredictor(
        settings=settings,
        space=InputSpace(plan.pitch_um, settings.reaches, settings.measures, *scales),
        familiar=NoveltyReference(*(tensors[f"familiar.{name}"] for name in _FAMILIAR)),
        keys=[tensors[f"keys{number}"] for number in numbers],
        networks=networks,
        spatial=tensors.get("spatial", np.zeros(genes, dtype=np.float32)),
        views=plan.views,
        weights=plan.weights,
        intervals=intervals,
        crops=crops,
        **{name: tensors[name] for name in _PLAIN},
    )


def _plan_of(card: Card, where: str | PathLike[str] | None) -> _Plan:
    """From the card's settings; `ModelError` where they are impossible."""
    try:
        kept = {name: value for name, value in card.settings.items() if name not in _BESIDE}
        pitch = float(kept.pop("pitch_um"))
        weights = EnsembleWeights(**kept.pop("blend"))
        members, descriptors, references, familiar = (_bounded(kept.pop(name)) for name in _SIZES)
        views = _bounded(kept.pop("views", 1))
        settings = PredictorSettings.of(card.variant, kept)
        if (
            max(members, views) > _MAX_MEMBERS
            or max(settings.width, settings.types, settings.heads) > _MAX_WIDTH
        ):
            raise ValueError("a size is out of range")
        spread = max(abs(weights.rough), abs(weights.smooth))
        if not (all(np.isfinite(v) and v > 0 for v in (pitch, weights.temperature)) and spread <= 1):
            raise ValueError("the pitch or the blend is out of range")
        if not 1 <= weights.neighbours <= 10_000:
            raise ValueError("the blend is out of range")
    except (KeyError, TypeError, ValueError, SettingError) as error:
        problem = f"the card's settings cannot be used ({error})"
        raise ModelError(problem, where=where, remedy=_REMEDY) from error
    return _Plan(settings, pitch, weights, members, views, descriptors, references, familiar)


def _shapes(plan: _Plan, genes: int, tensors: Mapping[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    """Those of all arrays but the networks'; some sizes are only told by the arrays themselves."""
    settings, inputs, descriptors, references = plan.settings, plan.inputs, plan.descriptors, plan.references
    columns, rank, axes = (_columns(tensors, name) for name in ("components", "ridge", "familiar.axes"))
    shapes: dict[str, tuple[int, ...]] = {
        "components": (inputs, columns),
        "mean": (genes,),
        "deviation": (genes,),
        "ridge": (inputs, rank),
        "loadings": (rank, genes),
        "values": (references, genes),
        "trust": (references,),
        **shapes_of_familiar(descriptors, axes, plan.familiar, columns or inputs),
        **{f"keys{number}": (references, settings.width) for number in range(plan.members)},
    }
    for name, width in (("descriptors", descriptors), ("context", descriptors * len(settings.reaches))):
        shapes |= {f"{name}.mean": (width,), f"{name}.deviation": (width,)}
    if "spatial" in tensors:  # else it is older, and writes all genes as they are
        shapes["spatial"] = (genes,)
    if "intervals.low" in tensors:
        rungs = 1 + tensors["intervals.depths"].size
        shapes |= dict.fromkeys(("intervals.low", "intervals.high"), (2, rungs, BINS, genes))
        shapes |= {"intervals.edges": (2, BINS - 1, genes), "intervals.depths": (rungs - 1,)}
    if "crops.data" in tensors:
        shapes["crops.ends"] = (references,)
    return shapes


def _columns(tensors: Mapping[str, NDArray[Any]], name: str) -> int:
    """The last length of an array; 0 where it is missing."""
    return tensors[name].shape[-1] if name in tensors and tensors[name].ndim else 0


def _with_depths(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Intervals of earlier versions hold at the depths of training, for every patient alike."""
    if "intervals.depths" in tensors:
        return dict(tensors)
    widened = {
        name: np.stack([tensors[name]] * 2)[(slice(None), *((None,) * (name != "intervals.edges")))]
        for name in ("intervals.edges", "intervals.low", "intervals.high")
        if name in tensors
    }
    return {**tensors, **widened, "intervals.depths": np.zeros(0, dtype=np.float32)}


def _bounded(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= 10_000_000:
        raise ValueError(f"{value!r} is no size")
    return value
