"""Learned encoders, loaded by the real code from checkpoints that the tests write."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from histoscribe.errors import DependencyError, HistoscribeError, ModelError, SettingError
from histoscribe.features import TileEncoder, encoder_named, same_encoder
from histoscribe.features.networks.catalogue import PUBLISHED

transformers = pytest.importorskip("transformers", reason="needs the extra 'foundation'")

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
COLOURS = {"image_mean": [0.7, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}


def write(folder: Path, kind: str, preprocessing: dict, **fields: object) -> Path:
    import torch

    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **SMALL, **fields)
    model = transformers.AutoModel.from_config(config)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder each: a plain one like Phikon, one like Phikon-v2, one with registers like Hibou."""
    root = tmp_path_factory.mktemp("encoders")
    steps = {**COLOURS, "size": {"height": 32, "width": 32}}
    cropped = {**COLOURS, "size": {"shortest_edge": 36}, "do_center_crop": True, "crop_size": 28}
    return {
        "vit": write(root / "vit", "vit", steps, image_size=32, patch_size=8),
        "dinov2": write(root / "dinov2", "dinov2", cropped, image_size=56, patch_size=14),
        "registers": write(
            root / "registers",
            "dinov2_with_registers",
            {**COLOURS, "size": {"height": 28, "width": 28}},
            image_size=28,
            patch_size=14,
            num_register_tokens=4,
        ),
    }


@pytest.fixture
def copy(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the plain one, to be harmed."""
    return Path(shutil.copytree(checkpoints["vit"], tmp_path / "copy"))


def crops(encoder: TileEncoder, count: int = 6) -> np.ndarray:
    side = round(encoder.crop_um / encoder.mpp)
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def expected(folder: Path, images: np.ndarray) -> np.ndarray:
    """The class tokens that transformers' own classes give."""
    import torch

    model = transformers.AutoModel.from_pretrained(folder).eval()
    light = (images / 255 - COLOURS["image_mean"]) / COLOURS["image_std"]
    batch = torch.from_numpy(light.astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        return model(pixel_values=batch).last_hidden_state[:, 0].numpy()


@pytest.mark.parametrize(("kind", "side"), [("vit", 32), ("dinov2", 28), ("registers", 28)])
def test_a_folder_becomes_an_encoder(checkpoints: dict[str, Path], kind: str, side: int) -> None:
    encoder = encoder_named(str(checkpoints[kind]))
    assert isinstance(encoder, TileEncoder)
    assert (encoder.dimension, encoder.crop_um, encoder.mpp) == (16, side / 2, 0.5)
    assert encoder.name.startswith(f"{kind}@")
    images = crops(encoder)
    found = encoder.encode(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(checkpoints[kind], images), atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(images), found)
    assert encoder.encode(images[:0]).shape == (0, 16)


def test_hibou_is_read_without_the_code_that_comes_with_it(copy: Path, checkpoints: dict[str, Path]) -> None:
    shutil.copytree(checkpoints["registers"], copy, dirs_exist_ok=True)
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "hibou", "auto_map": {"AutoModel": "modeling.HibouModel"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "modeling.py").write_text("raise SystemExit('foreign code was run')\n")
    encoder = encoder_named(str(copy))
    images = crops(encoder)
    np.testing.assert_allclose(encoder.encode(images), expected(checkpoints["registers"], images), atol=1e-5)


def test_what_is_sent_to_a_worker_is_small_and_the_same(checkpoints: dict[str, Path]) -> None:
    encoder = encoder_named(str(checkpoints["vit"]))
    images = crops(encoder)
    before = encoder.encode(images)
    sent = pickle.dumps(encoder)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).encode(images), before)  # noqa: S301


def test_other_weights_are_another_encoder(copy: Path, checkpoints: dict[str, Path]) -> None:
    from safetensors.numpy import load_file, save_file

    encoder = encoder_named(str(copy))
    assert same_encoder(encoder.name, encoder_named(str(checkpoints["vit"])).name)
    weights = load_file(copy / "model.safetensors")
    save_file({key: value + 1 for key, value in weights.items()}, copy / "model.safetensors")
    other = encoder_named(str(copy))
    assert not same_encoder(encoder.name, other.name)
    with pytest.raises(ModelError, match="not copy@"):
        encoder.encode(crops(encoder))


