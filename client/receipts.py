# SPDX-License-Identifier: Apache-2.0
"""Receipts: what left the device, what it refused, what was charged and never left.

They form a chain: each names the digest of the one before and is signed by the device's key. A
receipt is on disk before the bytes that it is about leave; what became of them is a further receipt
about the same act. Nothing is ever changed or removed. What leaves of a receipt is its commitment
alone, which says nothing without the salt.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.errors import DataError, VerificationError
from shared.ledger.records import receipt_commitment
from shared.privacy.canonical import Signed, digest, sign, verified
from shared.privacy.policy import Policy, RoundConfig

Status = Literal["prepared", "sent", "failed", "refused", "charged-unused"]
Kind = Literal[
    "update-upload", "metric-upload", "key-share", "check-in", "model-download", "publication"
]
START = "00" * 32
"""`prev` of the first receipt."""
EXCLUDES = ("ratings", "comments", "titles", "user vector", "profile", "attributes")
"""What no upload ever contains, in the words of the page."""


@dataclass(frozen=True)
class Receipt:
    """One link of the chain. Integers and strings only, so that it has one spelling."""

    seq: int
    prev: str
    """Digest of the receipt before."""
    act: int
    """`seq` of the first receipt about the same act."""
    created_at: int
    """Seconds since 1970, the device's own clock."""
    status: str
    """One of `Status`."""
    kind: str
    """One of `Kind`."""
    run: str = ""
    round: int = 0
    query: str = ""
    purpose: str = ""
    """The sentence of the signed question."""
    to: str = ""
    """Host, where it is known."""
    to_key: str = ""
    """Ed25519 key of the server, hexadecimal."""
    upload_bytes: int = 0
    download_bytes: int = 0
    payload: str = ""
    """SHA-256 of what left, "" before it exists."""
    policy: str = ""
    config: str = ""
    model: str = ""
    code: str = ""
    """SHA-256 of the installed code that made the answer."""
    contains: tuple[str, ...] = ()
    """Names and sizes of the fields."""
    excludes: tuple[str, ...] = ()
    protection: str = ""
    """One sentence for the owner."""
    devices: int = 0
    """Fewest devices that the answer is summed with."""
    shares: int = 0
    """Honest noise shares that the figure counts on."""
    rho: Fraction = Fraction(0)
    salt: str = ""
    commitment: str = ""
    """What leaves of this receipt."""
    reason: str = ""
    """Why the device refused."""


class Chain:
    """The receipts of a device, oldest first, and how one is added; it writes nothing itself."""

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        """Read sealed records; the seal vouches for them, `check` for links and signatures."""
        self.receipts = [_read(record["body"]) for record in records]
        self._records = list(records)

    def check(self, public_key: str) -> None:
        """Check every number, link and signature.

        Raises:
            VerificationError: one is wrong.
        """
        prev = START
        for seq, record in enumerate(self._records, start=1):
            signed = Signed(record["body"].encode(), bytes.fromhex(record["signature"]))
            receipt = verified(Receipt, signed, public_key)
            if receipt is None or receipt.seq != seq or receipt.prev != prev or receipt.act > seq:
                raise VerificationError(
                    f"receipt {seq} must be signed by this device and follow the one before.",
                    hint="the device was changed from outside; import an export, or erase it.",
                )
            prev = digest(receipt)

    @property
    def head(self) -> str:
        """Digest of the newest receipt."""
        return digest(self.receipts[-1]) if self.receipts else START

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the store seals."""
        return list(self._records)

    def add(self, receipt: Receipt, key: Ed25519PrivateKey) -> Receipt:
        """Number, link and sign one receipt; `act` 0 begins a new act."""
        seq = len(self.receipts) + 1
        linked = replace(receipt, seq=seq, prev=self.head, act=receipt.act or seq)
        if linked.rho and not linked.commitment:
            salt = os.urandom(32)
            fields = commitment_fields(linked)
            linked = replace(linked, salt=salt.hex(), commitment=receipt_commitment(salt, fields))
        signed = sign(linked, key)
        self._records.append(
            {"body": signed.payload.decode("ascii"), "signature": signed.signature.hex()}
        )
        self.receipts.append(linked)
        return linked

    def follow(self, act: int, key: Ed25519PrivateKey, **changes: Any) -> Receipt:
        """Add what became of an act."""
        return self.add(replace(self.latest(act), **changes), key)

    def latest(self, act: int) -> Receipt:
        """Return the newest receipt about an act.

        Raises:
            DataError: there is none.
        """
        for receipt in reversed(self.receipts):
            if receipt.act == act:
                return receipt
        raise DataError(f"act {act} must have a receipt, got none.", hint="see `receipts`.")

    def acts(self) -> list[Receipt]:
        """Return the newest receipt of every act, in the order the acts began."""
        newest = {receipt.act: receipt for receipt in self.receipts}
        return [newest[act] for act in sorted(newest)]


def commitment_fields(receipt: Receipt) -> dict[str, str | int]:
    """Return what a commitment is about (docs/spec/ledger.md)."""
    return {
        "run": receipt.run,
        "round": receipt.round,
        "query": receipt.query,
        "config": receipt.config,
        "model": receipt.model,
        "rho": str(receipt.rho),
        "seq": receipt.act,
    }


def about_round(config: RoundConfig, policy: Policy | None) -> Receipt:
    """Return the receipt of one question, before its number and status."""
    m = config.mechanism
    sums = {
        "distributed": f"hidden in a sum of at least {m.min_survivors} devices, with noise",
        "central": "noised by the server after the sum",
        "local": "noised on this device alone",
    }
    fields = (f"{block.name}: {block.size} integers" for block in config.query.blocks)
    return Receipt(
        seq=0,
        prev="",
        act=0,
        created_at=0,
        status="prepared",
        kind="metric-upload" if config.query.name == "metrics" else "update-upload",
        run=config.run,
        round=config.round,
        query=config.query.name,
        purpose=config.query.purpose,
        to=policy.operator if policy else "",
        to_key=policy.server_key if policy else "",
        policy=config.policy_hash,
        config=digest(config),
        model=config.model_hash,
        code=code_hash(),
        contains=tuple(fields),
        excludes=EXCLUDES,
        protection=f"Clipped, rounded, {sums[m.trust]}.",
        devices=m.min_survivors if m.trust != "local" else 1,
        shares=m.noise_shares,
        rho=m.rho,
    )


def _read(body: str) -> Receipt:
    """Read a sealed receipt; `Chain.check` reads it the strict way."""
    fields = json.loads(body)
    rho, contains, excludes = fields["rho"], fields["contains"], fields["excludes"]
    words = {"contains": tuple(contains), "excludes": tuple(excludes), "rho": _fraction(rho)}
    return Receipt(**{**fields, **words})


@lru_cache(maxsize=1024)
def _fraction(text: str) -> Fraction:
    """Read a fraction; rounds of one query cost the same."""
    return Fraction(text)


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Return the SHA-256 over the names and bytes of the installed `client` and `shared`."""
    root = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for room in ("client", "shared"):
        for path in sorted((root / room).rglob("*.py")):
            total.update(path.relative_to(root).as_posix().encode() + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
