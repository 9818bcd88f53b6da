"""The whole model: MetVAE, source encoder, mixer, spread of the codes, texture, references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histoscribe.arrays import Floats
from histoscribe.errors import ModelError
from histoscribe.generator.network import CODE, MetVAE, Mixer, SourceEncoder, Texture
from histoscribe.generator.parents import mix
from histoscribe.models.reproducible import seeded
from histoscribe.models.standard import ANEW, Standard, fill
from histoscribe.progress import Progress

REFERENCE_AXES = 6
PURITY_KNOTS = 21
SURE = 0.97
_LARGEST = 200_000
_MOST_CLASSES = 1_000
_CHUNK = 512
_DRAFTED = 500
_LIMIT = 8.0
_LEAST_SD = 0.1
_PULLS = (0.15, 0.3, 0.45, 0.6, 0.8)


@dataclass(frozen=True, eq=False)
class Draft:
    """Generated samples in the model's units."""

    profiles: Tensor
    """Shape (samples, genes)."""
    codes: Tensor
    """Shape (samples, CODE)."""
    cancer: Tensor
    site: Tensor
    """`cancer` and `site`: probability that the model's own heads give to what was asked, shape
    (samples,)."""
    pulled: Tensor
    """How far the code was drawn to what is typical of the asked, 0 to 1, shape (samples,)."""


