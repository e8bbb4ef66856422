# SPDX-License-Identifier: Apache-2.0
"""Who belongs to a federation: invitations, how a device answers one, and the directory.

An invitation carries a transport key, which only opens the line; the device's own Ed25519 key is
made on the device, and what it signs binds it to that line, that invitation and that policy. The
directory lists device ids and keys, is signed by the server, and every device looks for its own
entry in it before a round.

Source: FLOWER.md, section 8; docs/spec/wire.md.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.errors import DataError, VerificationError
from shared.privacy.canonical import Signed
from shared.privacy.policy import Policy
from shared.secagg.terms import ID_BYTES

DIRECTORY_LABEL = b"privet/directory/v1\n"
ENROLMENT_LABEL = b"privet/enrolment/v1\n"
DEVICE_RHO_CAP = Fraction(1)
"""Σρ that a device spends in its life where its owner says nothing, over all federations."""
RELEASE_LABEL = b"privet/release/v2\n"
INVITATION_FORMAT = "privet-invitation/1"
KEY_BYTES = 32
_ENTRY = ID_BYTES + KEY_BYTES
_SIGNATURE = 64


@dataclass(frozen=True, repr=False)
class Invitation:
    """What an operator hands to one owner. Secret: who holds it can take the place."""

    id: str
    """32 hexadecimal digits."""
    address: str
    """Host and port that the device connects to."""
    ca: str
    """Certificate authority, PEM."""
    transport_key: str
    """P-384 private key, PEM; opens the line and carries no guarantee."""
    run: str
    policy: str
    """Canonical policy."""
    policy_signature: str
    """Hexadecimal."""
    officer_key: str
    """Ed25519 public key of who signed the policy, hexadecimal."""
    catalogue: str
    """SHA-256 of the catalogue file."""
    scale_low: str
    """Lowest rating, a decimal."""
    scale_high: str
    answer_after_ms: int
    """A stage is answered this long after it was received, whatever the device holds."""

    @property
    def signed_policy(self) -> Signed:
        """The policy with its signature."""
        return Signed(self.policy.encode("ascii"), bytes.fromhex(self.policy_signature))


def write_invitation(invitation: Invitation) -> bytes:
    """Return an invitation as the text of a file."""
    return json.dumps({"format": INVITATION_FORMAT, **asdict(invitation)}, indent=1).encode()


def read_invitation(data: bytes) -> Invitation:
    """Read the file of an invitation.

    Raises:
        DataError: It is another file.
    """
    try:
        plain = json.loads(data)
        if plain.pop("format") != INVITATION_FORMAT:
            raise ValueError("another format")
        found = Invitation(**plain)
        if any(
            type(value) is not (int if name == "answer_after_ms" else str)
            for name, value in vars(found).items()
        ):
            raise ValueError("another type")
        bytes.fromhex(found.policy_signature)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(
            "an invitation must be the file that `privet server invite` made, got another.",
            hint="ask the operator for it again.",
        ) from None
    return found


def rounds_within(policy: Policy, rho: Fraction) -> int:
    """Return how many of a policy's rounds a device can surely answer with a budget."""
    most = policy.floor.participations_max
    if policy.floor.rho_cap <= rho or policy.floor.rho_round_max == 0:
        return most
    return min(most, int(max(rho, Fraction(0)) / policy.floor.rho_round_max))


def device_name(key: bytes) -> bytes:
    """Return the id of the device with this Ed25519 public key, 16 bytes."""
    return sha256(ENROLMENT_LABEL + key).digest()[:ID_BYTES]


def enrolment_statement(
    *, transport_key: bytes, invitation: str, policy_hash: str, key: bytes
) -> bytes:
    """Return what a device signs to enrol: line, invitation, policy and its own key."""
    return ENROLMENT_LABEL + b"\n".join(
        (sha256(transport_key).hexdigest().encode(), invitation.encode(), policy_hash.encode(), key)
    )


def release_statement(run: str, model: str, catalogue: str, comments: str) -> bytes:
    """Return what the server signs when it announces a model, its catalogue and the comments."""
    return RELEASE_LABEL + "\n".join((run, model, catalogue, comments)).encode()


def write_directory(run: str, entries: Mapping[bytes, bytes], key: Ed25519PrivateKey) -> bytes:
    """Return the signed directory: entries in ascending order of id, then the signature."""
    body = b"".join(name + entries[name] for name in sorted(entries))
    return body + key.sign(DIRECTORY_LABEL + run.encode() + b"\n" + body)


def read_directory(data: bytes, run: str, server_key: str) -> dict[bytes, bytes]:
    """Read a directory of this run, signed by this server.

    Raises:
        VerificationError: It is not.
    """
    body, signature = data[:-_SIGNATURE], data[-_SIGNATURE:]
    entries = [body[at : at + _ENTRY] for at in range(0, len(body), _ENTRY)]
    names = [entry[:ID_BYTES] for entry in entries]
    whole = len(body) % _ENTRY == 0 and names == sorted(set(names))
    statement = DIRECTORY_LABEL + run.encode() + b"\n" + body
    if not whole or not signed_by(bytes.fromhex(server_key), signature, statement):
        raise VerificationError(
            "the directory of devices must be signed by the policy's server, and is not.",
            hint="the round is refused; tell the operator.",
        )
    return {entry[:ID_BYTES]: entry[ID_BYTES:] for entry in entries}


def signed_by(key: bytes, signature: bytes, statement: bytes) -> bool:
    """Say whether the holder of an Ed25519 key signed a statement."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True
