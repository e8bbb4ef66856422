# SPDX-License-Identifier: Apache-2.0
"""The auditor's bare tool: read a ledger again and say what it proves, with nothing of ours run.

    python -m shared.ledger.replay PATH [--format json] [--key HEX] [--cosigned FILE]
                                        [--receipts FILE]

It needs the standard library and `cryptography` alone: no model, no numbers library. It recomputes
every hash, signature, Δ2, ρ and ε from the records. Exit 0: everything holds. Exit 15: something
does not verify. Exit 17: everything verifies and a claim is exceeded. Either names the record and
the field.

Source: docs/spec/ledger.md.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from shared.errors import DataError, PrivetError
from shared.ledger import beside, chain
from shared.ledger.checkpoint import Checkpoint, read_cosignature
from shared.ledger.records import (
    RECEIPT_TELLS,
    ClaimExceeded,
    LedgerFault,
    parse,
    receipt_commitment,
)
from shared.ledger.rules import Book
from shared.privacy.accountant import epsilon

CHECKED = (
    "every record is canonical, in sequence and chained to the one before",
    "the last signature covers every record and every earlier checkpoint; each older tree is a "
    "prefix of the next",
    "no round was opened twice, and rounds only went up",
    "each round started from the model that the last one left",
    "Δ2 and ρ of every sum follow from its integers; Σρ and participations stay within the cap",
    "no sum was opened with fewer devices than its minimum",
)
UNSIGNED_UNUSED = frozenset({"release", "metric_release", "audit"})
"""Kinds that say nothing before they are signed: anybody could have added them."""
POLICY_COMPARED = "policy.json is the policy whose hash the first record names"
OFFICER = "policy.sig is a signature of it by the key {}: the officer's, if they say so"
MODEL_COMPARED = "the model file is the one whose hash the last release names"
POLICY_NOT_AT_HAND = (
    "the policy: policy.json was not at hand, so it was not compared with the hash in run_open"
)
MODEL_NOT_AT_HAND = "the model file: it was not at hand, so it was not compared with its release"
UNCHECKABLE = (
    "a device whose owner turned its storage back, without a hardware counter",
    "a device, or a simulation, that lies about the noise it added (max_colluders allows for some)",
    "what anybody did with data that never went through the door",
    "records after the last checkpoint: chained, not signed; a release there is not believed",
)
NOT_COSIGNED = (
    "a history rewritten and signed again by its keeper, or cut back to an older checkpoint by "
    "anybody: nobody cosigned this ledger, so that would not show"
)


@dataclass(frozen=True)
class Replay:
    """What a ledger proves."""

    book: Book
    run: dict[str, Any]
    records: int
    signed: int
    """Records below the last checkpoint."""
    checkpoints: int
    root: str
    cosigners: tuple[str, ...]
    torn_bytes: int
    receipts: int
    epsilon: float | None
    """ε of Σρ at δ; None without noise."""
    epsilon_own_round: float | None
    epsilon_own: float | None
    policy_compared: bool = False
    """Whether policy.json was at hand and is the one that run_open names."""
    officer: str = ""
    """Key that signed the policy at hand, hexadecimal; "" where no signature was at hand."""
    model_compared: bool = False
    """The same for the model file and the last release."""

    def facts(self) -> dict[str, Any]:
        """Return the result as plain values."""
        book = self.book
        return {
            "verdict": "holds",
            "run": self.run["run"],
            "origin": self.run["origin"],
            "noise": self.run["noise"],
            "trust": self.run["trust"],
            "records": self.records,
            "signed_records": self.signed,
            "checkpoints": self.checkpoints,
            "root": self.root,
            "key": self.run["key"],
            "key_origin": self.run["key_origin"],
            "policy": self.run["policy"],
            "policy_compared": self.policy_compared,
            "officer": self.officer,
            "model_compared": self.model_compared,
            "cosigners": list(self.cosigners),
            "torn_bytes": self.torn_bytes,
            "receipts_checked": self.receipts,
            "rounds": book.rounds,
            "sums_released": book.released,
            "sums_discarded": book.discarded,
            "publications": book.publications,
            "users": self.run["users"],
            "delta": self.run["delta"],
            "rho": str(book.rho) if book.private else None,
            "rho_cap": self.run["rho_cap"] if book.private else None,
            "epsilon": self.epsilon,
            "epsilon_own_share": self.epsilon_own,
            "epsilon_own_share_one_round": self.epsilon_own_round,
            "noise_shares_min": book.shares_min,
            "model": book.model,
            "queries": [
                {
                    "name": spend.query,
                    "rounds": spend.rounds,
                    "sessions": spend.sessions,
                    "dimension": spend.dimension,
                    "clipping_norm": spend.clipping_norm,
                    "rho": str(spend.rho),
                    "share": float(spend.rho / book.rho) if book.rho else None,
                }
                for spend in book.queries.values()
            ],
            "checked": list(self.checked()),
            "cannot_be_checked": list(self.uncheckable()),
        }

    def checked(self) -> tuple[str, ...]:
        """Say what was found to hold."""
        beside_it = ((self.policy_compared, POLICY_COMPARED), (self.model_compared, MODEL_COMPARED))
        signed = (OFFICER.format(self.officer),) if self.officer else ()
        return (*CHECKED, *(line for compared, line in beside_it if compared), *signed)

    def uncheckable(self) -> tuple[str, ...]:
        """Say what nobody can tell from this ledger."""
        beside_it = (
            (self.policy_compared, POLICY_NOT_AT_HAND),
            (self.model_compared or not self.book.releases, MODEL_NOT_AT_HAND),
            (bool(self.cosigners), NOT_COSIGNED),
        )
        return (*UNCHECKABLE, *(line for compared, line in beside_it if not compared))


def locate(path: Path) -> Path:
    """Return the ledger's folder for a run folder, a ledger folder or its records file."""
    return beside.locate(path).ledger


