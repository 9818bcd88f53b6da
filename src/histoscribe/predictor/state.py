"""From a fitted predictor to named arrays, and back with every shape checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.errors import ModelError, SettingError
from histoscribe.modelstore import Card, require_shapes
from histoscribe.predictor.blend import Blend
from histoscribe.predictor.core import AnyNetwork, Fitted, build_network
from histoscribe.predictor.settings import make_settings

_MAX_WIDTH = 65_536
_MAX_MEMBERS = 64


def to_tensors(fitted: Fitted) -> dict[str, NDArray[Any]]:
    """Every array of a fitted predictor under its name."""
    tensors = {name: getattr(fitted, name) for name in _PLAIN}
    for name, (mean, deviation) in zip(("descriptors", "context"), fitted.scales, strict=True):
        tensors[f"{name}.mean"], tensors[f"{name}.deviation"] = mean, deviation
    for number, (network, keys) in enumerate(zip(fitted.networks, fitted.keys, strict=True)):
        tensors[f"keys{number}"] = keys
        for name, value in network.state_dict().items():
            tensors[f"network{number}.{name}"] = value.numpy()
    return tensors


def to_settings(fitted: Fitted) -> dict[str, Any]:
    """What else is needed to rebuild it, as plain values for the card."""
    return {
        **fitted.settings.to_dict(),
        "pitch_um": fitted.pitch_um,
        "blend": asdict(fitted.blend),
        "members_kept": len(fitted.networks),
        "descriptors": len(fitted.scales[0][0]),
        "references": len(fitted.values),
    }


def from_tensors(
    tensors: Mapping[str, NDArray[Any]], card: Card, *, where: str | PathLike[str] | None = None
) -> Fitted:
    """Rebuild a fitted predictor.

    Raises
    ------
    ModelError
        If the card's settings are impossible or an array is missing or of a wrong shape.
    """
    try:
        kept = dict(card.settings)
        pitch = float(kept.pop("pitch_um"))
        blend = Blend(**kept.pop("blend"))
        members, descriptors, references = (
            _bounded(kept.pop(name)) for name in ("members_kept", "descriptors", "references")
        )
        kept.pop("variant")
        kept.pop("gallery", None)
        kept.pop("inner_split", None)
        settings = make_settings(card.variant, **kept)
        if members > _MAX_MEMBERS or max(settings.width, settings.types, settings.heads) > _MAX_WIDTH:
            raise ValueError("a size is out of range")
        if not (
            np.isfinite(pitch) and pitch > 0 and 1 <= blend.neighbours <= 10_000 and blend.temperature > 0
        ):
            raise ValueError("the pitch or the blend is out of range")
    except (KeyError, TypeError, ValueError, SettingError) as error:
        raise ModelError(
            f"the card's settings cannot be used ({error})", where=where, remedy="fetch or train it anew"
        ) from error
    genes, inputs = len(card.genes), descriptors * (1 + len(settings.radii or ()))
    columns = tensors["components"].shape[-1] if "components" in tensors else 0
    shapes: dict[str, tuple[int, ...]] = {
        "components": (inputs, columns),
        "mean": (genes,),
        "deviation": (genes,),
        "weights": (inputs, genes),
        "values": (references, genes),
        "type_centres": (settings.types, descriptors),
    }
    for name, width in (("descriptors", descriptors), ("context", inputs - descriptors)):
        shapes |= {f"{name}.mean": (width,), f"{name}.deviation": (width,)}
    with torch.device("meta"):
        empty = build_network(settings, columns or inputs, genes, 0)
    for number in range(members):
        shapes[f"keys{number}"] = (references, settings.width)
        shapes |= {f"network{number}.{name}": tuple(v.shape) for name, v in empty.state_dict().items()}
    require_shapes(tensors, shapes, where=where)
    networks: list[AnyNetwork] = []
    for number in range(members):
        network = build_network(settings, columns or inputs, genes, 0)
        prefix = f"network{number}."
        own = {name[len(prefix) :]: v for name, v in tensors.items() if name.startswith(prefix)}
        network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in own.items()})
        networks.append(network.eval())
    return Fitted(
        settings=settings,
        pitch_um=pitch,
        scales=(
            (tensors["descriptors.mean"], tensors["descriptors.deviation"]),
            (tensors["context.mean"], tensors["context.deviation"]),
        ),
        keys=[tensors[f"keys{number}"] for number in range(members)],
        networks=networks,
        blend=blend,
        **{name: tensors[name] for name in _PLAIN},
    )


_PLAIN = ("type_centres", "components", "mean", "deviation", "weights", "values")


def _bounded(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= 10_000_000:
        raise ValueError(f"{value!r} is no size")
    return value
