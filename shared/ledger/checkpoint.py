# SPDX-License-Identifier: Apache-2.0
"""Signed statements about the tree: the keeper's checkpoints and other people's cosignatures.

A checkpoint says "the first `size` records of run `run` have the root `root`". Below it nothing
can be changed without the keeper's key. A keeper with the key can still tell two people two
stories; a cosignature, which somebody else keeps, is what makes that visible.

Source: RFC 6962, section 3.5 (signed tree heads); RFC 8032 (Ed25519).
"""

from dataclasses import dataclass
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.ledger import records
from shared.ledger.records import LedgerFault

CHECKPOINT_LABEL = b"privet/ledger/checkpoint/v1\n"
COSIGNATURE_LABEL = b"privet/ledger/cosignature/v1\n"
_FIELDS = frozenset({"at", "key", "root", "run", "sig", "size", "v"})


def public_hex(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """Return the 32 raw bytes of a public key, hex."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes_raw().hex()


@dataclass(frozen=True)
class Checkpoint:
    """A signed statement about the first ``size`` records."""

    run: str
    size: int
    root: str
    """Root of the Merkle tree of the records, hex."""
    at: int
    """Time of the last record (a checkpoint), or of the signing (a cosignature); 0: not stated."""
    key: str
    """Public key of the signer, hex."""
    sig: str

    @classmethod
    def sign(
        cls, key: Ed25519PrivateKey, label: bytes, *, run: str, size: int, root: str, at: int
    ) -> Self:
        """Sign a statement."""
        body = _body(run, size, root, at, public_hex(key))
        return cls(run, size, root, at, public_hex(key), key.sign(label + body).hex())

    def line(self) -> bytes:
        """Return the canonical line, without its newline."""
        return records.canonical({**vars(self), "v": records.VERSION})

    def verify(self, label: bytes) -> bool:
        """Say whether the signature is that of ``key``, exactly."""
        body = _body(self.run, self.size, self.root, self.at, self.key)
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))
            public.verify(bytes.fromhex(self.sig), label + body)
        except (InvalidSignature, ValueError):
            return False
        return True


def _body(run: str, size: int, root: str, at: int, key: str) -> bytes:
    """Return what is signed, after the label."""
    fields = {"at": at, "key": key, "root": root, "run": run, "size": size, "v": records.VERSION}
    return records.canonical(fields)


def read_checkpoint(line: bytes, number: int, label: bytes, file: str) -> Checkpoint:
    """Read one line of a file of checkpoints and check its signature.

    Raises:
        LedgerFault: Names the line, from 1, and what is wrong.
    """
    place = f"{file} line {number}"
    try:
        value = records.parse(line)
    except ValueError:
        raise LedgerFault("the line is not canonical JSON.", field=place) from None
    if value.keys() != _FIELDS or not _typed(value):
        raise LedgerFault("the fields are not those of a checkpoint.", field=place)
    value.pop("v")
    found = Checkpoint(**value)
    if not found.verify(label):
        raise LedgerFault("the signature does not verify.", field=place)
    return found


def _typed(value: dict[str, Any]) -> bool:
    integers = all(type(value[name]) is int and value[name] >= 0 for name in ("at", "size", "v"))
    strings = all(isinstance(value[name], str) for name in ("key", "root", "run", "sig"))
    return integers and strings and value["v"] == records.VERSION