def replay(
    path: Path,
    *,
    key: str | None = None,
    cosigned: Path | None = None,
    receipts: Path | None = None,
) -> Replay:
    """Verify a ledger and add it up.

    Args:
        path: Run folder, ledger folder or records file.
        key: Public key that must have signed, hex; None takes the one that run_open names.
        cosigned: A cosigner's own copy of a cosignature (JSON lines).
        receipts: Receipts that devices handed over (JSON lines).

    Raises:
        LedgerFault: It does not verify (exit 15).
        ClaimExceeded: It verifies and a claim is exceeded (exit 17).
    """
    place = beside.locate(path)
    folder = place.ledger
    lines, torn = chain.split((folder / chain.RECORDS).read_bytes())
    marks, torn_mark = chain.read_checkpoints(folder)
    if torn_mark:
        raise LedgerFault("the last line is cut off.", field=chain.CHECKPOINTS)
    if not marks:
        raise LedgerFault("nothing here is signed.", field=chain.CHECKPOINTS)
    witnesses = _cosignatures(folder / chain.COSIGNATURES)
    if cosigned is not None:
        witnesses += _cosignatures(cosigned, must_exist=True)
    handed = _receipts(receipts) if receipts is not None else []
    book, exceeded = Book(receipts={name: [] for name, _ in handed}), None
    roots = {mark.size: mark.root for mark in marks}
    sizes = {witness.size for witness in witnesses}
    for record, tree in chain.walk(lines, marks):
        if tree.size in sizes:
            roots[tree.size] = tree.root().hex()
        if record.seq >= marks[-1].size and record.kind in UNSIGNED_UNUSED:
            continue
        try:
            if exceeded is None:
                book.add(record)
        except ClaimExceeded as wrong:
            exceeded = wrong
    _witnessed(witnesses, roots, marks[-1])
    if key is not None and key != marks[-1].key:
        raise LedgerFault("is not the key that was given.", record=0, field="key")
    compared = beside.hold_policy(place, book)
    if exceeded is not None:
        raise exceeded
    _matched(handed, book)
    return _result(
        book,
        len(lines),
        marks,
        witnesses,
        torn=len(torn),
        receipts=len(handed),
        compared=(compared, beside.hold_model(place, book)),
        officer=beside.officer(place, book),
    )


