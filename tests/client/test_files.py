# SPDX-License-Identifier: Apache-2.0
"""Public files from a hostile server: nothing but a hash is ever a name."""

import datetime
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from client.files import KEPT, PublicFiles
from server.keys import make_tls
from shared.errors import NetworkError, VerificationError

Server = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Callable[[Server], PublicFiles]]:
    make_tls(tmp_path / "keys", ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    made: list[PublicFiles] = []

    def make(server: Server) -> PublicFiles:
        ca = (tmp_path / "keys" / "ca.pem").read_text()
        found = PublicFiles("127.0.0.1:9", ca, tmp_path / "home" / "files", sleep=lambda _: None)
        found._client._transport = httpx.MockTransport(server)
        made.append(found)
        return found

    yield make
    for found in made:
        found.close()


@pytest.mark.parametrize(
    "name", ["../key", "/etc/hostname", "", "0" * 63, "A" * 64, "0" * 64 + "\n", "0" * 64 + "/.."]
)
def test_a_name_that_is_no_hash_is_neither_read_nor_asked_for(
    name: str,
    tmp_path: Path,
    files: Callable[[Server], PublicFiles],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, content=b"x")

    found = files(server)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_bytes(b"secret")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: asked.append(str(path)))
        with pytest.raises(VerificationError):
            found.fetch(name)
    assert asked == []


def test_files_are_checked_kept_and_forgotten(
    tmp_path: Path, files: Callable[[Server], PublicFiles]
) -> None:
    stored = {sha256(data).hexdigest(): data for data in (bytes([n]) for n in range(KEPT + 2))}
    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        asked.append(name)
        return httpx.Response(200, content=stored[name])

    found = files(server)
    for name, data in stored.items():
        assert found.fetch(name) == found.fetch(name) == data
    assert len(asked) == len(stored)
    assert len(list((tmp_path / "home" / "files").iterdir())) == KEPT


def test_other_bytes_are_refused_and_a_missing_file_is_no_answer(
    files: Callable[[Server], PublicFiles],
) -> None:
    with pytest.raises(VerificationError):
        files(lambda request: httpx.Response(200, content=b"other")).fetch("0" * 64)
    with pytest.raises(NetworkError):
        files(lambda request: httpx.Response(404)).fetch("0" * 64)
