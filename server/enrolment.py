# SPDX-License-Identifier: Apache-2.0
"""Seats of a federation on the server's side: invited, enrolled by the first answer, revoked."""

import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from server.folder import OperatorFolder, Seat
from server.keys import pem_of
from shared import wire
from shared.enrolment import (
    Invitation,
    device_name,
    enrolment_statement,
    signed_by,
)
from shared.errors import UsageError
from shared.privacy.canonical import digest


def invite(folder: OperatorFolder, count: int) -> Iterator[Invitation]:
    """Make seats and yield their invitations; who holds one can take the seat.

    The transport key's private half is in the invitation alone: the server keeps the public one.

    Raises:
        PolicyError: The policy is not signed: nobody could know what they are invited to.
        UsageError: There would be more seats than the policy's devices.
    """
    signed, officer = folder.signed_policy
    config = folder.config
    taken = sum(seat.state != "revoked" for seat in folder.seats())
    if taken + count > config.users:
        raise UsageError(
            f"seats must be at most the policy's {config.users} devices, got {taken} + {count}.",
            hint="revoke seats that nobody took, or draft a policy for more devices.",
        )
    catalogue = folder.publish(folder.catalogue_file.read_bytes())
    for _ in range(count):
        key = ec.generate_private_key(ec.SECP384R1())
        name = secrets.token_hex(16)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        Seat(folder.path / "devices" / name).write("invited", {"transport_key": public.decode()})
        yield Invitation(
            id=name,
            address=config.address,
            ca=(folder.keys / "ca.pem").read_text(),
            transport_key=pem_of(key).decode(),
            run=config.run,
            policy=signed.payload.decode("ascii"),
            policy_signature=signed.signature.hex(),
            officer_key=officer,
            catalogue=catalogue,
            scale_low=repr(config.scale_low),
            scale_high=repr(config.scale_high),
            answer_after_ms=config.answer_after_ms,
        )


def question(folder: OperatorFolder) -> wire.EnrolQuestion:
    """Return what is asked of a device that was invited."""
    return wire.EnrolQuestion(folder.config.run, digest(folder.draft))


def take(seat: Seat, answer: wire.Message, policy_hash: str) -> bool:
    """Write down who took a seat; the first answer that is signed as it must be stands.

    Returns:
        Whether the seat is enrolled now by this answer.
    """
    if not isinstance(answer, wire.Enrolment) or seat.state != "invited":
        return False
    try:
        key = bytes.fromhex(answer.key)
    except ValueError:
        return False
    statement = enrolment_statement(
        transport_key=seat.read("invited")["transport_key"].encode(),
        invitation=seat.invitation,
        policy_hash=policy_hash,
        key=key,
    )
    if answer.device != device_name(key).hex() or not signed_by(key, answer.signature, statement):
        return False
    seat.write("enrolled", {"device": answer.device, "key": answer.key})
    return True


def directory(folder: OperatorFolder) -> dict[bytes, bytes]:
    """Return device id to key, of all devices that are enrolled and not revoked."""
    known = (seat.read("enrolled") for seat in folder.seats() if seat.state == "enrolled")
    return {bytes.fromhex(words["device"]): bytes.fromhex(words["key"]) for words in known}