def _result(
    book: Book,
    records: int,
    marks: list[Checkpoint],
    witnesses: list[Checkpoint],
    *,
    torn: int,
    receipts: int,
    compared: tuple[bool, bool],
    officer: str,
) -> Replay:
    """Put the result together."""
    run = book.run or {}

    def of(rho: Fraction) -> float | None:
        try:
            return epsilon(rho, float(Fraction(run["delta"]))) if book.private else None
        except DataError:
            raise LedgerFault("Σρ is too large for an ε.", field=chain.RECORDS) from None

    own = run["trust"] != "central"
    return Replay(
        book=book,
        run=run,
        records=records,
        signed=marks[-1].size,
        checkpoints=len(marks),
        root=marks[-1].root,
        cosigners=tuple(sorted({witness.key for witness in witnesses})),
        torn_bytes=torn,
        receipts=receipts,
        epsilon=of(book.rho),
        epsilon_own_round=of(book.rho_own_round) if own else None,
        epsilon_own=of(book.rho_own) if own else None,
        policy_compared=compared[0],
        model_compared=compared[1],
        officer=officer,
    )


def _cosignatures(path: Path, *, must_exist: bool = False) -> list[Checkpoint]:
    """Read cosignatures and check them."""
    if not path.exists() and not must_exist:
        return []
    lines, torn = chain.split(path.read_bytes())
    if torn:
        raise LedgerFault("the last line is cut off.", field=path.name)
    return [read_cosignature(line, number, path.name) for number, line in enumerate(lines, 1)]


def _witnessed(witnesses: list[Checkpoint], roots: dict[int, str], last: Checkpoint) -> None:
    """Hold every cosigned tree against the one that is here."""
    for witness in witnesses:
        if witness.key == last.key:
            raise LedgerFault("a keeper cannot cosign its own ledger.", field=chain.COSIGNATURES)
        if witness.run != last.run or roots.get(witness.size) != witness.root:
            raise LedgerFault(
                f"what {witness.key[:16]}… cosigned at {witness.size} records is not this history; "
                "it was rewritten.",
                field=chain.COSIGNATURES,
            )


