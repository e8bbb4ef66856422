# SPDX-License-Identifier: Apache-2.0
"""A device moves whole, is never in two places, and when it is erased its key goes first."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from client import transfer
from client.device import Device
from shared.errors import (
    DataError,
    EnvironmentFault,
    Refusal,
    StoreLocked,
    UsageError,
    VerificationError,
)
from shared.privacy.door import Contribution
from tests.client.made_store import all_bytes, joined, question, view

WORD = "a long passphrase"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small Argon2id."""
    monkeypatch.setattr(transfer, "MEMORY_KIB", 1024)


@pytest.fixture
def lived(device: Device) -> Device:
    """A device with ratings, comments and one answered round."""
    for row in range(10):
        device.rate(row, 1 + row % 5, f"note {row}", now=100 + row)
    device.encode_comments()
    device.hide(30)
    items = len(device.catalogue)
    joined(device).answer(question(items), view(items), "s", now=2000)
    device.sent("s", 77, now=2001)
    return device


def test_export_moves_everything_with_chain_head_and_spent_budget(
    lived: Device, tmp_path: Path
) -> None:
    before, own = lived.verify(), lived.entries
    receipts, hidden = lived.chain(), lived.hidden.tolist()
    lived.export(tmp_path / "moved", WORD)
    with Device.restore(tmp_path / "moved", tmp_path / "new", WORD) as device:
        after = device.verify()
        assert (after.head, after.spent) == (before.head, before.spent)
        assert device.entries == own
        assert device.chain() == receipts
        assert device.hidden.tolist() == hidden
        assert device.own_comments().missing == 0
        items = len(device.catalogue)
        assert isinstance(device.answer(question(items, 1), view(items), "t", now=3000), Refusal)
        given = device.answer(question(items, 2), view(items), "t", now=3000)
        assert isinstance(given, Contribution)


def test_source_of_an_export_answers_and_changes_nothing(lived: Device, tmp_path: Path) -> None:
    lived.export(tmp_path / "moved", WORD)
    assert lived.status().moved
    items = len(lived.catalogue)
    assert isinstance(lived.answer(question(items, 2), view(items), "t", now=3000), Refusal)
    for change in (
        lambda: lived.rate(1, 1),
        lambda: lived.forget(1),
        lambda: lived.pause(),
        lambda: joined(lived),
        lambda: lived.hide(1),
        lambda: lived.note(1, "seen"),
        lambda: lived.publish(1),
        lambda: lived.encode_comments(),
        lambda: lived.take_model(b""),
        lambda: lived.export(tmp_path / "again", WORD),
    ):
        with pytest.raises(DataError):
            change()
    lived.erase()


def test_moved_device_holds_no_trace_of_the_old_key(lived: Device, tmp_path: Path) -> None:
    lived.export(tmp_path / "moved", WORD)
    with Device.restore(tmp_path / "moved", tmp_path / "new", WORD) as device:
        old = (lived.folder / "key").read_bytes()
        assert old not in all_bytes(device.folder)
    assert b"note 3" not in all_bytes(tmp_path)


@pytest.mark.parametrize("wrong", ["another passphrase", "", "a long passphrase "])
def test_export_opens_with_its_passphrase_alone(lived: Device, tmp_path: Path, wrong: str) -> None:
    lived.export(tmp_path / "moved", WORD)
    with pytest.raises(VerificationError):
        Device.restore(tmp_path / "moved", tmp_path / "new", wrong)
    assert not (tmp_path / "new").exists()


