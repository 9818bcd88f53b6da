"""A prediction that lies on disk is, digit for digit, the one in memory."""

from __future__ import annotations

from dataclasses import replace

import anndata
import numpy as np
import pytest

from histoscribe import rows
from histoscribe.graphs import spatial
from histoscribe.predictor import Predictor
from histoscribe.record import record_of
from histoscribe.rows import is_lazy
from histoscribe.section import gene_column, open_section, write_section
from histoscribe.section.readers import h5ad
from histoscribe.slide import open_slide

GRID_UM = 30


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    import tifffile
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(0)
    dark = np.clip(60 + 400 * gaussian_filter(random.standard_normal((900, 1000)), 3), 0, 200)
    image = np.stack([235 - dark, 200 - dark, 230 - dark / 2], axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    tifffile.imwrite(path, image, tile=(256, 256), photometric="rgb")
    return open_slide(path, mpp=1.0)


class Shades:
    """As many descriptors as the built-in encoder has, made of the mean colours."""

    name, dimension, crop_um, mpp = "builtin-1", 336, 100.0, 1.0

    def encode(self, crops):
        means = crops.reshape(len(crops), -1, 3).mean(axis=1)
        return np.sin(means @ np.random.default_rng(1).normal(size=(3, self.dimension))).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("smooth", [0.0, 0.4])
def test_on_disk_every_digit_is_that_in_memory(slide, tmp_path, monkeypatch, smooth):
    monkeypatch.setattr(rows, "RUN", 256)
    monkeypatch.setattr(spatial, "_CHUNK", 128)
    predictor = Predictor.load("her2st-breast", device="cpu", encoder=Shades())
    weights = replace(predictor.fitted.weights, rough=-smooth / 2, smooth=smooth)
    predictor._fitted = replace(predictor.fitted, weights=weights)
    whole = predictor.predict(slide, pitch_um=GRID_UM)
    monkeypatch.setattr(rows, "_MOST_HELD", 100)
    monkeypatch.setattr(h5ad, "LAZY", 100)
    held = predictor.predict(slide, pitch_um=GRID_UM)
    assert is_lazy(held.table.X)
    assert not is_lazy(whole.table.X)
    for section, name in ((whole, "whole"), (held, "held")):
        write_section(section, tmp_path / f"{name}.h5ad")
    one, other = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("whole", "held"))
    for name, values in {"X": one.X, **one.layers, **one.obsm}.items():
        there = other.X if name == "X" else {**other.layers, **other.obsm}[name]
        np.testing.assert_array_equal(there, values, err_msg=name)
    assert one.obs.equals(other.obs)
    assert one.var.equals(other.var)
    assert record_of(one).verdict == record_of(other).verdict
    assert str(record_of(one).to_mapping()) == str(record_of(other).to_mapping())
    again = open_section(tmp_path / "held.h5ad")
    assert is_lazy(again.table.X)
    gene = again.genes[7]
    np.testing.assert_array_equal(gene_column(again, gene), one.X[:, 7])
    np.testing.assert_array_equal(gene_column(held, gene), one.X[:, 7])
    if not smooth:
        pytest.importorskip("spatialdata", reason="needs the extra 'spatialdata'")
        brought = open_section(write_section(again, tmp_path / "held.zarr"))
        assert is_lazy(brought.table.X)
        np.testing.assert_array_equal(gene_column(brought, gene), one.X[:, 7])
        np.testing.assert_array_equal(brought.table.X, one.X)
        np.testing.assert_array_equal(brought.table.layers["high"], one.layers["high"])
