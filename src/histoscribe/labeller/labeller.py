"""The user's object: learn labels of whole slides, tell those of new ones, and show which tiles say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Wide
from histoscribe.errors import ModelError, SettingError, TableError, told_as
from histoscribe.features import TileEncoder, encode_tiles
from histoscribe.features.scale import checked_scale
from histoscribe.labeller.bags import PITCH_UM, Bag, check_bags, inputs_of, own_units
from histoscribe.labeller.labels import Label, columns_of, recognise
from histoscribe.labeller.output import SlideLabels, tiles_told, told_of
from histoscribe.models import Card, Estimator, TrainingSection, require_shapes
from histoscribe.models.estimator import require_whole, settings_from
from histoscribe.models.standard import ANEW, side_by_side
from histoscribe.predictor.judging import judge, times_coarser
from histoscribe.predictor.linear import pooled, principal_axes
from histoscribe.predictor.novelty import NoveltyReference, learn_familiar, shapes_of_familiar
from histoscribe.progress import Progress
from histoscribe.tiles import Region, grid_tiles, image_fineness

if TYPE_CHECKING:
    import pandas as pd

    from histoscribe.labeller.network import Pooling, SlideNetwork
    from histoscribe.slide import Slide

_FAMILIAR = tuple(entry.name for entry in fields(NoveltyReference))
_FEWEST, _AXES, _SHOWN, _MOST_NETWORKS = 10, 24, 64, 20


@dataclass(frozen=True)
class LabellerSettings:
    """What is chosen beforehand."""

    pooling: str = "auto"
    """`mean`, `attention` or `transformer`; `auto`: mean or attention, by patients held out."""
    steps: int = 240
    """The longest that a network learns."""

    def __post_init__(self) -> None:
        if self.pooling not in (known := ("auto", "mean", "attention", "transformer")):
            raise SettingError(f"pooling is {self.pooling!r}", remedy=f"choose {', '.join(known)}")
        require_whole(self, steps=8)


@dataclass(frozen=True, eq=False)
class LabellerState:
    """What was learned."""

    labels: tuple[Label, ...]
    """Without the values of the training."""
    calibration: tuple[Wide, ...]
    """Of each label, as `calibration.calibrate` gives it."""
    pooling: Pooling
    networks: list[SlideNetwork]
    """One a fold: their mean answers."""
    scale: tuple[Floats, Floats]
    """Mean and deviation of the training tiles, each of shape (d,)."""
    familiar: NoveltyReference
    axes: Floats
    """Of tiles in units of their slide, by which unknown structures are told, shape (d, k)."""


class Labeller(Estimator[LabellerSettings, LabellerState]):
    """Tells labels of whole slides from their tiles: classes, grades, expression of whole samples.

    Parameters
    ----------
    pooling : str
        `auto` (mean or attention, whichever tells patients better that were held out), `mean`, `attention`
        or `transformer`.
    steps : int
        The longest that a network learns; how long it does is chosen on patients held out.
    seed, device, licence
        As of every model.

    Raises
    ------
    SettingError
        If a setting is out of range.
    """

    kind = "labeller"
    reads_images = True

    def __init__(
        self,
        *,
        pooling: str = "auto",
        steps: int = 240,
        seed: int = 0,
        device: str = "auto",
        licence: str = "not stated",
    ) -> None:
        super().__init__(LabellerSettings(pooling, steps), seed=seed, device=device, licence=licence)

    def fit(
        self,
        bags: Sequence[Bag],
        labels: pd.DataFrame,
        *,
        prior: str | Wide | None = None,
        encoder: TileEncoder | None = None,
        pitch_um: float = PITCH_UM,
        progress: Progress | None = None,
    ) -> Labeller:
        """Learn from described slides.

        Parameters
        ----------
        bags : sequence of Bag
            See `describe_cohort`. Slides of one patient are never split.
        labels : DataFrame
            A column each label, indexed by the names of slides; what is empty is not known.
        prior : str or ndarray, optional
            Which labels go together: `cooccurrence`, `sets`, a GMT file, a CSV of edges, or weights from
            -1 to 1 (labels, labels). It is used where it tells held-out patients better.
        encoder : TileEncoder, optional
            What described the tiles; needed to read slides afterwards.
        pitch_um : float
            Of the grid of tiles.

        Raises
        ------
        SectionError
            If a slide is named twice, or has no sound descriptors.
        TableError
            If a label is constant, an identifier, known of too few patients, or a prior cannot be used.
        Cancelled
            If the progress was cancelled.
        """
        from histoscribe.labeller.choosing import choose

        check_bags(bags)
        table = labels.reindex([bag.name for bag in bags])
        known = (table.notna() & (table.astype(str) != "")).any(axis=1).to_numpy()
        if not known.any():
            raise TableError("no slide has a label", remedy="index labels by the names of slides")
        bags = [bag for bag, there in zip(bags, known, strict=True) if there]
        patients = [bag.patient for bag in bags]
        found = recognise(table[known], patients)
        if len(set(patients)) < _FEWEST:
            problem = f"{len(set(patients))} patients have labels, and learning takes {_FEWEST}"
            raise TableError(problem, remedy="give more patients")
        features = [np.asarray(bag.features, dtype=np.float32) for bag in bags]
        scale = pooled(features)
        best = choose(
            features,
            scale,
            found,
            patients,
            prior,
            pooling=self.settings.pooling,
            steps=self.settings.steps,
            seed=self.seed,
            device=self.device,
            progress=progress or Progress(),
        )
        axes = principal_axes(np.concatenate([own_units(one)[:_SHOWN] for one in features]), _AXES)
        reduced = [np.ascontiguousarray(own_units(one) @ axes) for one in features]
        familiar = learn_familiar(features, reduced, self.seed)
        fineness = [bag.fineness_um for bag in bags if bag.fineness_um]
        few = f"it learned from {len(set(patients))} patients: what it scores on others is hardly known"
        settings = asdict(self.settings) | {"chosen": best.about, "labels": []}
        for one, how in zip(found, best.calibration, strict=True):
            own = {"name": one.name, "classes": list(one.classes), "mean": one.mean, "sd": one.sd}
            settings["labels"].append(own | {"calibration": how.tolist()})
        settings |= {"networks": len(best.networks), "descriptors": features[0].shape[1]}
        settings |= {"pitch_um": pitch_um, "familiar": [*familiar.appearance.shape, axes.shape[1]]}
        settings |= {"doubts": [few] if len(set(patients)) < 50 else []}
        settings |= {"inner_split": f"{len(best.networks)} folds of patients"}
        if fineness:
            settings["fineness_um"] = max(fineness)
        card = self._written(
            best.pooling,
            tuple(one.name for one in found),
            "labels of slides",
            "the labels that were given",
            training=tuple(TrainingSection(bag.name, bag.patient) for bag in bags),
            settings=settings,
            held_out=best.scores,
        )
        bare = tuple(replace(one, values=np.zeros(0)) for one in found)
        state = LabellerState(bare, best.calibration, best.pooling, best.networks, scale, familiar, axes)
        return self._learned(state, card, encoder)

    def label(
        self,
        slide: Slide,
        *,
        region: Sequence[Region] | None = None,
        name: str = "",
        patient: str = "",
        progress: Progress | None = None,
    ) -> SlideLabels:
        """Tell the labels of a slide, with the tiles that say so on it.

        `region`: keep to tiles inside; `name`, `patient`: whose slide it is, as far as the training may know
        them. The result is that of `label_tiles`, with `tiles`. Raises `SlideError`, `RegionError` or
        `ModelError` if slide, region or encoder cannot be used.
        """
        scale = checked_scale(slide)
        pitch_um = float(self.card.settings.get("pitch_um", PITCH_UM))
        tiles = grid_tiles(slide, pitch_um, region=region)
        coarser = times_coarser(self.card, image_fineness(slide, tiles, self.encoder.mpp), str(slide.path))
        features = encode_tiles(slide, tiles, self.encoder, progress=progress)
        name = name or slide.name
        found = self.label_tiles(features, name=name, patient=patient, coarser=coarser, scale=scale)
        section = tiles_told(self.card, self.outputs, slide, tiles, found, name, patient)
        return replace(found, tiles=section)

    def label_tiles(
        self,
        features: Floats,
        *,
        name: str = "",
        patient: str = "",
        coarser: float | None = None,
        scale: str = "",
    ) -> SlideLabels:
        """Tell the labels of a slide whose tiles have been described already.

        Returns
        -------
        SlideLabels
            Its `told` has a row each label: `told` (the likeliest class, or the value; `unknown` where most
            of the slide is unlike the training), `nearest`, its `probability`, for numbers `low` and `high`
            of a 90 % interval, `held_out` (area under the curve, or r, on patients held out), and `P(class)`.

        Raises
        ------
        ModelError
            If nothing was learned, or the descriptors are of another length or not finite.
        """
        import torch

        from histoscribe.features.device import one_thread

        state, features = self.fitted, np.asarray(features, dtype=np.float32)
        if features.ndim != 2 or features.shape[1] != len(state.scale[0]) or not np.isfinite(features).all():
            problem = f"descriptors of shape {features.shape} are no tiles of {len(state.scale[0])} numbers"
            raise ModelError(problem, remedy="describe the slide with the model's encoder")
        own = torch.from_numpy(inputs_of(features, state.pooling, state.scale))
        with one_thread():
            weighed = [network.weigh(own) for network in state.networks]
        parts = zip(*weighed, strict=True)
        attention, evidence = (np.mean([one.numpy() for one in part], axis=0) for part in parts)
        offset = np.mean([network.offset.detach().numpy() for network in state.networks], axis=0)
        answers = evidence.sum(0, dtype=np.float64) + offset
        novelty = state.familiar.novelty(features, np.ascontiguousarray(own_units(features) @ state.axes))
        verdict = judge(
            self.card,
            state.familiar,
            novelty,
            features,
            section=name,
            patient=patient,
            coarser=coarser,
            genes=None,
            scale=scale,
        )
        told = told_of(answers[None], state.labels, state.calibration, self.card, verdict)
        return SlideLabels(told, attention, evidence, novelty, verdict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each column of attention and evidence is of: a label, or one of its several classes."""
        found: list[str] = []
        for one in self.fitted.labels:
            several = [f"{one.name}: {name}" for name in one.classes]
            found += several if len(several) > 2 else [one.name]
        return tuple(found)

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        state = self.fitted
        found = {"mean": state.scale[0], "deviation": state.scale[1], "axes": state.axes}
        found |= {f"familiar.{name}": getattr(state.familiar, name) for name in _FAMILIAR}
        return found | {name: v.numpy() for name, v in side_by_side(state.networks).state_dict().items()}

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[LabellerSettings, LabellerState]:
        import torch

        from histoscribe.labeller.network import POOLINGS, SlideNetwork

        own = card.settings
        wrong = (KeyError, TypeError, ValueError)
        with told_as(ModelError, "the card cannot be used", *wrong, where=where, remedy=ANEW):
            units = [(float(one["mean"]), float(one["sd"])) for one in own["labels"]]
            named = [(str(one["name"]), tuple(map(str, one["classes"]))) for one in own["labels"]]
            labels = tuple(Label(*a, np.zeros(0), *b) for a, b in zip(named, units, strict=True))
            how = tuple(np.array(one["calibration"], dtype=np.float64) for one in own["labels"])
            count, wide = int(own["networks"]), int(own["descriptors"])
            sound = all(len(c) == 1 + (len(one.classes) or 2) for c, one in zip(how, labels, strict=True))
            kept, looks, axes = map(int, own["familiar"])
            sizes = zip((count, wide, kept, looks, axes), (_MOST_NETWORKS, *[65_536] * 4), strict=True)
            if not (sound and labels and all(0 < size <= most for size, most in sizes)):
                raise ValueError("a size is out of range")
            pooling = POOLINGS[POOLINGS.index(card.variant)]
        outputs = columns_of(labels)[-1].stop
        shapes: dict[str, tuple[int, ...]] = {"mean": (wide,), "deviation": (wide,), "axes": (wide, axes)}
        shapes |= shapes_of_familiar(wide, looks, kept, axes)
        networks = [SlideNetwork(wide, pooling, torch.eye(outputs)) for _ in range(count)]
        whole = side_by_side(networks).eval()
        shapes |= {name: tuple(v.shape) for name, v in whole.state_dict().items()}
        require_shapes(tensors, shapes, where=where)
        whole.load_state_dict({name: torch.from_numpy(tensors[name].copy()) for name in whole.state_dict()})
        familiar = NoveltyReference(*(tensors[f"familiar.{name}"] for name in _FAMILIAR))
        scale = (tensors["mean"], tensors["deviation"])
        state = LabellerState(labels, how, pooling, networks, scale, familiar, tensors["axes"])
        return settings_from(LabellerSettings, card, where), state
