"""Vision transformers that the package transformers builds: Phikon, Hibou, Midnight and their kin."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from histoscribe.errors import DependencyError, ModelError, told_as
from histoscribe.features.device import precision_of
from histoscribe.features.networks.checkpoint import Checkpoint

TYPES = (
    "vit", "deit", "beit", "data2vec-vision", "vit_msn", "dinov2", "dinov2_with_registers", "dinov3_vit",
)  # fmt: skip
"""Kinds whose first token stands for the whole image."""

_AGAIN = "fetch or copy the encoder again"
_UNUSED = ("pooler.", "mask_token", "embeddings.mask_token", "classifier.", "head.")


def dimension(checkpoint: Checkpoint) -> int:
    """Length of one descriptor; raises `ModelError` or `DependencyError`."""
    return int(_config(checkpoint).hidden_size) * (2 if _with_mean(checkpoint) else 1)


def load(checkpoint: Checkpoint, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Read the weights; return what turns a batch (n, 3, side, side) into descriptors (n, dimension).

    Code that lies beside the weights is never run, and only safetensors are read. Raises `ModelError` if the
    weights are damaged or not those of the network.
    """
    from transformers import AutoModel

    # safetensors, torch and transformers raise in many ways
    problem, where = "its weights cannot be loaded", checkpoint.folder
    with told_as(ModelError, problem, Exception, where=where, remedy=_AGAIN), _quiet():
        model, found = AutoModel.from_pretrained(
            checkpoint.folder,
            config=_config(checkpoint),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            dtype=precision_of(device),
        )
    wrong = [*found["missing_keys"], *found.get("mismatched_keys", ())]
    wrong = [str(key) for key in wrong if not str(key).startswith(_UNUSED)]
    if wrong:
        problem = f"{len(wrong)} of its weights are missing or of another shape ({wrong[0]} and others)"
        remedy = "check that config.json and weights belong together"
        raise ModelError(problem, where=checkpoint.folder, remedy=remedy)
    model.to(device).eval()
    first = 1 + int(getattr(model.config, "num_register_tokens", 0))

    def forward(batch: Tensor) -> Tensor:
        tokens: Tensor = model(pixel_values=batch).last_hidden_state
        if not _with_mean(checkpoint):
            return tokens[:, 0]
        return torch.cat([tokens[:, 0], tokens[:, first:].mean(1)], dim=1)

    return forward


def _with_mean(checkpoint: Checkpoint) -> bool:
    return checkpoint.published is not None and checkpoint.published.pooling == "class and mean"


def _config(checkpoint: Checkpoint) -> Any:
    needed, where = "this encoder needs the package transformers", checkpoint.folder
    remedy = "pip install 'napari-histoscribe[foundation]'"
    with told_as(DependencyError, needed, ImportError, where=where.name, remedy=remedy, reason=False):
        from transformers import AutoConfig
    fields = dict(checkpoint.config)
    kind = str(fields.pop("model_type"))
    fields.pop("auto_map", None)
    if fields.get("num_register_tokens") and kind in ("dinov2", "hibou"):
        kind = "dinov2_with_registers"  # Hibou comes with code of its own for what is now in transformers
    if kind not in TYPES:
        problem = f"a network of the kind {kind!r:.60} is not known here"
        raise ModelError(problem, where=checkpoint.folder, remedy=f"these are: {', '.join(TYPES)}")
    with told_as(ModelError, f"its config.json does not fit a {kind}", Exception, where=where, remedy=_AGAIN):
        return AutoConfig.for_model(kind, **fields)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' tables of keys and bars off the screen: what matters is checked here."""
    from transformers.utils import logging as library

    verbosity: Any = library

    logger = logging.getLogger("transformers")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    bars = verbosity.is_progress_bar_enabled()
    verbosity.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(before)
        if bars:
            verbosity.enable_progress_bar()
