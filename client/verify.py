# SPDX-License-Identifier: Apache-2.0
"""Checking a device: every seal, every link and signature of the receipts, and their ledger."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from client.books import Books
from client.receipts import Chain, Receipt, commitment_fields
from shared.errors import VerificationError
from shared.ledger.beside import locate
from shared.ledger.chain import RECORDS, split
from shared.ledger.records import RECEIPT_TELLS, receipt_commitment
from shared.ledger.replay import replay


@dataclass(frozen=True)
class Verdict:
    """What was checked; all of it held."""

    segments: int
    """Sealed segments that opened."""
    receipts: int
    """Links of the chain, each signed by this device."""
    spent: Fraction
    """ρ of all charged answers, equal to what the device's budget says."""
    head: str
    """Digest of the newest receipt."""
    closed: int | None
    """Receipts found in exactly one closed round of the ledger; None where none was given."""
    open: int | None
    """Receipts of rounds that the ledger does not list as closed (yet)."""


def verify(books: Books, ledger: Path | None) -> Verdict:
    """Check all; see `Verdict`.

    Args:
        books: The open store.
        ledger: Folder of the operator's ledger, or None.

    Raises:
        VerificationError: something does not hold; it says what.
    """
    segments = books.store.verify()
    chain, settings = Chain(books.store.table("receipts")), books.settings
    chain.check(settings.public_key)
    charged = [r for r in chain.receipts if r.seq == r.act and r.rho]
    for receipt in charged:
        fields = commitment_fields(receipt)
        if receipt_commitment(bytes.fromhex(receipt.salt), fields) != receipt.commitment:
            raise VerificationError(
                f"receipt {receipt.seq} must be what its commitment opens to, it is not.", hint=""
            )
    spent = sum((receipt.rho for receipt in charged), Fraction(0))
    state = settings.state
    if spent != (state.spent if state else 0):
        raise VerificationError(
            "the budget spent must be the sum of the receipts, it is not.",
            hint="the device was changed from outside; import an export, or erase it.",
        )
    closed = len(_closed(charged, ledger)) if ledger is not None else None
    return Verdict(
        segments=segments,
        receipts=len(chain.receipts),
        spent=spent,
        head=chain.head,
        closed=closed,
        open=None if closed is None else len(charged) - closed,
    )


def _closed(charged: list[Receipt], ledger: Path) -> list[Receipt]:
    """Return the receipts that stand in exactly one closed round of a ledger that verifies."""
    signer = replay(ledger).run["key"]
    opened: dict[tuple[int, str, int], dict[str, Any]] = {}
    places: dict[str, list[dict[str, Any]]] = {}
    for line in split((locate(ledger).ledger / RECORDS).read_bytes())[0]:
        record = json.loads(line)
        kind, body = record["kind"], record["body"]
        if kind == "round_open":
            opened[body["round"], body["query"], body["session"]] = body
        for name in body["receipts"] if kind == "round_close" else ():
            places.setdefault(name, []).append(
                opened[body["round"], body["query"], body["session"]]
            )
    found = [receipt for receipt in charged if receipt.commitment in places]
    for receipt in found:
        _hold(receipt, places[receipt.commitment], signer)
    return found


def _hold(receipt: Receipt, asked: list[dict[str, Any]], signer: str) -> None:
    """Hold a receipt against the rounds in which a ledger lists it.

    Raises:
        VerificationError: it is not one round, not the question that was answered, or the ledger
            is not that of the server that asked.
    """
    fields = commitment_fields(receipt)
    alike = all(asked[0][name] == fields[name] for name in RECEIPT_TELLS)
    for holds, rule in (
        (signer == receipt.to_key, "a ledger with the key of the server that asked"),
        (len(asked) == 1 and asked[0]["round"] == receipt.round, "one closed round, its own"),
        (alike, "the round of its own question, this one asked another question"),
    ):
        if not holds:
            raise VerificationError(
                f"receipt {receipt.seq} must stand in {rule}, it does not.",
                hint="show this to the privacy officer.",
            )
