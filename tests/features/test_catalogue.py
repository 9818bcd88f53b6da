"""Every published encoder: what the catalogue states, and each built by the real code with random weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from histoscribe.errors import ModelError, SettingError
from histoscribe.features import TileEncoder, encode_tiles, encoder_named
from histoscribe.features.networks.catalogue import PUBLISHED, Published, published_encoder
from histoscribe.slide import open_slide
from histoscribe.tiles import Tiles

ROOT = Path(__file__).parents[2]
BY_TIMM = [name for name, one in PUBLISHED.items() if one.library == "timm"]
NARROW = {"depth": 2, "embed_dim": 48, "num_heads": 4}
THIN = {
    "resnet50": {"layers": (1, 1, 1, 1), "base_width": 16},
    "swin_tiny_patch4_window7_224": {"embed_dim": 32, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 4, 8)},
}
OF_TRANSFORMERS = {
    "phikon": ("vit", {}), "phikon-v2": ("dinov2", {}), "midnight": ("dinov2", {}),
    "hibou-b": ("dinov2_with_registers", {"num_register_tokens": 4}),
    "hibou-l": ("dinov2_with_registers", {"num_register_tokens": 4}),
}  # fmt: skip


def timm_lane() -> Any:
    return pytest.importorskip(
        "timm", reason="needs the extra 'timm' with its torchvision", exc_type=Exception
    )


def crops(encoder: TileEncoder, count: int = 2) -> np.ndarray:
    side = round(encoder.crop_um / encoder.mpp)
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def light(images: np.ndarray, one: Published) -> Any:
    import torch

    values = ((images / 255 - one.mean) / one.std).astype(np.float32)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


def lay(folder: Path, one: Published, weights: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / "model.safetensors")
    (folder / "origin.json").write_text(json.dumps({"name": one.name}))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def narrow(one: Published) -> Published:
    """The same encoder with a small network."""
    arguments = {**one.arguments, **THIN.get(one.architecture, NARROW)}
    return replace(one, arguments=arguments, dimension=32 if one.pooling == "attention" else one.dimension)


def shaken(model: Any) -> Any:
    """A network of random weights that differ everywhere, LayerScale's and biases too."""
    import torch

    torch.manual_seed(0)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return model.eval()


def test_thirty_five_are_known_and_each_says_all_that_is_asked() -> None:
    assert len(PUBLISHED) == 35
    for name, one in PUBLISHED.items():
        assert name == one.name
        assert one.licence
        assert "/" in one.repository
        assert one.page.startswith(("https://huggingface.co/", "https://github.com/"))
        assert (one.side, one.mpp) in {(224, 0.5), (256, 0.5), (256, 1.0), (384, 0.5), (448, 0.5)}
        assert bool(one.architecture) is (one.library == "timm")
        assert all(0 < value < 1 for value in (*one.mean, *one.std))


@pytest.mark.parametrize(
    ("called", "name"),
    [("uni2_h", "uni2"), ("phikon_v2", "phikon-v2"), ("H_optimus_0", "h-optimus-0"), ("keep", "keep")],
)
def test_names_are_known_however_they_are_written(called: str, name: str) -> None:
    assert published_encoder(called).name == name
    with pytest.raises(SettingError, match="no encoder is called 'resnet'"):
        published_encoder("resnet")


def test_the_guide_lists_them_as_they_are() -> None:
    page = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", page, flags=re.MULTILINE))
    assert rows == {
        name: " | ".join([
            one.repository, one.library, f"{one.side} at {one.mpp:g}", f"{one.dimension}, {one.pooling}",
            one.licence, "yes" if one.gated else "no", f"`{one.file}`",
        ])
        for name, one in PUBLISHED.items()
    }  # fmt: skip


@dataclass
class Looking:
    """An encoder of some size and scale that keeps what it was shown."""

    side: int
    mpp: float
    name: str = "looking"
    dimension: int = 1
    shown: list[np.ndarray] = field(default_factory=list)

    @property
    def crop_um(self) -> float:
        return self.side * self.mpp

    def encode(self, crops: np.ndarray) -> np.ndarray:
        self.shown.append(crops)
        return np.zeros((len(crops), 1), np.float32)


