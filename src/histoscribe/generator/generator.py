"""The user's object: learn from a cohort, generate the metastases that a primary might become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.arrays import Floats
from histoscribe.errors import SettingError
from histoscribe.features.device import one_thread, resolve_device
from histoscribe.generator.cohort import KINDS, Cohort, cohort_of
from histoscribe.generator.components import component_table
from histoscribe.generator.metgen import MetGen, draft_samples, rebuild
from histoscribe.generator.parents import Parents, bring
from histoscribe.generator.result import build_result
from histoscribe.generator.training.fitting import GeneratorSettings, fit_model, usable
from histoscribe.models import Card, Estimator, TrainingSection
from histoscribe.models.estimator import settings_from
from histoscribe.models.standard import Standard, halve, to_tensors
from histoscribe.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from histoscribe.bulk.table import Table

MOST_SAMPLES = 100_000
TARGET = "log2 of abundance, not below 0, on the scale of the training cohort"


@dataclass(frozen=True, eq=False)
class GeneratorState:
    """What a generator has learned: its networks and references, and the units that they compute in."""

    model: MetGen
    standard: Standard


class Generator(Estimator[GeneratorSettings, GeneratorState]):
    """Generates expression profiles of metastases: MetVAE, source encoder, mixer, contrastive learner.

    Parameters
    ----------
    met_steps, mixing_steps
        As `GeneratorSettings` says.
    seed : int
        The same seed gives the same model on the same CPU.
    device : str
        Where it trains: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`. Generating takes the CPU.
    licence : str
        Under which terms the trained weights may be used; goes into the card.

    Raises
    ------
    SettingError
        If a setting is out of range.
    """

    kind = "generator"

    def __init__(
        self,
        *,
        met_steps: int = 600,
        mixing_steps: int = 500,
        seed: int = 0,
        device: str = "cpu",
        licence: str = "not stated",
    ) -> None:
        settings = GeneratorSettings(met_steps, mixing_steps)
        super().__init__(settings, seed=seed, device=device, licence=licence)

    def fit(self, cohort: Cohort | AnnData, *, progress: Progress | None = None) -> Generator:
        """Learn from primaries, normal tissues and metastases.

        Parameters
        ----------
        cohort : Cohort or AnnData
            An AnnData needs `sample_type`, `cancer`, `site` and `patient` in `obs`.

        Raises
        ------
        TableError
            If there is too little to learn from, or a class has one sample only.
        """
        device = resolve_device(self.device)
        whole = cohort if isinstance(cohort, Cohort) else cohort_of(cohort)
        used = usable(whole)
        model, standard, cancers, sites = fit_model(
            used, self.settings, seed=self.seed, device=device, progress=progress or Progress()
        )
        halve(model)
        notes = list(whole.notes)
        if dropped := len(whole) - len(used):
            notes.append(f"{dropped} samples without a counterpart (cancer or site) were left out")
        pairs = sorted({f"{c} at {s}" for c, s in zip(used.cancers, used.sites, strict=True) if c and s})
        counts = {kind: len(used.of(kind)) for kind in KINDS}
        own = {"seed": self.seed, "cancers": list(cancers), "sites": list(sites), "pairs": pairs}
        settings = asdict(self.settings) | own | {"samples": counts, "notes": notes}
        training = tuple(map(TrainingSection, used.names.tolist(), used.patients.tolist()))
        rule = "all genes of the training cohort"
        card = self._written("metgen", used.genes, TARGET, rule, training=training, settings=settings)
        return self._learned(GeneratorState(model, standard), card)

    @property
    def cancers(self) -> tuple[str, ...]:
        """Cancers that the model knows."""
        return tuple(map(str, self.card.settings["cancers"]))

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that the model knows."""
        return tuple(map(str, self.card.settings["sites"]))

    def recognise(self, primary: Table, *, adapt: bool | None = None) -> str:
        """The cancer whose mean primary a table's mean is most like (Pearson r over genes)."""
        model = self.fitted.model
        brought = self._bring(primary, model.primary_mean.mean(0), adapt)
        means = model.primary_mean.numpy()
        common = means.mean(0)
        found = [np.corrcoef(brought.values.mean(0) - common, mean - common)[0, 1] for mean in means]
        return self.cancers[int(np.argmax(found))] if len(found) > 1 else self.cancers[0]

    @one_thread()
    def generate(
        self,
        primary: Table,
        *,
        site: str,
        cancer: str | None = None,
        normal: Table | None = None,
        samples: int = 100,
        purity: float | tuple[float, float] | None = None,
        seed: int = 0,
        adapt: bool | None = None,
        progress: Progress | None = None,
    ) -> AnnData:
        """Generate metastases of primaries at a site.

        Parameters
        ----------
        primary : AnnData, BulkTable or Section
            One or more primaries of one cancer, taken in turn.
        site : str
            One of `sites`.
        cancer : str, optional
            One of `cancers`; by default the one that the primaries are most like.
        normal : AnnData, BulkTable or Section, optional
            Normal tissue of the site; drawn from the model's references by default.
        purity : float or (float, float), optional
            Share of tumour, or its bounds; by default drawn as in the training metastases.
        seed : int
            Same seed, same samples.
        adapt : bool, optional
            Map the parents' values to the cohort's scale, rank by rank; by default only where needed.

        Returns
        -------
        AnnData
            `X` log2 of abundance, shape (samples, genes), never NaN nor negative. `obs`: `synthetic`,
            `cancer`, `site`, `primary` and `normal` (the parents' names), `purity`, `cancer_probability` and
            `site_probability` (the model's own heads), `pulled` (how far the code was drawn to
            what is typical of the asked, 0 to 1). `var`: `mean`, `sd`, `primary`, `change`, and the
            range of the change in nine samples of ten (`change_low`, `change_high`).
            `layers["change"]`: against each sample's own primary. `obsm["X_metgen"]`: the components.
            `uns["histoscribe"]`: model, notes, and that it is synthetic.

        Raises
        ------
        SettingError
            If site or cancer is unknown, or a number is out of range.
        TableError
            If the parents lack too many genes or cannot be brought to the model's scale.
        """
        model, standard = self.fitted.model, self.fitted.standard
        where = _known(site, self.sites, "site")
        if not 1 <= samples <= MOST_SAMPLES:
            raise SettingError(f"{samples} samples were asked for", remedy=f"ask for 1 to {MOST_SAMPLES:,}")
        low, high = purity if isinstance(purity, tuple) else (purity, purity)
        if low is not None and high is not None and not 0 < low <= high <= 1:
            remedy = "give a share above 0, at most 1"
            raise SettingError(f"a purity of {purity} is not possible", remedy=remedy)
        cancer = self.recognise(primary, adapt=adapt) if cancer is None else cancer
        what = _known(cancer, self.cancers, "cancer")
        tumours = self._bring(primary, model.primary_mean[what], adapt)
        notes = list(tumours.notes)
        if f"{cancer} at {site}" not in self.card.settings.get("pairs", ()):
            notes.append(
                f"no metastasis of {cancer} at {site} was learned from: this pair is an extrapolation"
            )
        random = np.random.default_rng(seed)
        noise = torch.Generator().manual_seed(int(random.integers(2**31)))
        if normal is None:
            beside, beside_names = model.draw_normals(where, samples, noise), [f"reference {site}"] * samples
        else:
            tissue = self._bring(normal, model.normal_mean[where], adapt)
            notes += tissue.notes
            if tissue.scale != tumours.scale:
                notes.append(
                    f"primary ({tumours.scale}) and normal tissue ({tissue.scale}) are on different scales"
                )
            rows = random.integers(len(tissue.values), size=samples)
            beside, beside_names = tissue.values[rows], [tissue.names[row] for row in rows]
        turn = random.permutation(np.arange(samples) % len(tumours.values))
        share = np.quantile(model.purity.numpy(), random.random(samples)).astype(np.float32)
        if low is not None and high is not None:
            share = random.uniform(low, high, samples).astype(np.float32)
        parents = tumours.values[turn]
        draft = draft_samples(
            model, standard, parents, beside, share, (what, where), noise, progress or Progress()
        )
        primaries = [tumours.names[row] for row in turn]
        obs = {
            "cancer": [cancer] * samples,
            "site": [site] * samples,
            "primary": primaries,
            "normal": beside_names,
            "purity": share,
            "cancer_probability": draft.cancer.numpy(),
            "site_probability": draft.site.numpy(),
            "pulled": draft.pulled.numpy(),
        }
        profiles = standard.undo(draft.profiles.numpy())
        return build_result(profiles, draft.codes.numpy(), obs, parents, self.card, notes)

    def encode(self, table: Table, *, adapt: bool | None = None) -> Floats:
        """Codes of metastases, shape (samples, components)."""
        standard = self.fitted.standard
        brought = self._bring(table, torch.from_numpy(standard.mean), adapt)
        return self.fitted.model.encode(standard.apply(brought.values))

    def known(self) -> tuple[Floats, list[str], list[str]]:
        """Codes of the training metastases, shape (samples, components), with their cancers and sites."""
        model = self.fitted.model
        pairs = model.known_pairs.long().tolist()
        names = [self.cancers[cancer] for cancer, _ in pairs], [self.sites[site] for _, site in pairs]
        return model.known_codes.numpy(), *names

    def components(self, sets: Mapping[str, tuple[str, ...]] | None = None) -> pd.DataFrame:
        """What each component does: strength, genes, gene sets, its share from primary and from site.

        Parameters
        ----------
        sets : mapping of str to tuple of str, optional
            Gene sets; by default those that come with Histoscribe.

        Returns
        -------
        DataFrame
            A line for each component and end: `component` (0-based), `end` (`+` or `-`), `strength` (root
            mean square loading), `from_primary`, `from_site`, `genes` (the ten strongest), `gene_set` (the
            most significant), `overlap` (k of n), `p`, `adjusted` (Benjamini and Hochberg over all
            components, ends and sets), `other_sets`.

        Raises
        ------
        TableError
            If no set has four genes of the model.
        """
        return component_table(self.fitted.model, self.fitted.standard, sets)

    def _bring(self, table: Table, reference: torch.Tensor, adapt: bool | None) -> Parents:
        return bring(table, self.genes, reference.numpy(), adapt=adapt)

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        return to_tensors(self.fitted.model, self.fitted.standard)

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[GeneratorSettings, GeneratorState]:
        model, standard = rebuild(tensors, card.genes, card.settings, where)
        return settings_from(GeneratorSettings, card, where), GeneratorState(model, standard)


def _known(name: str, names: tuple[str, ...], what: str) -> int:
    if name not in names:
        remedy = f"choose from {', '.join(names)}"
        raise SettingError(f"the model knows no {what} called {name}", remedy=remedy)
    return names.index(name)
