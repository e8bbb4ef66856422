# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from client import custody
from client.custody import destroy_key, load_key, make_key, read_custody
from shared.errors import StoreLocked, UsageError, VerificationError


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small Argon2id, and no credential from outside."""
    monkeypatch.setattr(custody, "MEMORY_KIB", 1024)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "store-key").write_bytes(b"sixteen bytes or more")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder / "store-key"


def test_auto_takes_a_credential_before_a_passphrase_before_a_file(
    tmp_path: Path, credential: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_key(tmp_path, "auto", "words")[1] == "credential"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert make_key(tmp_path, "auto", "words")[1] == "passphrase"
    assert make_key(tmp_path)[1] == "file"


def test_credential_opens_the_store_and_another_does_not(tmp_path: Path, credential: Path) -> None:
    key, _ = make_key(tmp_path)
    assert load_key(tmp_path) == key
    credential.write_bytes(b"another sixteen bytes")
    with pytest.raises(StoreLocked):
        load_key(tmp_path)
    credential.write_bytes(b"short")
    with pytest.raises(StoreLocked):
        load_key(tmp_path)
    credential.unlink()
    with pytest.raises(StoreLocked, match="credential"):
        load_key(tmp_path)


def test_passphrase_opens_the_store_and_another_does_not(tmp_path: Path) -> None:
    key, level = make_key(tmp_path, "passphrase", "green hedge")
    assert level == "passphrase"
    assert load_key(tmp_path, "green hedge") == key
    for wrong in ("green hedges", "", None):
        with pytest.raises(StoreLocked):
            load_key(tmp_path, wrong)


def test_key_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    key, _ = make_key(tmp_path, "file")
    path = tmp_path / "key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(tmp_path) == key
    path.chmod(0o640)
    with pytest.raises(StoreLocked, match="owner alone"):
        load_key(tmp_path)
    path.unlink()
    with pytest.raises(StoreLocked):
        load_key(tmp_path)


def test_no_custody_file_holds_the_data_key(tmp_path: Path) -> None:
    key, _ = make_key(tmp_path, "file")
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert key not in data
        assert key.hex().encode() not in data


def test_two_devices_with_one_passphrase_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert make_key(tmp_path / "a", "passphrase", "word")[0] != make_key(
        tmp_path / "b", "passphrase", "word"
    )[0]  # fmt: skip


def test_every_changed_byte_of_custody_is_a_typed_error(tmp_path: Path) -> None:
    key, _ = make_key(tmp_path, "passphrase", "word")
    good = (tmp_path / "custody.json").read_bytes()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        (tmp_path / "custody.json").write_bytes(bad)
        try:
            assert load_key(tmp_path, "word") == key  # white space, a letter's case in hex
        except (StoreLocked, VerificationError):
            continue


ABSURD = [{"memory_kib": 2**40}, {"passes": 0}, {"lanes": True}, {"salt": "no"}, {"level": "none"}]


@pytest.mark.parametrize("change", [*ABSURD, {"format": "x"}])
def test_custody_with_absurd_parameters_is_refused(tmp_path: Path, change: dict) -> None:
    make_key(tmp_path, "passphrase", "word")
    words = json.loads((tmp_path / "custody.json").read_text()) | change
    (tmp_path / "custody.json").write_text(json.dumps(words))
    with pytest.raises(VerificationError):
        read_custody(tmp_path)


def test_missing_passphrase_or_unknown_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreLocked):
        make_key(tmp_path, "passphrase")
    with pytest.raises(UsageError):
        make_key(tmp_path, "telepathy")


def test_destroyed_key_opens_nothing(tmp_path: Path) -> None:
    make_key(tmp_path, "file")
    secret = (tmp_path / "key").read_bytes()
    destroy_key(tmp_path)
    destroy_key(tmp_path)  # nothing left is no error
    assert list(tmp_path.iterdir()) == []
    assert secret
    with pytest.raises(StoreLocked):
        load_key(tmp_path)