@pytest.mark.parametrize(
    ("side", "mpp"), sorted({(one.side, one.mpp) for one in PUBLISHED.values()} | {(224, 0.25), (448, 0.25)})
)
def test_a_slide_is_read_at_each_ones_own_scale(side: int, mpp: float, tmp_path: Path) -> None:
    period_um, slide_mpp = 16.0, 0.25
    across = np.arange(2048) * slide_mpp
    stripes = np.broadcast_to(
        (128 + 100 * np.sin(2 * np.pi * across / period_um))[:, None, None], (2048, 2048, 3)
    )
    tifffile.imwrite(tmp_path / "slide.tif", stripes.astype(np.uint8), tile=(256, 256), photometric="rgb")
    encoder = Looking(side, mpp)
    tiles = Tiles(np.array([[1024.0, 1024.0]]), 100.0, ("one",), 55.0)
    encode_tiles(open_slide(tmp_path / "slide.tif", mpp=slide_mpp), tiles, encoder)
    (crop,) = encoder.shown
    assert crop.shape == (1, side, side, 3)
    waves = np.abs(np.fft.rfft(crop[0, :, 0, 0] - crop[0, :, 0, 0].mean()))
    assert int(waves.argmax()) == pytest.approx(side * mpp / period_um, abs=0.51)


@pytest.mark.parametrize("name", OF_TRANSFORMERS)
def test_one_of_transformers_gives_what_transformers_gives(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra 'foundation'")
    import torch

    one, (kind, fields) = PUBLISHED[name], OF_TRANSFORMERS[name]
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.AutoConfig.for_model(kind, image_size=one.side, patch_size=16, **small, **fields)
    model = shaken(transformers.AutoModel.from_config(config))
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    folder = lay(tmp_path / "here", one, weights, config.to_dict())
    encoder = encoder_named(str(folder))
    images = crops(encoder)
    with torch.no_grad():
        tokens = model(pixel_values=light(images, one)).last_hidden_state
    registers = fields.get("num_register_tokens", 0)
    both = one.pooling == "class and mean"
    parts = [tokens[:, 0], tokens[:, 1 + registers :].mean(1)] if both else [tokens[:, 0]]
    expected = torch.cat(parts, dim=1).numpy()
    assert (encoder.dimension, encoder.mpp) == (expected.shape[1], one.mpp)
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-5)


def built(one: Published, timm: Any) -> Any:
    """timm's own network for a row of the catalogue, made without our code."""
    import torch
    from timm.layers import SwiGLUPacked

    from histoscribe.features.networks.heads import ConvStem

    layers = {"SwiGLUPacked": SwiGLUPacked, "SiLU": torch.nn.SiLU, "ConvStem": ConvStem}
    arguments = {
        key: layers.get(value, value) if isinstance(value, str) else value
        for key, value in one.arguments.items()
    }
    return timm.create_model(one.architecture, pretrained=False, num_classes=0, **arguments)


