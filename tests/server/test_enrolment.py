# SPDX-License-Identifier: Apache-2.0
"""Seats: the first signed answer takes one, and nobody else."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.session import Member, Rounds
from server.enrolment import take
from server.folder import Seat
from shared import wire
from shared.enrolment import (
    device_name,
    read_directory,
    write_directory,
)
from shared.errors import VerificationError
from tests.federation.made import OFFICER, RUN, SERVER, public, seeded_key

POLICY = "9a" * 32
QUESTION = wire.EnrolQuestion(RUN, POLICY)


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    found = Seat(tmp_path / ("ab" * 16))
    found.write("invited", {"transport_key": "transport"})
    return found


def answer(seat: Seat, key: Ed25519PrivateKey, **changes: object) -> wire.Message:
    """What an honest device says, or one that was told something else."""
    member = Member(RUN, public(SERVER), key, POLICY, seat.invitation, b"transport")
    rounds = Rounds(replace(member, **changes), None, lambda name: b"")  # type: ignore[arg-type]
    return rounds.handle(QUESTION)


def test_a_device_takes_its_seat(seat: Seat) -> None:
    key = seeded_key("device")
    assert take(seat, answer(seat, key), POLICY)
    assert seat.state == "enrolled"
    assert seat.read("enrolled")["key"] == public(key)


def test_the_first_answer_stands(seat: Seat) -> None:
    take(seat, answer(seat, seeded_key("first")), POLICY)
    assert not take(seat, answer(seat, seeded_key("second")), POLICY)
    assert seat.read("enrolled")["key"] == public(seeded_key("first"))


@pytest.mark.parametrize(
    "changes",
    [{"transport_key": b"another"}, {"invitation": "cd" * 16}],
    ids=["line", "invitation"],
)
def test_an_answer_for_another_seat_is_refused(seat: Seat, changes: dict[str, object]) -> None:
    assert not take(seat, answer(seat, seeded_key("device"), **changes), POLICY)
    assert seat.state == "invited"


@pytest.mark.parametrize(
    "field", [{"key": public(OFFICER)}, {"key": "zz"}, {"device": "00" * 16}, {"signature": b""}]
)
def test_an_altered_answer_is_refused(seat: Seat, field: dict[str, object]) -> None:
    honest = answer(seat, seeded_key("device"))
    assert not take(seat, replace(honest, **field), POLICY)  # type: ignore[arg-type,type-var]
    assert seat.state == "invited"


def test_a_device_enrols_under_the_accepted_policy_alone(seat: Seat) -> None:
    refused = answer(seat, seeded_key("device"), policy_hash="00" * 32)
    assert refused == wire.Refused("", 0, "advertise", 0, "policy refused")
    assert not take(seat, refused, POLICY)


def test_a_revoked_seat_is_never_taken(seat: Seat) -> None:
    seat.revoke()
    assert not take(seat, answer(seat, seeded_key("device")), POLICY)
    assert seat.state == "revoked"


def entries(*names: str) -> dict[bytes, bytes]:
    keys = [seeded_key(name).public_key().public_bytes_raw() for name in names]
    return {device_name(key): key for key in keys}


def test_directory_reads_what_was_written() -> None:
    listed = entries("a", "b", "c")
    assert read_directory(write_directory(RUN, listed, SERVER), RUN, public(SERVER)) == listed


@pytest.mark.parametrize("at", [0, 20, 50, 100, -1])
def test_directory_refuses_a_changed_byte(at: int) -> None:
    data = bytearray(write_directory(RUN, entries("a", "b"), SERVER))
    data[at] ^= 1
    with pytest.raises(VerificationError):
        read_directory(bytes(data), RUN, public(SERVER))


def test_directory_refuses_another_run_and_another_server() -> None:
    data = write_directory(RUN, entries("a"), SERVER)
    for run, key in (("another", public(SERVER)), (RUN, public(OFFICER))):
        with pytest.raises(VerificationError):
            read_directory(data, run, key)
    with pytest.raises(VerificationError):
        read_directory(b"", RUN, public(SERVER))
