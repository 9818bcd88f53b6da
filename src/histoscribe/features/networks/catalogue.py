"""Catalogue: published tile encoders, their terms, and how each wants its tiles.

The facts lie in `catalogue.json` beside this module, one line an encoder, as they were in November 2026.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from histoscribe.errors import require_known

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of RGB in 0-1, as most networks want them."""

Colour = tuple[float, float, float]
Pooling = Literal["class", "class and mean", "network", "attention", "projection"]
_ALSO_CALLED = {"uni2-h": "uni2", "seal-univ2": "seal-uni2", "midnight-12k": "midnight"}


@dataclass(frozen=True)
class Published:
    """An encoder that others have published."""

    name: str
    """What `--encoder` and `fetch` call it."""
    repository: str
    """Where it lies on the Hugging Face hub, or as `github.com/…` elsewhere."""
    library: Literal["transformers", "timm"]
    """What builds the network, an extra of this package: `transformers` or `timm`."""
    dimension: int
    """Length of one descriptor."""
    licence: str
    """Its terms when this was written; `fetch` shows those that the hub states today beside them."""
    gated: bool
    """Whether its owners want to be asked first, on the page of the repository."""
    file: str
    """The file of its weights; where it does not end in `.safetensors` it is a pickle, to be converted."""
    side: int
    """Pixels of a tile."""
    mpp: float
    """µm per pixel of a tile."""
    mean: Colour
    std: Colour
    """`mean` and `std`: of RGB in 0-1, taken out before the network, whatever lies beside the weights."""
    pooling: Pooling
    """`class`: the class token. `class and mean`: it, and the mean of the patch tokens after it. `network`:
    as the network itself pools. `attention`: one query looks at all tokens. `projection`: the class token
    through two layers, to unit length."""
    architecture: str = ""
    """timm's name of the network."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """What timm's `create_model` needs besides; layers by name."""
    note: str = ""
    """What else must be known of it."""

    @property
    def page(self) -> str:
        """Where to read the terms and to ask for access."""
        elsewhere = self.repository.startswith("github.com/")
        return f"https://{'' if elsewhere else 'huggingface.co/'}{self.repository}"


_ROWS = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
PUBLISHED = {row["name"]: Published(**row | {k: tuple(row[k]) for k in ("mean", "std")}) for row in _ROWS}
"""By name."""


def published_name(name: str) -> str:
    """The catalogue's own spelling of a name, such as `uni2` for `UNI2_h`; others are unchanged."""
    plain = name.lower().replace("_", "-")
    plain = _ALSO_CALLED.get(plain, plain)
    return plain if plain in PUBLISHED else name


def published_encoder(name: str) -> Published:
    """Look an encoder up; raises `SettingError` if it is not in the catalogue."""
    require_known("encoder", [published_name(name)], PUBLISHED)
    return PUBLISHED[published_name(name)]