@pytest.mark.parametrize("name", BY_TIMM)
def test_one_of_timm_gives_what_timm_gives(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = timm_lane()
    import torch
    from torch.nn import functional

    one = narrow(PUBLISHED[name])
    monkeypatch.setitem(PUBLISHED, name, one)
    trunk = shaken(built(one, timm))
    weights = dict(trunk.state_dict())
    if one.pooling in ("attention", "projection"):
        weights, head = headed(one, trunk)
    folder = lay(tmp_path / "here", one, weights)
    encoder = encoder_named(str(folder))
    images = crops(encoder)
    with torch.no_grad():
        batch = light(images, one)
        if one.pooling == "network":
            expected = trunk(batch)
        elif one.pooling in ("attention", "projection"):
            expected = head(trunk.forward_features(batch), functional)
        else:
            tokens = trunk.forward_features(batch)
            expected = tokens[:, 0]
            if one.pooling == "class and mean":
                after = 1 + int(one.arguments.get("reg_tokens", 0))
                expected = torch.cat([expected, tokens[:, after:].mean(1)], dim=1)
    assert encoder.dimension == expected.shape[1]
    np.testing.assert_allclose(encoder.encode(images), expected.numpy(), atol=1e-5, rtol=1e-5)


def headed(one: Published, trunk: Any) -> tuple[dict[str, Any], Any]:
    """Weights of a head as its owners name them, and what it makes of tokens, written from their formulas."""
    import torch

    torch.manual_seed(1)
    width, d = trunk.num_features, one.dimension
    if one.pooling == "projection":
        head = {
            f"visual_head.{part}": torch.randn(shape) * 0.1
            for part, shape in (
                ("0.weight", (d, width)), ("0.bias", (d,)), ("2.weight", (d, d)), ("2.bias", (d,))
            )
        }  # fmt: skip

        def project(tokens: Any, f: Any) -> Any:
            first = f.gelu(f.linear(tokens[:, 0], head["visual_head.0.weight"], head["visual_head.0.bias"]))
            out = f.linear(first, head["visual_head.2.weight"], head["visual_head.2.bias"])
            return out / out.norm(dim=1, keepdim=True)

        named = {f"visual.{key}": value for key, value in trunk.state_dict().items()}
        named = {re.sub(r"(ls[12])\.gamma", r"\1.weight", key): value for key, value in named.items()}
        return named | head | {"text.embeddings": torch.zeros(3), "logit_scale": torch.zeros(1)}, project
    q, k, v, out = torch.randn(d, d), torch.randn(d, width), torch.randn(d, width), torch.randn(d, d)
    query, around = torch.randn(1, d), "" if one.name == "conch-v1-5" else "visual."
    pool = f"{around}attn_pool_contrast."
    norms = {
        f"{place}.{part}": torch.rand(size) + 0.5
        for place, size in ((f"{pool}ln_q", d), (f"{pool}ln_k", width), (f"{around}ln_contrast", d))
        for part in ("weight", "bias")
    }
    if one.name == "conch-v1-5":  # no biases, keys and values in one matrix
        attention = {"to_q.weight": q, "to_kv.weight": torch.cat([k, v]), "to_out.weight": out}
    else:
        attention = {
            "attn.q_proj_weight": q, "attn.k_proj_weight": k, "attn.v_proj_weight": v,
            "attn.in_proj_bias": torch.zeros(3 * d), "attn.out_proj.weight": out,
            "attn.out_proj.bias": torch.zeros(d),
        }  # fmt: skip

    def attend(tokens: Any, f: Any) -> Any:
        def normed(values: Any, place: str) -> Any:
            return f.layer_norm(values, values.shape[-1:], norms[f"{place}.weight"], norms[f"{place}.bias"])

        seen, asked = normed(tokens, f"{pool}ln_k"), normed(query, f"{pool}ln_q") @ q.T
        keys, values = (seen @ part.T for part in (k, v))
        heads = [t.unflatten(-1, (8, d // 8)) for t in (asked, keys, values)]
        share = torch.einsum("qhc,bnhc->bhn", heads[0], heads[1]) / (d // 8) ** 0.5
        mixed = torch.einsum("bhn,bnhc->bhc", share.softmax(-1), heads[2]).flatten(1)
        return normed(mixed @ out.T, f"{around}ln_contrast")

    named = {f"{around}trunk.{key}": value for key, value in trunk.state_dict().items()}
    named |= norms | {f"{pool}{key}": value for key, value in attention.items()} | {f"{pool}query": query}
    if around:
        named |= {"text.cls_emb": torch.zeros(3), "visual.proj_contrast": torch.zeros(d, d)}
    return named, attend


@pytest.mark.parametrize("name", BY_TIMM)
def test_the_whole_network_is_as_wide_as_stated(name: str, tmp_path: Path) -> None:
    timm_lane()
    import torch

    one = PUBLISHED[name]
    folder = lay(tmp_path / "here", one, {"none": torch.zeros(1)})
    assert encoder_named(str(folder)).dimension == one.dimension


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("openmidnight", lambda key: key),
        ("openpath", lambda key: re.sub(r"^blocks\.(\d+)\.", r"blocks.0.\1.", f"{key}")),
        ("hipt", lambda key: f"module.backbone.{key}"),
        ("sp22m", lambda key: f"encoder.{key}"),
    ],
)
def test_weights_are_known_by_their_owners_names(
    name: str, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = timm_lane()
    import torch

    one = narrow(PUBLISHED[name])
    monkeypatch.setitem(PUBLISHED, name, one)
    trunk = shaken(built(one, timm))
    own = dict(trunk.state_dict())
    if "reg_token" in own:  # as DINOv2 writes it: the class token's place apart from the token
        place = torch.randn(1, 1, own["pos_embed"].shape[2])
        own["register_tokens"], own["mask_token"] = own.pop("reg_token"), torch.zeros(1)
        own["pos_embed"] = torch.cat([place, own["pos_embed"]], dim=1)
        own["cls_token"] = own["cls_token"] - place
        own = {key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): v for key, v in own.items()}
    own |= {"head.mlp.0.weight": torch.zeros(2)}
    encoder = encoder_named(str(lay(tmp_path / "here", one, {write(key): v for key, v in own.items()})))
    images = crops(encoder)
    with torch.no_grad():
        expected = trunk.forward_features(light(images, one))[:, 0].numpy()
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-5, rtol=1e-5)


BEIT3 = (
    (r"^cls_token", "vision_embed.cls_token"), (r"^patch_embed", "vision_embed"),
    (r"^norm\.", "encoder.layer_norm.A."), (r"^blocks", "encoder.layers"),
    (r"attn\.norm\.", "self_attn.inner_attn_ln.A."), (r"attn\.proj\.", "self_attn.out_proj.A."),
    (r"mlp\.fc", "ffn.A.fc"), (r"mlp\.norm", "ffn.A.ffn_layernorm"),
    (r"norm1\.", "self_attn_layer_norm.A."), (r"norm2\.", "final_layer_norm.A."),
)  # fmt: skip


def test_musk_is_read_without_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = timm_lane()
    import torch

    one = narrow(PUBLISHED["musk"])
    monkeypatch.setitem(PUBLISHED, "musk", one)
    trunk = shaken(built(one, timm))
    written = {"beit3.text_embed.weight": torch.zeros(2), "logit_scale": torch.zeros(1)}
    written |= {"vision_head.weight": torch.zeros(2), "beit3.vision_embed.mask_token": torch.zeros(1)}
    for key, value in trunk.state_dict().items():
        if key == "pos_embed":
            padded = torch.cat([torch.zeros(2, value.shape[2]), value[0]])
            written["beit3.encoder.embed_positions.A.weight"] = padded
            continue
        for ours, theirs in BEIT3:
            key = re.sub(ours, theirs, key)
        parts = zip("qkv", value.chunk(3), strict=True) if "qkv" in key else [("", value)]
        for part, own in parts:
            name = key.replace("attn.qkv", f"self_attn.{part}_proj.A")
            written |= {f"beit3.{name}": own, f"beit3.{name.replace('.A.', '.B.')}": own}
    encoder = encoder_named(str(lay(tmp_path / "here", one, {k: v.clone() for k, v in written.items()})))
    images = crops(encoder, 1)
    with torch.no_grad():
        expected = trunk.forward_features(light(images, one))[:, 0].numpy()
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-5, rtol=1e-5)


def test_changes_to_another_network_are_refused(tmp_path: Path) -> None:
    timm_lane()
    import torch

    weights = {"encoder.base_model.model.blocks.0.attn.qkv.lora_A.default.weight": torch.zeros(2, 2)}
    encoder = encoder_named(str(lay(tmp_path / "here", PUBLISHED["seal-uni2"], weights)))
    with pytest.raises(ModelError, match=r"changes .LoRA. to another network's"):
        encoder.encode(crops(encoder, 1))
