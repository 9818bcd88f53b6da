"""Sections of the archive, fetched from a hub that runs in this process."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from histoscribe.errors import ModelError, SettingError, StorageError
from histoscribe.section.fetching import fetch_sections, look_up_sections

pytest.importorskip("huggingface_hub", reason="needs the extra 'foundation'")
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Files of the archive, what was asked of them, and how it fails."""

    files: dict[str, bytes]
    stated: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    cut: str = ""
    locked: bool = False

    def info(self) -> bytes:
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": "b",
             "lfs": {"sha256": self.digest(name), "size": len(content), "pointerSize": 1}}
            for name, content in self.files.items()
        ]  # fmt: skip
        told = {"id": "MahmoodLab/hest", "sha": REVISION, "gated": "auto", "private": False, "tags": []}
        told |= {"siblings": siblings, "cardData": {"license": "cc-by-nc-sa-4.0"}, "downloads": 0}
        return json.dumps(told).encode()

    def digest(self, name: str) -> str:
        return self.stated.get(name) or hashlib.sha256(self.files[name]).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    held = Hub({
        "HEST_v1_1_0.csv": b"id\n", "HEST_v1_3_0.csv": b"id,patient\n", "README.md": b"read",
        **{f"{place}/{name}{ending}": f"{place} of {name}".encode() * 50_000
           for name in ("TENX95", "NCBI783")
           for place, ending in (("st", ".h5ad"), ("wsis", ".tif"), ("metadata", ".json"),
                                 ("patches", ".h5"), ("tissue_seg", "_mask.pkl"))},
    })  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/api/datasets/"):
                return self.reply(200, {"Content-Type": "application/json"}, held.info())
            name = path.partition(f"/resolve/{REVISION}/")[2]
            span = self.headers.get("Range", "")
            if name:
                held.asked.append((name, span))
            if held.locked:
                return self.reply(403, {"X-Error-Code": "GatedRepo"}, b"")
            body = held.files[name]
            headers = {"X-Repo-Commit": REVISION, "ETag": f'"{held.digest(name)}"', "Accept-Ranges": "bytes"}
            if held.cut == name and span:
                return self.reply(500, {}, b"")
            start = int(span.removeprefix("bytes=").partition("-")[0]) if span else 0
            headers |= {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if span else {}
            self.reply(206 if span else 200, headers, body[start:], cut=name == held.cut)

        do_HEAD = do_GET

        def reply(self, status: int, headers: dict[str, str], body: bytes, cut: bool = False) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[: len(body) // 2] if cut else body)
                if cut:
                    self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    yield held
    server.shutdown()
    server.server_close()


def wanted(name: str) -> set[str]:
    return {f"st/{name}.h5ad", f"wsis/{name}.tif", f"metadata/{name}.json", "HEST_v1_3_0.csv"}


def lying(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in found}


def test_only_what_is_read_here_comes(hub: Hub, tmp_path: Path) -> None:
    offer = look_up_sections(["TENX95"])
    assert (offer.licence, offer.gated, offer.revision) == ("cc-by-nc-sa-4.0", True, REVISION)
    assert hub.asked == []
    assert set(fetch_sections(offer, tmp_path / "hest")) == wanted("TENX95")
    assert lying(tmp_path / "hest") == wanted("TENX95")
    for name in wanted("TENX95"):
        assert (tmp_path / "hest" / name).read_bytes() == hub.files[name]


def test_what_is_there_is_not_asked_again_and_what_was_harmed_is(hub: Hub, tmp_path: Path) -> None:
    fetch_sections(look_up_sections(["TENX95"]), tmp_path)
    assert fetch_sections(look_up_sections(["TENX95"]), tmp_path) == []
    table = tmp_path / "st" / "TENX95.h5ad"
    table.write_bytes(b"x" * table.stat().st_size)
    hub.asked.clear()
    assert fetch_sections(look_up_sections(["TENX95", "NCBI783"]), tmp_path) == [
        "st/TENX95.h5ad", *sorted(wanted("NCBI783") - {"HEST_v1_3_0.csv"}, key=lambda n: "swm".index(n[0]))
    ]  # fmt: skip
    assert table.read_bytes() == hub.files["st/TENX95.h5ad"]


def test_a_file_that_was_cut_goes_on_where_it_was(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.cut = "wsis/TENX95.tif"
    with pytest.raises(ModelError, match="the hub does not answer"):
        fetch_sections(look_up_sections(["TENX95"]), tmp_path)
    assert not (tmp_path / "wsis" / "TENX95.tif").exists()
    hub.cut = ""
    hub.asked.clear()
    fetch_sections(look_up_sections(["TENX95"]), tmp_path)
    assert (tmp_path / "wsis" / "TENX95.tif").read_bytes() == hub.files["wsis/TENX95.tif"]
    spans = dict(hub.asked)
    assert "st/TENX95.h5ad" not in spans
    half = len(hub.files["wsis/TENX95.tif"]) // 2
    assert spans["wsis/TENX95.tif"] == f"bytes={half}-"


def test_damage_no_access_and_no_room_are_one_sentence(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOBODY", "../st/TENX95"):
        with pytest.raises(SettingError, match="no such section"):
            look_up_sections([name])
    hub.stated["st/TENX95.h5ad"] = "0" * 64
    with pytest.raises(ModelError, match="arrived damaged"):
        fetch_sections(look_up_sections(["TENX95"]), tmp_path)
    assert not (tmp_path / "st" / "TENX95.h5ad").exists()
    hub.stated.clear()
    hub.locked = True
    with pytest.raises(ModelError, match=r"asked first.*hf auth login"):
        fetch_sections(look_up_sections(["TENX95"]), tmp_path)
    monkeypatch.setattr("histoscribe.hub.shutil.disk_usage", lambda _: type("Disk", (), {"free": 10})())
    with pytest.raises(StorageError, match="GB are needed"):
        fetch_sections(look_up_sections(["TENX95"]), tmp_path)


def test_the_shell_shows_the_terms_first(hub: Hub, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from histoscribe.cli.app import app

    def run(*words: object):
        return CliRunner().invoke(app, ["fetch", "hest", *map(str, words)], prog_name="histoscribe")

    shown = run("--ids", "TENX95", "--to", tmp_path)
    assert shown.exit_code == 2
    assert "cc-by-nc-sa-4.0" in shown.stderr
    assert "--accept-licence" in shown.stderr
    assert hub.asked == []
    done = run("--ids", "TENX95", "--to", tmp_path, "--accept-licence", "--json")
    assert done.exit_code == 0, done.stderr
    assert set(json.loads(done.stdout)["came"]) == wanted("TENX95")
    assert run("--ids", "TENX95").exit_code == 2
