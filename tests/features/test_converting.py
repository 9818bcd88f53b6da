"""Pickles of weights become safetensors; what a pickle asks for beside weights never happens."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from histoscribe.errors import ModelError
from histoscribe.features.networks import conversion
from histoscribe.features.networks.catalogue import PUBLISHED
from histoscribe.features.networks.checkpoint import read_checkpoint
from histoscribe.features.networks.converting import convert_weights
from histoscribe.files import sha256

pytestmark = pytest.mark.slow


class Touch:
    """A pickle of it leaves a file behind where it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def weights() -> dict:
    import torch

    torch.manual_seed(0)
    whole = torch.randn(6, 4)
    return {"a.weight": whole, "a.part": whole[:, 1], "b": torch.arange(3, dtype=torch.float16)}


@pytest.mark.parametrize(
    "held",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "optimiser": {}, "state_dict": state},
        lambda state: {"student": {"x": state["b"]}, "teacher": state},
    ],
    ids=["bare", "of a run", "teacher"],
)
def test_the_weights_are_the_same_and_nothing_else(held: Callable, tmp_path: Path) -> None:
    import torch
    from safetensors.numpy import load_file

    torch.save(
        held(weights()), tmp_path / "net.pth", _use_new_zipfile_serialization="a.part" not in held(weights())
    )
    done = convert_weights(tmp_path / "net.pth")
    assert (done.path, done.tensors) == (tmp_path / "net.safetensors", 3)
    assert done.sha256 == sha256(done.path)
    found = load_file(done.path)
    assert found.keys() == weights().keys()
    for key, value in weights().items():
        np.testing.assert_array_equal(found[key], value.numpy())
        assert found[key].dtype == value.numpy().dtype


def test_a_published_one_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("HISTOSCRIBE_ENCODERS", str(tmp_path / "encoders"))
    torch.save(weights(), tmp_path / "pytorch_model.bin")
    done = convert_weights(tmp_path / "pytorch_model.bin", published=PUBLISHED["uni"])
    checkpoint = read_checkpoint(done.path)
    assert checkpoint.published == PUBLISHED["uni"]
    origin = json.loads((done.path / "origin.json").read_text())
    assert origin["converted_from"]["sha256"] == sha256(tmp_path / "pytorch_model.bin")
    assert origin["sha256"] == {"model.safetensors": done.sha256}


@pytest.mark.parametrize("how", ["plain", "zipped", "among weights of old"])
def test_a_malicious_pickle_never_runs(how: str, tmp_path: Path) -> None:
    import torch

    mark, file = tmp_path / "went off", tmp_path / "net.pt"
    if how == "plain":
        file.write_bytes(pickle.dumps(Touch(mark)))
    else:
        bad = Touch(mark) if how == "zipped" else {**weights(), "more": Touch(mark)}
        torch.save(bad, file, _use_new_zipfile_serialization=how == "zipped")
    with pytest.raises(ModelError, match="asks for something other than weights"):
        convert_weights(file)
    assert not mark.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt"]
    pickle.loads(pickle.dumps(Touch(mark)))  # noqa: S301
    assert mark.exists()  # so it would have


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x02}q\x00."])
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(ModelError, match="this is not converted"):
        convert_weights(tmp_path / "net.pt")
    with pytest.raises(ModelError, match="no such file"):
        convert_weights(tmp_path / "none.pt")


def test_a_file_that_unfolds_without_end_is_stopped(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.zeros(160_000_000, dtype=torch.uint8)}, tmp_path / "large.pt")
    with (
        zipfile.ZipFile(tmp_path / "large.pt") as large,
        zipfile.ZipFile(tmp_path / "net.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
    ):
        for entry in large.infolist():
            packed.writestr(entry.filename, large.read(entry))
    assert (tmp_path / "net.pt").stat().st_size < 2e6
    with pytest.raises(ModelError, match="more memory"):
        convert_weights(tmp_path / "net.pt", spare=80 << 20)
    assert not (tmp_path / "net.safetensors").exists()


TRIES = """
import importlib.util, json, os, socket, sys
spec = importlib.util.spec_from_file_location("conversion", sys.argv[1])
worker = importlib.util.module_from_spec(spec); spec.loader.exec_module(worker)
done = [*worker.leave_network(), *worker.bound(1 << 28, 30), *worker.leave_files(sys.argv[2])]
def refused(what):
    try: what()
    except (OSError, MemoryError) as error: return True
    return False
print(json.dumps({"given up": done,
    "connect": refused(lambda: socket.socket().connect(("127.0.0.1", int(sys.argv[3])))),
    "read": refused(lambda: open(sys.argv[1])), "write": refused(lambda: open(sys.argv[4], "w")),
    "memory": refused(lambda: bytearray(1 << 30)), "rise": refused(lambda: os.chroot("/"))}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_what_reads_it_reaches_nothing(tmp_path: Path) -> None:
    import socket

    (tmp_path / "room").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        given = [conversion.__file__, tmp_path / "room", server.getsockname()[1], tmp_path / "written"]
        command = [sys.executable, "-I", "-c", TRIES, *map(str, given)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    if "no files" not in found["given up"]:
        pytest.skip("this system lets an ordinary user shut nothing off")
    assert set(found["given up"]) == {
        "no network", "bounded memory", "bounded time", "no files", "no privileges"
    }  # fmt: skip
    assert all(found[what] for what in ("connect", "read", "write", "memory", "rise")), found
    assert not (tmp_path / "written").exists()