def _receipts(path: Path) -> list[tuple[str, dict[str, Any] | None]]:
    """Read handed receipts: a bare commitment, or salt and fields that open it."""
    found: list[tuple[str, dict[str, Any] | None]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            value = parse(line)
            fields = value.get("fields")
            name = value.get("commitment")
            if fields is not None:
                name = receipt_commitment(bytes.fromhex(value["salt"]), fields)
            if not isinstance(name, str) or value.get("commitment", name) != name:
                raise ValueError("commitment")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LedgerFault(f"line {number} is not a receipt.", field=path.name) from None
        found.append((name, fields))
    return found


def _matched(handed: list[tuple[str, dict[str, Any] | None]], book: Book) -> None:
    """Find each handed receipt in exactly one round_close, of the question that it is about."""
    for name, fields in handed:
        places = book.receipts[name]
        if len(places) != 1:
            raise LedgerFault(
                f"receipt {name[:16]}… stands in {len(places)} closed rounds, must be one.",
                field="receipts",
            )
        if fields is None:
            continue
        for told in RECEIPT_TELLS:
            if book.asked[name][told] != fields[told]:
                raise LedgerFault(
                    f"receipt {name[:16]}… is of another question, its {told} differs.",
                    record=places[0],
                    field="receipts",
                )


def text(found: Replay) -> str:
    """Return the result in words."""
    facts, book = found.facts(), found.book
    rows = [f"The ledger of run {facts['run']} holds: {found.records} records, {found.signed} "]
    rows[0] += f"of them below {found.checkpoints} signed checkpoints."
    if facts["noise"] == "none":
        rows.append("NO PRIVACY: no noise was added in this run; ε is not defined.")
    elif facts["noise"] == "seeded":
        rows.append("NO PRIVACY: the noise was seeded; whoever has the seed can take it off.")
    if found.epsilon is not None:
        rows.append(
            f"ε = {found.epsilon:.9f} at δ = {facts['delta']} (ρ = {float(book.rho):.9g}), one "
            f"account, over {book.rounds} rounds."
        )
    if found.epsilon_own is not None:
        rows.append(
            f"Against a server that breaks the protocol: ε = {found.epsilon_own_round:.1f} for one "
            f"round, {found.epsilon_own:.1f} for all (the device's own share of noise alone)."
        )
    rows.append(f"root {found.root}\nkey  {facts['key']} (made for the {facts['key_origin']})")
    if found.torn_bytes:
        rows.append(
            f"Torn tail: {found.torn_bytes} bytes after record {found.records - 1} are not a whole "
            "record; the writer's next start cuts them off."
        )
    if not book.releases:
        rows.append("No model release is in this ledger: the run is unfinished, or was cut short.")
    if book.still_open:
        rows.append(f"{book.still_open} sums were opened and never closed; they are charged.")
    rows += [f"Cosigned by {key}: worth what you know of that key." for key in found.cosigners]
    rows.append("Checked:\n" + "\n".join(f"  + {line}" for line in found.checked()))
    if found.receipts:
        rows.append(f"  + {found.receipts} receipts, each in exactly one closed round")
    rows.append("Nobody can check:\n" + "\n".join(f"  - {line}" for line in found.uncheckable()))
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> int:
    """Run the auditor's tool and return its exit code."""
    words = argparse.ArgumentParser(prog="python -m shared.ledger.replay")
    words.add_argument("path", type=Path, help="run folder, ledger folder or records.jsonl")
    words.add_argument("--format", choices=("text", "json"), default="text")
    words.add_argument("--key", help="public key that must have signed, hex")
    words.add_argument("--cosigned", type=Path, help="a cosigner's own copy")
    words.add_argument("--receipts", type=Path, help="receipts handed over, JSON lines")
    args = words.parse_args(argv)
    try:
        found = replay(args.path, key=args.key, cosigned=args.cosigned, receipts=args.receipts)
    except (PrivetError, OSError) as wrong:
        return _fail(wrong, args.format)
    out = json.dumps(found.facts(), indent=1) if args.format == "json" else text(found)
    sys.stdout.write(out + "\n")
    return 0


def failure(wrong: LedgerFault | ClaimExceeded) -> dict[str, Any]:
    """Return what did not hold, and where, as plain values."""
    verdict = "claim exceeded" if isinstance(wrong, ClaimExceeded) else "does not verify"
    return {
        "verdict": verdict,
        "record": wrong.record,
        "field": wrong.field,
        "what": wrong.what,
        "exit_code": wrong.exit_code,
    }


def _fail(wrong: Exception, form: str) -> int:
    """Print what is wrong; return the exit code."""
    code = wrong.exit_code if isinstance(wrong, PrivetError) else LedgerFault.exit_code
    if form == "json" and isinstance(wrong, LedgerFault | ClaimExceeded):
        sys.stdout.write(json.dumps(failure(wrong), indent=1) + "\n")
    message = wrong if isinstance(wrong, PrivetError) else f"{type(wrong).__name__}: not readable."
    sys.stderr.write(f"error: {message}\n")
    if isinstance(wrong, PrivetError) and wrong.hint:
        sys.stderr.write(f"hint: {wrong.hint}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
