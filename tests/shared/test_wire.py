# SPDX-License-Identifier: Apache-2.0
"""The wire holds the agreed fields and no other."""

from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import wire
from shared.errors import DataError

EXAMPLES: list[wire.Message] = [
    wire.EnrolQuestion("run", "hash"),
    wire.Enrolment("device", "key", b"s"),
    wire.Opening("run", 1, 0, b"c", b"s", "directory"),
    wire.Advert("run", 1, 0, b"b", "receipt"),
    wire.Question("run", 1, "share", 0, b"b"),
    wire.Answer("run", 1, "share", 0, b"b"),
    wire.Contribution("run", 1, 0, b"b"),
    wire.Refused("run", 1, "mask", 0, "paused"),
    wire.Release("run", "model", "catalogue", "comments", b"s"),
    wire.Taken("run", "model"),
    wire.PublishQuestion("run", 3, b"s"),
    wire.Publication("run", b"b"),
]

AGREED = {
    "EnrolQuestion": {"run", "policy_hash"},
    "Enrolment": {"device", "key", "signature"},
    "Opening": {"run", "round", "attempt", "config", "signature", "directory"},
    "Advert": {"run", "round", "attempt", "body", "receipt"},
    "Question": {"run", "round", "stage", "attempt", "body"},
    "Answer": {"run", "round", "stage", "attempt", "body"},
    "Contribution": {"run", "round", "attempt", "body"},
    "Refused": {"run", "round", "stage", "attempt", "reason"},
    "Release": {"run", "model", "catalogue", "comments", "signature"},
    "Taken": {"run", "model"},
    "PublishQuestion": {"run", "held", "signature"},
    "Publication": {"run", "body"},
}
"""Spelled out again on purpose: whoever adds a field must come here and say why."""


def test_wire_has_the_agreed_messages_and_fields() -> None:
    found = {name: {field.name for field in fields(kind)} for name, kind in wire.MESSAGES.items()}
    assert found == AGREED
    assert {type(message) for message in EXAMPLES} == set(wire.MESSAGES.values())


@pytest.mark.parametrize("name", wire.MESSAGES)
def test_wire_fields_are_integers_strings_and_bytes(name: str) -> None:
    found = wire.MESSAGES[name]
    assert found.kind in ("control", "contribution", "publication")
    hints = get_type_hints(found)
    assert all(hints[field.name] in (int, str, bytes) for field in fields(found))


def test_wire_has_one_contribution() -> None:
    assert [k.__name__ for k in wire.MESSAGES.values() if k.kind == "contribution"] == [
        "Contribution"
    ]


def test_wire_has_one_publication() -> None:
    assert [k.__name__ for k in wire.MESSAGES.values() if k.kind == "publication"] == [
        "Publication"
    ]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_wire_reads_what_it_wrote(message: wire.Message) -> None:
    assert wire.unpack(wire.pack(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_wire_refuses_a_further_field(message: wire.Message) -> None:
    with pytest.raises(DataError, match="exactly its agreed fields"):
        wire.unpack(wire.pack(message) | {"loss": 1})


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_wire_refuses_a_missing_field(message: wire.Message) -> None:
    table = wire.pack(message)
    table.popitem()
    with pytest.raises(DataError):
        wire.unpack(table)


@pytest.mark.parametrize(
    "change", [{"round": "1"}, {"round": True}, {"body": "text"}, {"stage": "sixth"}]
)
def test_wire_refuses_a_field_of_another_type(change: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        wire.unpack(wire.pack(wire.Question("run", 1, "share", 0, b"")) | change)


def test_wire_refuses_words_of_its_own() -> None:
    with pytest.raises(DataError, match="agreed words"):
        wire.unpack(wire.pack(wire.Refused("run", 1, "mask", 0, "it rated 5 items")))


@given(
    st.dictionaries(
        st.text(max_size=9), st.one_of(st.integers(), st.text(max_size=9), st.binary(max_size=9))
    )
)
def test_wire_refuses_anything_else(table: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        wire.unpack(table)