def test_flipped_or_truncated_export_is_a_typed_error(lived: Device, tmp_path: Path) -> None:
    file = tmp_path / "moved"
    lived.export(file, WORD)
    good = file.read_bytes()
    for place in [*range(0, 60), *range(60, len(good), len(good) // 40)]:
        bad = bytearray(good)
        bad[place] ^= 4
        file.write_bytes(bad)
        with pytest.raises((DataError, VerificationError)):
            transfer.unpacked(file, WORD)
    for cut in (0, 10, 20, 60, len(good) - 1):
        file.write_bytes(good[:cut])
        with pytest.raises((DataError, VerificationError)):
            transfer.unpacked(file, WORD)


def test_short_passphrase_or_existing_file_is_refused(lived: Device, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with pytest.raises(UsageError):
        lived.export(tmp_path / "moved", "short")
    with pytest.raises(UsageError):
        lived.export(tmp_path / "there", WORD)
    assert not lived.status().moved
    lived.rate(1, 2)


def test_failed_export_leaves_the_device_in_use(
    lived: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:10])
        raise EnvironmentFault("full.")

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "replace_file", full)
        with pytest.raises(EnvironmentFault):
            lived.export(tmp_path / "moved", WORD)
    assert not (tmp_path / "moved").exists()
    assert not lived.status().moved
    lived.rate(1, 2)


def test_killed_export_never_leaves_two_devices_that_answer(
    lived: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a file is there, the source is marked; exporting again finishes the move."""
    folder = lived.folder
    lived.close()
    for number, name in enumerate(("replace_file", "sync_folder")):
        file = tmp_path / f"moved{number}"
        pid = os.fork()
        if pid == 0:
            real = getattr(transfer, name)

            def dies(*words: object, real=real) -> None:
                real(*words)
                os.kill(os.getpid(), signal.SIGKILL)

            setattr(transfer, name, dies)
            with Device.open(folder) as device:
                device.export(file, WORD)
            os._exit(0)
        os.waitpid(pid, 0)
        assert file.exists()
        with Device.open(folder) as device:
            items = len(device.catalogue)
            assert device.status().moved
            assert isinstance(device.answer(question(items, 2), view(items), "t"), Refusal)
            with pytest.raises(DataError):
                device.rate(1, 1)
    with Device.open(folder) as device:
        device.export(tmp_path / "whole", WORD)
    with Device.restore(tmp_path / "whole", tmp_path / "new", WORD) as device:
        assert not device.status().moved
        device.rate(1, 1)


def test_import_refuses_a_folder_that_is_not_empty(lived: Device, tmp_path: Path) -> None:
    lived.export(tmp_path / "moved", WORD)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(DataError):
        Device.restore(tmp_path / "moved", tmp_path / "full", WORD)
    with pytest.raises(DataError):
        Device.restore(tmp_path / "nothing", tmp_path / "new", WORD)
    with pytest.raises(DataError):
        Device.restore(tmp_path / "full" / "file", tmp_path / "new", WORD)


def test_erase_destroys_the_key_first(lived: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "sync_folder", stops)
        patch.setattr(Path, "unlink", _unlink_but(Path.unlink, "device.db"))
        with pytest.raises((KeyboardInterrupt, EnvironmentFault)):
            lived.erase()
    assert (lived.folder / "device.db").exists()
    assert not (lived.folder / "key").exists()
    assert not (lived.folder / "custody.json").exists()
    with pytest.raises(StoreLocked):
        Device.open(lived.folder)
    transfer.erase(lived.folder)
    assert not lived.folder.exists()


def _unlink_but(real, name: str):
    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == name:
            raise OSError(5, "input/output error")
        real(path, missing_ok=missing_ok)

    return unlink


def test_erase_takes_what_taking_part_left_behind(lived: Device) -> None:
    """Public files and Flower's folder say which federation this was, and when it was asked."""
    for name in ("files/" + "ab" * 32, "flower/log", ".custody.json.abc", ".model.safetensors.x"):
        path = lived.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"directory")
    lived.erase()
    assert not lived.folder.exists()


def test_erase_leaves_the_files_of_others(lived: Device) -> None:
    (lived.folder / "letter.txt").write_text("mine")
    lived.erase()
    assert [path.name for path in lived.folder.iterdir()] == ["letter.txt"]


def test_erase_works_on_a_damaged_device_and_refuses_none(lived: Device, tmp_path: Path) -> None:
    folder = lived.folder
    with pytest.raises(StoreLocked):
        transfer.erase(folder)
    lived.close()
    (folder / "device.db").write_bytes(b"broken")
    transfer.erase(folder)
    assert not folder.exists()
    with pytest.raises(DataError):
        transfer.erase(tmp_path / "nothing")


def test_exported_schema_of_another_version_is_refused(
    lived: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived.export(tmp_path / "moved", WORD)
    monkeypatch.setattr(transfer, "SCHEMA", transfer.SCHEMA + 1)
    with pytest.raises(DataError, match="schema"):
        transfer.unpacked(tmp_path / "moved", WORD)


def test_settings_survive_their_record(lived: Device) -> None:
    from client.settings import Settings

    settings = replace(lived._books.settings, attributes={"age": 41.0})
    assert Settings.of(settings.record()) == settings