class MetGen(torch.nn.Module):
    """Everything that is saved.

    `directions` (genes, CODE): start of encoder and decoder; `known`: metastases of the training cohort whose
    codes are kept, for a map to show.
    """

    known_codes: Tensor
    known_pairs: Tensor
    gain: Tensor
    spread: Tensor
    primary_code: Tensor
    normal_code: Tensor
    normal_mean: Tensor
    normal_axes: Tensor
    primary_mean: Tensor
    purity: Tensor

    def __init__(self, directions: Tensor, cancers: int, sites: int, known: int) -> None:
        super().__init__()
        genes = len(directions)
        self.met = MetVAE(directions, cancers, sites)
        self.source = SourceEncoder(directions)
        self.mixer = Mixer()
        self.texture = Texture(genes)
        sizes = {"known_codes": (known, CODE), "known_pairs": (known, 2), "spread": (CODE, CODE)}
        sizes |= {"primary_code": (cancers, CODE), "normal_code": (sites, CODE)}
        sizes |= {"normal_mean": (sites, genes), "primary_mean": (cancers, genes)}
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size))
        self.register_buffer("normal_axes", torch.zeros(sites, REFERENCE_AXES, genes))
        self.register_buffer("gain", torch.ones(CODE))
        self.register_buffer("purity", torch.linspace(0.2, 0.95, PURITY_KNOTS))

    def mixed_codes(self, primary: Tensor, normal: Tensor, purity: Tensor) -> Tensor:
        """Codes of mixtures, shape (samples, CODE), from parents in units."""
        codes: Tensor = self.mixer(self.source(primary, 0), self.source(normal, 1), purity)
        return codes

    def forward(
        self, parents: Sequence[Tensor], purity: Tensor, pairs: Tensor, generator: torch.Generator
    ) -> Draft:
        """Generate one sample from each pair of parents.

        Where the model's own heads do not recognise what was asked, the code is drawn towards the mixture of
        the mean primary and the mean normal tissue at the same purity, no farther than needed.

        `parents`: primary, normal tissue and their linear mixture, in units, each (samples, genes); `purity`
        (samples,); `pairs` (samples, 2): cancer and site asked for.
        """
        primary, normal, mixture = parents
        typical = self.mixer(self.primary_code[pairs[:, 0]], self.normal_code[pairs[:, 1]], purity)
        own = self.gain * (self.mixed_codes(primary, normal, purity) - typical)
        codes = typical + own + torch.randn(len(own), CODE, generator=generator) @ self.spread
        cancer, site = self.recognise(codes, pairs)
        pulled = torch.zeros(len(codes))
        start = codes.clone()
        for pull in _PULLS:
            unsure = torch.minimum(cancer, site) < SURE
            if not bool(unsure.any()):
                break
            moved = start[unsure] + pull * (typical[unsure] - start[unsure])
            codes[unsure], pulled[unsure] = moved, pull
            cancer[unsure], site[unsure] = self.recognise(moved, pairs[unsure])
        beyond = mixture - self.met.decode(self.met.encode(mixture)[0])
        profiles = self.met.decode(codes) + self.texture(beyond, generator)
        return Draft(profiles, codes, cancer, site, pulled)

    def recognise(self, codes: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Probability of the asked cancer and site, as the model's heads see it."""
        rows = torch.arange(len(codes))
        cancer = self.met.cancer(codes).softmax(1)[rows, pairs[:, 0]]
        site = self.met.site(codes).softmax(1)[rows, pairs[:, 1]]
        return cancer, site

    def encode(self, profiles: Floats) -> Floats:
        """Mean codes of standardised metastases, shape (samples, CODE)."""
        with torch.inference_mode():
            parts = [
                self.met.encode(torch.from_numpy(profiles[at : at + _CHUNK]))[0].numpy()
                for at in range(0, len(profiles), _CHUNK)
            ]
        return np.concatenate(parts)

    def draw_normals(self, site: int, samples: int, generator: torch.Generator) -> Floats:
        """Normal tissues of a site, shape (samples, genes): its mean, varied along its main directions."""
        axes = torch.randn(samples, self.normal_axes.shape[1], generator=generator)
        drawn = (self.normal_mean[site] + axes @ self.normal_axes[site]).clamp_min(0)
        return np.asarray(drawn.numpy())


def draft_samples(
    model: MetGen,
    standard: Standard,
    primaries: Floats,
    normals: Floats,
    purity: Floats,
    pair: tuple[int, int],
    generator: torch.Generator,
    progress: Progress,
) -> Draft:
    """Generate a sample from each pair of parents, 500 at a time.

    `primaries` and `normals` (samples, genes): on the scale of `standard`; `purity` (samples,); `pair`:
    cancer and site asked for.
    """
    drafts = []
    for at in range(0, len(primaries), _DRAFTED):
        progress.report("generating", at, len(primaries))
        some = slice(at, at + _DRAFTED)
        ours, theirs, share = primaries[some], normals[some], purity[some]
        units = map(standard.apply, (ours, theirs, mix(ours, theirs, share)))
        asked = torch.tensor([pair]).repeat(len(ours), 1)
        with torch.inference_mode():
            parents = tuple(map(torch.from_numpy, units))
            drafts.append(model(parents, torch.from_numpy(share), asked, generator))
    progress.report("generating", len(primaries), len(primaries))
    return Draft(*(torch.cat([getattr(one, part.name) for one in drafts]) for part in fields(Draft)))


def rebuild(
    tensors: Mapping[str, NDArray[Any]], genes: tuple[str, ...], settings: dict[str, Any], where: str | Path
) -> tuple[MetGen, Standard]:
    """Make a saved model again, checking every shape.

    Raises `ModelError` if the card's settings or the tensors do not fit together.
    """
    try:
        counts = [len([str(name) for name in settings[key]]) for key in ("cancers", "sites")]
        known = int(settings["samples"]["metastasis"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card's settings lack {error}", where=where, remedy=ANEW) from error
    sensible = all(0 < count < _MOST_CLASSES for count in counts) and 0 < known < _LARGEST
    if not sensible or not 1 < len(genes) < _LARGEST:
        raise ModelError("the card's sizes are impossible", where=where, remedy=ANEW)
    with seeded(0):  # layers draw their first weights
        model = MetGen(torch.eye(len(genes), CODE), counts[0], counts[1], known)
    mean, sd = fill(model, tensors, len(genes), where=where)
    return model.eval().requires_grad_(False), Standard(genes, mean, sd, "log2", _LIMIT, 0.0)


def learn_standard(values: Floats, genes: tuple[str, ...]) -> Standard:
    """The units of a generator: log2 abundances of metastases, shape (samples, genes), centred and scaled."""
    sd = np.maximum(values.std(0), _LEAST_SD).astype(np.float32)
    return Standard(genes, values.mean(0).astype(np.float32), sd, "log2", _LIMIT, 0.0)
