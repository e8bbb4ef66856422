# SPDX-License-Identifier: Apache-2.0
"""`privet doctor` for a device: what it finds, and that it tells nothing private."""

import os
from pathlib import Path

import pytest

import privet
from client.device import Device
from client.doctor import examine_device
from client.guard import take_lock
from client.transfer import CATALOGUE, MODEL
from shared.health import check_clock

PLANTED = "hedgehogs-4411"


def states(folder: Path, *, online: bool = False) -> dict[str, str]:
    return {check.name: check.state for check in examine_device(folder, online=online)}


@pytest.fixture
def kept(public: Path, home: Path) -> Path:
    model = public / "model.safetensors"
    with Device.create(home, public / "catalogue.safetensors", model) as device:
        device.rate(0, 5, comment=PLANTED)
    return home


def test_sound_device_has_one_warning_its_key_beside_the_data(kept: Path) -> None:
    found = states(kept, online=True)

    assert found.pop("custody") == "warn"
    assert set(found.values()) == {"ok"}
    assert {"store", "catalogue", "model", "authority", "server", "clock"} <= set(found)


def test_doctor_tells_nothing_private(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = (kept / "key").read_text()

    assert privet.main(["doctor", str(kept), "--format", "json"]) == 0

    said = "".join(capsys.readouterr())
    assert PLANTED not in said
    assert key not in said


@pytest.mark.parametrize("name", [CATALOGUE, MODEL])
def test_changed_public_file_fails(kept: Path, name: str) -> None:
    path = kept / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))

    assert states(kept)[name.partition(".")[0]] == "FAILED"


def test_key_that_others_may_read_fails(kept: Path) -> None:
    (kept / "key").chmod(0o644)

    found = states(kept)

    assert (found["files"], found["store"]) == ("FAILED", "FAILED")


def test_store_in_use_is_left_alone(kept: Path) -> None:
    lock = take_lock(kept)
    try:
        assert states(kept)["store"] == "warn"
    finally:
        os.close(lock)


def test_store_under_a_passphrase_is_not_asked_for(
    public: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIVET_PASSPHRASE_FILE", raising=False)
    catalogue = public / "catalogue.safetensors"
    Device.create(home, catalogue, custody="passphrase", passphrase="a hedge of privet").close()

    assert states(home)["store"] == "warn"
    word = tmp_path / "word"
    word.write_text("a hedge of privet\n")
    monkeypatch.setenv("PRIVET_PASSPHRASE_FILE", str(word))
    assert states(home)["store"] == "ok"


def test_clock_behind_what_was_written_fails() -> None:
    assert check_clock(1_000, 900, "x").ok
    assert check_clock(1_000, 1_200, "x").ok
    assert not check_clock(1_000, 2_000, "x").ok


def test_folder_of_neither_side_is_refused(tmp_path: Path) -> None:
    assert privet.main(["doctor", str(tmp_path)]) == 10


def test_doctor_writes_nothing(kept: Path) -> None:
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}

    states(kept)

    assert before == {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
