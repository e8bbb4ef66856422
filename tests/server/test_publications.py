# SPDX-License-Identifier: Apache-2.0
"""What the server keeps of publications: the newest statement on each item, whatever is sent."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.publications import Publications
from shared import wire
from shared.errors import DataError
from shared.publication import Statement, pack, state

KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x05")
PUBLIC = KEY.public_key().public_bytes_raw()
DEVICE = "aa" * 16
ITEMS = ("a", "b", "c")


@pytest.fixture
def shelf(tmp_path: Path) -> Publications:
    return Publications(tmp_path)


def take(shelf: Publications, *statements: Statement, run: str = "autumn") -> list[Statement]:
    return shelf.take(DEVICE, PUBLIC, wire.Publication(run, pack(statements)), "autumn", ITEMS)


def said(number: int, item: str, text: str) -> Statement:
    return state(KEY, "autumn", number, item, text)


def texts(shelf: Publications) -> dict[str, str]:
    return {one.item: one.text for one in shelf.of(DEVICE)}


def test_the_newest_statement_on_an_item_counts(shelf: Publications) -> None:
    take(shelf, said(3, "a", "first"), said(4, "b", "other"))
    take(shelf, said(6, "a", "second"))
    assert texts(shelf) == {"a": "second", "b": "other"}
    assert shelf.held(DEVICE) == 6


def test_a_withdrawal_deletes_the_text_and_stays(shelf: Publications, tmp_path: Path) -> None:
    first = said(3, "a", "quillfeather")
    take(shelf, first)
    take(shelf, said(5, "a", ""))
    take(shelf, first)  # a copy of what was withdrawn
    assert texts(shelf) == {"a": ""}
    assert b"quillfeather" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*.json"))


def test_what_arrives_twice_changes_nothing(shelf: Publications, tmp_path: Path) -> None:
    take(shelf, said(3, "a", "first"))
    before = [path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")]
    take(shelf, said(3, "a", "first"))
    assert [path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")] == before


def test_a_message_is_kept_whole_or_not_at_all(shelf: Publications) -> None:
    for wrong in (said(4, "nowhere", "x"), state(KEY, "winter", 4, "b", "x")):
        with pytest.raises(DataError):
            take(shelf, said(3, "a", "first"), wrong)
    with pytest.raises(DataError):
        take(shelf, said(3, "a", "first"), run="winter")
    assert texts(shelf) == {}


def test_an_item_may_have_any_name(shelf: Publications) -> None:
    odd = "../../etc/passwd\u202e"
    message = wire.Publication("autumn", pack([said(1, "../../x", "text")]))
    shelf.take(DEVICE, PUBLIC, message, "autumn", ("../../x", odd))
    assert texts(shelf) == {"../../x": "text"}
