# SPDX-License-Identifier: Apache-2.0
"""The operator's commands, from an empty folder to invitations, without any server running."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

import privet
from server.folder import OperatorFolder
from shared.catalogue import save_catalogue
from shared.features import build_catalogue, item_text
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset

ADDRESS = "box.example:8443"


@pytest.fixture(scope="module")
def catalogue_file(hamlet: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.safetensors"
    save_catalogue(path, *build_catalogue(hamlet.items, vectors))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    assert privet.main([str(word) for word in words]) == code
    out = capsys.readouterr()
    return out.out if code == 0 else out.err


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "operator"
    words = ("--operator", "Example Org", "--address", ADDRESS, "--users", 30)
    run(capsys, "server", "init", path, *words, "--target-epsilon", 4)
    return path


@pytest.fixture
def ready(
    folder: Path, catalogue_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Path:
    run(capsys, "server", "catalogue", "build", folder, catalogue_file)
    run(capsys, "key", "new", tmp_path / "officer.pem")
    run(
        capsys,
        "server",
        "policy",
        "sign",
        folder / "policy.json",
        "--key",
        tmp_path / "officer.pem",
    )
    return folder


def test_init_writes_a_folder_that_its_owner_alone_reads(folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    secret = [path for path in (folder / "keys").iterdir() if path.suffix in {".key", ".pem"}]
    assert {path.name for path in secret} >= {"ca.key", "tls.key", "server.pem"}
    for name in ("ca.key", "tls.key", "server.pem"):
        assert (folder / "keys" / name).stat().st_mode & 0o077 == 0
    assert (
        "# How long the server waits for a stage's answers." in (folder / "config.toml").read_text()
    )


def test_init_shuts_an_empty_folder_that_was_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "there"
    path.mkdir(mode=0o755)
    words = ("--operator", "Example Org", "--address", ADDRESS, "--users", 30)
    run(capsys, "server", "init", path, *words)
    assert path.stat().st_mode & 0o077 == 0


def test_init_gives_many_devices_more_time_a_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waited = []
    for users in (30, 300, 1000):
        words = ("--operator", "Example Org", "--address", ADDRESS, "--users", users)
        run(capsys, "server", "init", tmp_path / str(users), *words)
        waited.append(OperatorFolder(tmp_path / str(users)).config.stage_s)
    assert waited[0] == 60.0
    assert waited[0] < waited[1] < waited[2]


def test_init_overwrites_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "keys" / "server.pem").read_bytes()
    words = ("--operator", "Another", "--address", ADDRESS, "--users", 30)
    assert "new or empty" in run(capsys, "server", "init", folder, *words, code=2)
    assert (folder / "keys" / "server.pem").read_bytes() == before


def test_policy_check_says_both_figures(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "server", "policy", "check", ready / "policy.json")
    assert "ε 4.00 at δ 1e-05" in said
    assert "makes up all other devices" in said
    assert "Signed." in said
    assert "DEMO" not in said


def test_an_officer_checks_and_signs_the_file_that_is_named(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a policy that is signed lies another, and that one is meant."""
    other = ready / "policy-next.json"
    other.write_bytes((ready / "policy.json").read_bytes().replace(b'"users":30', b'"users":29'))
    said = run(capsys, "server", "policy", "check", other)
    assert "29 devices" in said
    assert "Not signed." in said
    key = ("--key", tmp_path / "officer.pem")
    run(capsys, "server", "policy", "sign", other, *key)
    assert "Signed." in run(capsys, "server", "policy", "check", other)
    for name in ("policy.json", "policy-next.json"):  # each signature is of its own file
        assert "Signed." in run(capsys, "server", "policy", "check", ready / name)
    other.with_suffix(".sig").write_bytes((ready / "policy.sig").read_bytes())
    assert "signed by the officer" in run(capsys, "server", "policy", "check", other, code=12)


def test_policy_that_was_changed_after_signing_is_refused(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ready / "policy.json"
    file.write_bytes(file.read_bytes().replace(b'"users":30', b'"users":31'))
    assert "signed by the officer" in run(capsys, "server", "policy", "check", file, code=12)
    assert "signed by the officer" in run(capsys, "server", "invite", ready, code=12)


def test_nobody_is_invited_under_an_unsigned_policy(
    folder: Path, catalogue_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "server", "catalogue", "build", folder, catalogue_file)
    assert "signed by the officer" in run(capsys, "server", "invite", folder, code=12)
    assert not (folder / "invitations").exists()


def test_invite_makes_one_secret_file_a_seat(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads(run(capsys, "server", "invite", ready, "--count", 3, "--format", "json"))
    files = [Path(name) for name in said["invitations"]]
    assert len(files) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    private = json.loads(files[0].read_text())["transport_key"]
    kept = b"".join(p.read_bytes() for p in (ready / "devices").rglob("*") if p.is_file())
    assert private.splitlines()[1].encode() not in kept
    listed = json.loads(run(capsys, "server", "devices", ready, "--format", "json"))["devices"]
    assert [row["state"] for row in listed] == ["invited"] * 3


def test_invite_never_passes_the_devices_of_the_policy(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "server", "invite", ready, "--count", 30)
    assert "at most the policy's 30" in run(capsys, "server", "invite", ready, code=2)


def test_revoke_shuts_a_seat_and_frees_its_place(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads(run(capsys, "server", "invite", ready, "--count", 30, "--format", "json"))
    seat = Path(said["invitations"][0]).stem
    run(capsys, "server", "revoke", ready, seat)
    assert "revoked" in run(capsys, "server", "devices", ready)
    run(capsys, "server", "invite", ready)
    assert "one of the seats" in run(capsys, "server", "revoke", ready, "nobody", code=2)


def test_status_rounds_release_and_stop_before_the_start(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = json.loads(run(capsys, "server", "status", ready, "--format", "json"))
    assert (now["running"], now["rounds"], now["users"]) == (False, 0, 30)
    assert json.loads(run(capsys, "server", "rounds", ready, "--format", "json")) == {"rounds": []}
    assert "released" in run(capsys, "server", "release", ready, code=10)
    assert "Nothing runs." in run(capsys, "server", "stop", ready)


def test_backup_holds_keys_policy_and_seats(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "server", "invite", ready)
    out = tmp_path / "backup.tar.gz"
    run(capsys, "server", "backup", ready, out)
    assert out.stat().st_mode & 0o077 == 0
    with tarfile.open(out) as archive:
        names = archive.getnames()
    assert {"keys/server.pem", "policy.json", "policy.sig", "config.toml"} <= set(names)
    assert any(name.endswith("invited.json") for name in names)


def test_backup_into_its_own_folder_leaves_itself_out(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ready / "backup.tar.gz"
    run(capsys, "server", "backup", ready, out)
    with tarfile.open(out) as archive:
        names = archive.getnames()
    assert "policy.sig" in names
    assert out.name not in names


def test_a_folder_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "operator's folder" in run(capsys, "server", "status", tmp_path, code=10)


def test_a_wrong_choice_is_named(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = ready / "config.toml"
    file.write_text(file.read_text().replace("dropout = 0.1", "dropout = 0.9"))
    assert "dropout" in run(capsys, "server", "status", ready, code=10)
