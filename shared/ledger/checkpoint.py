# SPDX-License-Identifier: Apache-2.0
"""Signed statements about the tree: the keeper's checkpoints and other people's cosignatures.

A checkpoint says "the first `size` records of run `run` have the root `root`, and the checkpoint
before this one was `prev`". Below it nothing can be changed without the keeper's key: the last
signature covers every record through the root and every earlier checkpoint, its signature
included, through `prev`. A keeper with the key can still tell two people two stories; a
cosignature, which somebody else keeps, is what makes that visible.

Source: RFC 6962, section 3.5 (signed tree heads); RFC 8032 (Ed25519).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.ledger import records
from shared.ledger.merkle import leaf_hash
from shared.ledger.records import NO_PREVIOUS, LedgerFault

CHECKPOINT_LABEL = b"privet/ledger/checkpoint/v1\n"
COSIGNATURE_LABEL = b"privet/ledger/cosignature/v1\n"
_HASH, _NUMBER = rb'"([0-9a-f]{64})"', rb"(0|[1-9][0-9]{0,17})"
_LINE = re.compile(
    rb'\{"at":%b,"key":%b,"prev":%b,"root":%b,"run":"([0-9a-f]{32})","sig":"([0-9a-f]{128})",'
    rb'"size":%b,"v":1\}' % (_NUMBER, _HASH, _HASH, _HASH, _NUMBER)
)
"""The one spelling of a statement; what it does not match is refused."""


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
    prev: str
    """Leaf hash of the line of the checkpoint before; zeros for the first, and in a cosignature."""
    key: str
    """Public key of the signer, hex."""
    sig: str

    @classmethod
    def sign(
        cls,
        key: Ed25519PrivateKey,
        label: bytes,
        *,
        run: str,
        size: int,
        root: str,
        at: int,
        prev: str = NO_PREVIOUS,
    ) -> Self:
        """Sign a statement."""
        body = _body(run, size, root, at, prev, public_hex(key))
        return cls(run, size, root, at, prev, public_hex(key), key.sign(label + body).hex())

    def line(self) -> bytes:
        """Return the canonical line, without its newline."""
        return records.canonical({**vars(self), "v": records.VERSION})

    def verify(self, label: bytes) -> bool:
        """Say whether the signature is that of ``key``, exactly."""
        body = _body(self.run, self.size, self.root, self.at, self.prev, self.key)
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))
            public.verify(bytes.fromhex(self.sig), label + body)
        except (InvalidSignature, ValueError):
            return False
        return True


def _body(run: str, size: int, root: str, at: int, prev: str, key: str) -> bytes:
    """Return what is signed, after the label."""
    fields = {"at": at, "key": key, "prev": prev, "root": root, "run": run, "size": size}
    return records.canonical({**fields, "v": records.VERSION})


def read_statement(line: bytes, number: int, file: str) -> Checkpoint:
    """Read one line of a file of checkpoints; its signature is not checked here.

    Raises:
        LedgerFault: Names the line, from 1.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        place = f"{file} line {number}"
        raise LedgerFault("the line is not the canonical one of a checkpoint.", field=place)
    at, size = int(found[1]), int(found[7])
    key, prev, root, run, sig = (found[i].decode("ascii") for i in (2, 3, 4, 5, 6))
    return Checkpoint(run, size, root, at, prev, key, sig)


def read_chain(lines: Sequence[bytes], label: bytes, file: str) -> list[Checkpoint]:
    """Read the keeper's checkpoints: each names the line before, the last one is signed.

    Guarantees:
        - Every line is covered by the last signature: by `prev`, one after the other.

    Raises:
        LedgerFault: Names the line, from 1, and what is wrong.
    """
    found: list[Checkpoint] = []
    prev = NO_PREVIOUS
    for number, line in enumerate(lines, 1):
        mark = read_statement(line, number, file)
        if mark.prev != prev:
            raise _broken(found, number, label, file)
        found.append(mark)
        prev = leaf_hash(line).hex()
    if found and not found[-1].verify(label):
        raise LedgerFault("the signature does not verify.", field=f"{file} line {len(found)}")
    return found


def _broken(before: list[Checkpoint], number: int, label: bytes, file: str) -> LedgerFault:
    """Say which of two lines that do not follow each other was changed."""
    if before and not before[-1].verify(label):
        place = f"{file} line {number - 1}"
        return LedgerFault("the signature does not verify.", field=place)
    what = "is not the hash of the checkpoint before."
    return LedgerFault(what, field=f"{file} line {number}, prev")


def read_cosignature(line: bytes, number: int, file: str) -> Checkpoint:
    """Read one line of a file of cosignatures and check its signature.

    Raises:
        LedgerFault: Names the line, from 1, and what is wrong.
    """
    mark, place = read_statement(line, number, file), f"{file} line {number}"
    if mark.prev != NO_PREVIOUS:
        raise LedgerFault("a cosignature follows no other.", field=f"{place}, prev")
    if not mark.verify(COSIGNATURE_LABEL):
        raise LedgerFault("the signature does not verify.", field=place)
    return mark
