# SPDX-License-Identifier: Apache-2.0
"""`privet doctor` for an operator's folder."""

import datetime
import socket
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import privet
from server import setup
from server.doctor import examine_operator
from server.folder import Deployment, OperatorFolder
from server.keys import make_tls
from server.street import free_port
from shared.catalogue import save_catalogue
from shared.features import build_catalogue
from shared.health import check_certificate, check_flower
from simulation.dataset import Dataset

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def folder(hamlet: Dataset, tmp_path: Path) -> OperatorFolder:
    config = Deployment(
        operator="Example Org",
        run="0d" * 16,
        address=f"localhost:{free_port()}",
        listen="127.0.0.1",
        link_port=free_port(),
        users=30,
        target_epsilon=4.0,
    )
    made = setup.init(tmp_path / "operator", config, NOW)
    file = tmp_path / "catalogue.safetensors"
    save_catalogue(file, *build_catalogue(hamlet.items, np.zeros((len(hamlet.items), 4))))
    setup.take_catalogue(made, file)
    setup.sign_policy(made.path / "policy.json", Ed25519PrivateKey.generate())
    return made


def states(folder: OperatorFolder) -> dict[str, str]:
    return {check.name: check.state for check in examine_operator(folder.path)}


def test_sound_folder_is_ok_throughout(folder: OperatorFolder) -> None:
    assert set(states(folder).values()) == {"ok"}


def test_key_that_others_may_read_fails(folder: OperatorFolder) -> None:
    (folder.keys / "server.pem").chmod(0o640)

    assert states(folder)["keys"] == "FAILED"


def test_unsigned_policy_fails_with_exit_11(
    folder: OperatorFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / "policy.sig").unlink()

    assert privet.main(["doctor", str(folder.path)]) == 11

    said = capsys.readouterr()
    assert "FAILED  policy" in said.out
    assert "hint:" in said.err


def test_taken_port_fails(folder: OperatorFolder) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", folder.config.port))
        other.listen()
        assert states(folder)["guard port"] == "FAILED"


def test_address_outside_the_certificate_fails(folder: OperatorFolder) -> None:
    file = folder.path / "config.toml"
    file.write_text(file.read_text().replace("localhost:", "other.example:"))

    assert states(folder)["certificate"] == "FAILED"


@pytest.mark.parametrize(
    ("days", "state"), [(0, "ok"), (820, "warn"), (900, "FAILED"), (-3, "FAILED")]
)
def test_certificate_is_judged_by_the_clock(tmp_path: Path, days: int, state: str) -> None:
    make_tls(tmp_path / "keys", ["localhost"], NOW)
    pem = (tmp_path / "keys" / "tls.pem").read_bytes()

    then = NOW + datetime.timedelta(days=days)

    assert check_certificate("certificate", pem, then, "renew it.").state == state


def test_damaged_ledger_fails(folder: OperatorFolder) -> None:
    (folder.path / "ledger").mkdir()
    (folder.path / "ledger" / "records.jsonl").write_bytes(b"{}\n")

    found = states(folder)

    assert (found["ledger"], found["clock"]) == ("FAILED", "FAILED")


def test_flower_is_of_the_pinned_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_flower().ok
    monkeypatch.setattr("shared.health.version", lambda name: "1.42.0")
    assert not check_flower().ok