def test_a_card_finds_the_folder_by_its_hash(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    encoder = encoder_named(str(checkpoints["dinov2"]))
    assert encoder_named(f"whatever@{encoder.name.partition('@')[2]}") == encoder
    with pytest.raises(ModelError, match="give that folder with --encoder"):
        encoder_named("dinov2@0123456789abcdef")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HISTOSCRIBE_ENCODERS", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_published_encoder_is_found_where_fetched_ones_lie(
    checkpoints: dict[str, Path], cache: Path
) -> None:
    shutil.copytree(checkpoints["vit"], cache / "phikon")
    (cache / "phikon" / "origin.json").write_text('{"name": "phikon"}')
    encoder = encoder_named("phikon")
    assert (encoder.crop_um, encoder.mpp) == (112.0, 0.5)
    assert encoder_named(encoder.name) == encoder
    with pytest.raises(ModelError, match="the phikon that is here is phikon@"):
        encoder_named("phikon@0123456789abcdef")


@pytest.mark.parametrize("name", PUBLISHED)
def test_one_that_is_not_here_says_licence_and_how_to_get_it(name: str, cache: Path) -> None:
    with pytest.raises(ModelError) as caught:
        encoder_named(name)
    assert PUBLISHED[name].licence in str(caught.value)
    assert f"histoscribe fetch {name}" in str(caught.value)


def drop(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def rewrite(folder: Path, name: str, **fields: object) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **fields}))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: drop(folder, "config.json"), "no encoder lies in this folder"),
        (lambda folder: drop(folder, "model.safetensors"), "holds no weights"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "config.json").write_text("[" * 10**6), "damaged"),
        (lambda folder: rewrite(folder, "config.json", model_type="llama"), "'llama' is not known"),
        (lambda folder: rewrite(folder, "config.json", hidden_size="wide"), "does not fit a vit"),
        (lambda folder: rewrite(folder, "preprocessor_config.json", image_mean=[1]), "not stated well"),
        (lambda folder: rewrite(folder, "preprocessor_config.json", size=10**9), "not stated well"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "a pickle, which can run any program",
        ),
    ],
    ids=["no config", "no weights", "cut", "deep", "language", "width", "colours", "giant", "pickle"],
)
def test_a_bad_folder_is_refused_before_it_is_used(copy: Path, harm, says: str) -> None:
    harm(copy)
    with pytest.raises(HistoscribeError, match=says):
        encoder_named(str(copy))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda content: content[:-100], "cannot be loaded"),
        (lambda content: b"\xff" * 8 + content[8:], "cannot be loaded"),
        (lambda content: content.replace(b"layernorm.weight", b"layernorm.height"), "missing"),
    ],
    ids=["cut", "header of 2^64 bytes", "another network"],
)
def test_bad_weights_are_refused(copy: Path, harm, says: str) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(harm(file.read_bytes()))
    encoder = encoder_named(str(copy))
    with pytest.raises(ModelError, match=says):
        encoder.encode(crops(encoder))


def test_a_pickle_beside_the_weights_is_never_opened(copy: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "went off",)

    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    encoder = encoder_named(str(copy))
    encoder.encode(crops(encoder))
    assert not (tmp_path / "went off").exists()


def test_unfit_crops_are_refused(checkpoints: dict[str, Path]) -> None:
    encoder = encoder_named(str(checkpoints["vit"]))
    with pytest.raises(SettingError, match="do not fit the encoder vit@"):
        encoder.encode(np.zeros((2, 224, 224, 3), np.uint8))


def test_a_device_that_is_not_here_is_said(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(SettingError, match=r"not here|no such device"):
        encoder_named(str(checkpoints["vit"]), device="cuda:99")


@pytest.mark.parametrize(
    ("config", "package", "extra"),
    [
        ({"model_type": "vit"}, "transformers", "foundation"),
        ({"architecture": "vit_large_patch16_224"}, "timm", "timm"),
    ],
)
def test_a_missing_package_is_named(
    copy: Path, monkeypatch: pytest.MonkeyPatch, config: dict, package: str, extra: str
) -> None:
    (copy / "config.json").write_text(json.dumps(config))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf"napari-histoscribe\[{extra}\]"):
        encoder_named(str(copy))
