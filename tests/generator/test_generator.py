from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
import torch

from histoscribe.errors import Cancelled, ModelError, SettingError, TableError
from histoscribe.generator import Cohort, Generator
from histoscribe.generator.result import change_table, gene_set_changes
from histoscribe.genes import shipped_gene_sets
from histoscribe.progress import Progress
from histoscribe.record import record_of


def test_generated_profiles_carry_their_parents_and_the_programme(
    generator: Generator, primaries: anndata.AnnData, livers: anndata.AnnData
) -> None:
    made = generator.generate(primaries, site="liver", normal=livers, samples=60, seed=3)
    assert made.shape == (60, len(generator.genes))
    assert set(made.obs["cancer"]) == {"LUSC"}
    assert set(made.obs["primary"]) == set(primaries.obs_names)
    assert set(made.obs["normal"]) <= set(livers.obs_names)
    changes = gene_set_changes(made, shipped_gene_sets())["change"]
    assert changes["CELL_CYCLE"] > 0.5
    assert changes["SITE_LIVER"] > 1
    assert changes["SQUAMOUS"] < 0
    assert change_table(made)["change"].abs().is_monotonic_decreasing


def test_the_site_shows_in_the_measure_of_the_asked_purity(
    generator: Generator, primaries: anndata.AnnData
) -> None:
    liver = [gene for gene in shipped_gene_sets()["SITE_LIVER"] if gene in generator.genes]
    levels = [
        generator.generate(primaries, site="liver", purity=share, samples=30)[:, liver].X.mean()
        for share in (0.3, 0.6, 0.95)
    ]
    assert levels[0] > levels[1] > levels[2]


def test_same_seed_same_samples(generator: Generator, primaries: anndata.AnnData) -> None:
    one, same, other = (
        generator.generate(primaries, site="lung", samples=20, seed=seed).X for seed in (5, 5, 6)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_what_leaves_is_never_negative_nor_missing(generator: Generator, primaries: anndata.AnnData) -> None:
    primaries.X = np.where(np.arange(primaries.n_vars) % 3, 0.0, 22.0).astype(np.float32) + np.float32(
        np.random.default_rng(0).uniform(0, 0.1, primaries.shape)
    )
    made = generator.generate(primaries, site="liver", samples=40, purity=0.99)
    assert np.isfinite(made.X).all()
    assert (made.X >= 0).all()


def test_a_saved_model_answers_as_the_fitted_one(
    generator: Generator, primaries: anndata.AnnData, tmp_path: Path
) -> None:
    generator.save(tmp_path / "model")
    loaded = Generator.load(tmp_path / "model")
    made = [one.generate(primaries, site="liver", samples=10).X for one in (generator, loaded)]
    assert np.array_equal(*made)
    assert loaded.card.sha256 == generator.card.sha256
    assert (loaded.cancers, loaded.sites) == (("BRCA", "LUSC"), ("liver", "lung"))


@pytest.mark.parametrize("key", ["cancers", "sites", "samples"])
def test_a_card_that_does_not_fit_is_refused(generator: Generator, tmp_path: Path, key: str) -> None:
    import json

    generator.save(tmp_path / "model")
    card = json.loads((tmp_path / "model/card.json").read_text())
    card["settings"][key] = ["A"] if key != "samples" else {"metastasis": 10**9}
    (tmp_path / "model/card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError):
        Generator.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"site": "moon"}, "no site called moon; choose from liver, lung"),
        ({"site": "liver", "cancer": "GBM"}, "no cancer called GBM"),
        ({"site": "liver", "samples": 0}, "0 samples"),
        ({"site": "liver", "purity": 1.5}, "purity of 1.5 is not possible"),
        ({"site": "liver", "purity": (0.8, 0.2)}, "not possible"),
    ],
)
def test_what_cannot_be_asked(
    generator: Generator, primaries: anndata.AnnData, asked: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingError, match=said):
        generator.generate(primaries, **asked)


def test_few_missing_genes_are_filled_and_many_are_refused(
    generator: Generator, primaries: anndata.AnnData
) -> None:
    made = generator.generate(primaries[:, 20:].copy(), site="liver", samples=5)
    assert any("20 of" in note for note in record_of(made).notes)
    with pytest.raises(TableError, match=r"genes are missing, more than may be filled.*imputer"):
        generator.generate(primaries[:, :60].copy(), site="liver", samples=5)


def test_a_sample_without_any_value_is_refused(generator: Generator, primaries: anndata.AnnData) -> None:
    primaries.X[0] = np.nan
    with pytest.raises(TableError, match="no value of any model gene"):
        generator.generate(primaries, site="liver", samples=5)


def test_parents_of_two_scales_are_brought_together_and_said(
    generator: Generator, primaries: anndata.AnnData, livers: anndata.AnnData
) -> None:
    plain = generator.generate(primaries, site="liver", normal=livers, samples=30).X
    livers.X = np.round(np.exp2(livers.X) * 3).astype(np.float32)
    made = generator.generate(primaries, site="liver", normal=livers, samples=30)
    notes = record_of(made).notes
    assert any("different scales" in note for note in notes)
    assert any("rank by rank" in note for note in notes)
    assert np.corrcoef(made.X.mean(0), plain.mean(0))[0, 1] > 0.95


def test_samples_of_mixed_scales_are_refused(generator: Generator, primaries: anndata.AnnData) -> None:
    primaries.X[:2] = np.exp2(primaries.X[:2] + 4) + 0.5
    with pytest.raises(TableError, match="different scales"):
        generator.generate(primaries, site="liver", samples=5)


def test_codes_of_metastases_tell_their_classes(generator: Generator, table: anndata.AnnData) -> None:
    met = table[(table.obs["sample_type"] == "metastatic").to_numpy()].copy()
    codes = generator.encode(met, adapt=False)
    known, cancers, sites = generator.known()
    assert codes.shape == known.shape == (met.n_obs, 64)
    assert np.allclose(codes, known, atol=0.1)
    assert (cancers, sites) == (met.obs["cancer"].tolist(), met.obs["site"].tolist())


def test_a_run_can_be_cancelled(cohort: Cohort, generator: Generator, primaries: anndata.AnnData) -> None:
    for job in (
        lambda progress: Generator(met_steps=40, mixing_steps=40).fit(cohort, progress=progress),
        lambda progress: generator.generate(primaries, site="liver", samples=2000, progress=progress),
    ):
        steps = []
        progress = Progress(steps.append)
        progress._listener = lambda step, progress=progress: progress.cancel()
        with pytest.raises(Cancelled):
            job(progress)


def test_nothing_works_before_it_has_learned(primaries: anndata.AnnData) -> None:
    with pytest.raises(ModelError, match="learned nothing"):
        Generator().generate(primaries, site="liver")
    with pytest.raises(SettingError):
        Generator(met_steps=0)


def test_loading_leaves_the_random_state_as_it_was() -> None:
    state = torch.random.get_rng_state()
    Generator.load("generator-tcga11")
    assert torch.equal(torch.random.get_rng_state(), state)
