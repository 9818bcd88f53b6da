"""Fetching from a hub that runs in this process and holds what the tests give it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from histoscribe.errors import Cancelled, ModelError
from histoscribe.features.networks.catalogue import PUBLISHED
from histoscribe.features.networks.fetching import fetch, look_up
from histoscribe.progress import Progress

pytest.importorskip("huggingface_hub", reason="needs the extra 'foundation'")

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Files of one repository, and how it answers."""

    files: dict[str, bytes] = field(default_factory=dict)
    licence: str = "apache-2.0"
    gated: bool = False
    locked: bool = False
    stated: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/api/models/"):
            siblings = [
                {
                    "rfilename": name,
                    "size": len(content),
                    "blobId": "b",
                    "lfs": {"sha256": self.digest(name), "size": len(content), "pointerSize": 1}
                    if name.endswith((".safetensors", ".bin"))
                    else None,
                }
                for name, content in self.files.items()
            ]
            info = {
                "id": "a/b",
                "sha": REVISION,
                "gated": "manual" if self.gated else False,
                "private": False,
            }
            info |= {"siblings": siblings, "cardData": {"license": self.licence}, "tags": [], "downloads": 0}
            return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
        name = path.partition("?")[0].rpartition("/")[2]
        self.asked.append(name)
        if self.locked:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if name not in self.files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        headers = {"X-Repo-Commit": REVISION, "ETag": f'"{self.digest(name)}"'}
        return 200, headers, self.files[name]

    def digest(self, name: str) -> str:
        return self.stated.get(name) or hashlib.sha256(self.files[name]).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    held = Hub({"config.json": b'{"model_type": "vit"}', "model.safetensors": bytes(range(256)) * 40})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = held.answer(self.path)
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HISTOSCRIBE_ENCODERS", str(tmp_path / "encoders"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield held
    server.shutdown()
    server.server_close()


def test_only_configuration_and_safetensors_come(hub: Hub, tmp_path: Path) -> None:
    hub.files |= {"pytorch_model.bin": b"pickle", "modeling.py": b"code", "preprocessor_config.json": b"{}"}
    folder = fetch(look_up(PUBLISHED["phikon"]))
    assert folder == tmp_path / "encoders" / "phikon"
    names = {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert {path.name for path in folder.iterdir()} == {*names, "origin.json"}
    assert {name: (folder / name).read_bytes() for name in names} == {name: hub.files[name] for name in names}
    origin = json.loads((folder / "origin.json").read_text())
    assert (origin["name"], origin["revision"], origin["licence"]) == ("phikon", REVISION, "apache-2.0")
    assert origin["sha256"]["model.safetensors"] == hub.digest("model.safetensors")


def test_terms_are_known_before_anything_is_downloaded(hub: Hub) -> None:
    hub.gated, hub.licence = True, "cc-by-nc-nd-4.0"
    offer = look_up(PUBLISHED["phikon"])
    assert (offer.licence, offer.gated, offer.revision) == ("cc-by-nc-nd-4.0", True, REVISION)
    assert offer.nbytes == sum(map(len, hub.files.values()))
    assert hub.asked == []


def test_what_arrives_damaged_is_refused_and_not_kept(hub: Hub, tmp_path: Path) -> None:
    hub.stated["model.safetensors"] = "0" * 64
    with pytest.raises(ModelError, match="arrived damaged"):
        fetch(look_up(PUBLISHED["phikon"]))
    assert not (tmp_path / "encoders" / "phikon").exists()


def test_one_without_safetensors_is_refused(hub: Hub) -> None:
    hub.files["pytorch_model.bin"] = hub.files.pop("model.safetensors")
    with pytest.raises(ModelError, match="a pickle is never opened"):
        look_up(PUBLISHED["phikon"])
    assert hub.asked == []


def test_one_that_must_be_asked_for_says_where(hub: Hub) -> None:
    hub.locked = True
    with pytest.raises(ModelError, match=r"asked first.*hf auth login"):
        fetch(look_up(PUBLISHED["uni"]))


def test_no_network_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(ModelError, match="the hub does not answer"):
        look_up(PUBLISHED["phikon"])


def test_cancelling_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    progress = Progress(lambda step: progress.cancel())
    with pytest.raises(Cancelled):
        fetch(look_up(PUBLISHED["phikon"]), progress=progress)
    assert list((tmp_path / "encoders").iterdir()) == []
