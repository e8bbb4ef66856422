# SPDX-License-Identifier: Apache-2.0
"""Statements cross whole, signed, bounded and clean, or not at all."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.publication import MAX_BODY, MOST, pack, read, state
from shared.schema import MAX_COMMENT

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([b]) * 32) for b in (3, 4))
PUBLIC = KEY.public_key().public_bytes_raw()
ONE = state(KEY, "autumn", 7, "item", '绿色的树篱 "quoted" 🌿')


def changed(**words: Any) -> bytes:
    (entry,) = json.loads(pack([ONE]))
    return json.dumps(
        [entry | words], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode("utf-8", "surrogatepass")


def test_read_gives_what_was_packed() -> None:
    several = [ONE, state(KEY, "autumn", 8, "item", ""), state(KEY, "autumn", 12, "b", "x")]
    assert read(pack(several), "autumn", PUBLIC) == tuple(several)
    assert read(pack([]), "autumn", PUBLIC) == ()


def test_sixteen_of_the_longest_comments_fit() -> None:
    texts = ["🌿" * MAX_COMMENT, '"' * MAX_COMMENT]
    longest = [state(KEY, "autumn", n + 1, "i" * 500, texts[n % 2]) for n in range(MOST)]
    assert len(pack(longest)) < MAX_BODY
    assert len(read(pack(longest), "autumn", PUBLIC)) == MOST


def test_ids_link_no_two_comments() -> None:
    ids = {state(KEY, "autumn", n, f"item {n}", "the same").comment for n in range(1, 9)}
    assert len(ids) == 8
    assert ONE.comment == state(KEY, "autumn", 7, "item", ONE.text).comment


@pytest.mark.parametrize(
    "body",
    [
        changed(text="another"),
        changed(text=""),
        changed(item="another"),
        changed(number=8),
        changed(number="7"),
        changed(number=0),
        changed(number=True),
        changed(item=""),
        changed(text="x" * (MAX_COMMENT + 1)),
        changed(text="<b>bold</b>"),
        changed(text="\ud800"),
        changed(signature="zz"),
        changed(rating=5),
        pack([ONE, ONE]),
        pack([state(KEY, "autumn", 8, "b", "x"), ONE]),
        pack([state(KEY, "autumn", n + 1, "b", "x") for n in range(MOST + 1)]),
        b" " + pack([ONE]),
        b"{}",
        b"[1]",
        b"[[]]",
        b"[" * 100_000,
        b" " * (MAX_BODY + 1),
        b"\xff",
    ],
)  # fmt: skip
def test_read_refuses_what_was_changed(body: bytes) -> None:
    with pytest.raises(DataError, match="signed statements"):
        read(body, "autumn", PUBLIC)


def test_read_refuses_another_run_and_another_device() -> None:
    for run, key in (("winter", PUBLIC), ("autumn", OTHER.public_key().public_bytes_raw())):
        with pytest.raises(DataError):
            read(pack([ONE]), run, key)


@given(st.binary(max_size=200))
def test_read_refuses_anything_else(body: bytes) -> None:
    if body != b"[]":
        with pytest.raises(DataError):
            read(body, "autumn", PUBLIC)
