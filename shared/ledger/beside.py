# SPDX-License-Identifier: Apache-2.0
"""What stands beside a ledger in a run folder, held against what the records say of it.

A ledger names the hash of the policy that it was kept under, and of every model file that it
released. Whoever edits those files later must not be able to show them with the ledger. A bare
ledger has neither beside it: then nothing was compared, and the words say so.

Source: docs/spec/ledger.md, section "Beside the ledger".
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.errors import UsageError
from shared.ledger import chain
from shared.ledger.records import LedgerFault
from shared.ledger.rules import Book
from shared.privacy.policy import Mechanism

POLICY, SIGNATURE, MODEL = "policy.json", "policy.sig", "model.safetensors"
POLICY_LABEL = {"simulation": b"", "deployment": b"privet/v1/Policy\n"}
"""What is hashed before the file: a deployment's policy has the hash that its devices pinned."""


@dataclass(frozen=True)
class Place:
    """Where a ledger stands."""

    ledger: Path
    home: Path | None
    """The run folder around it; None for a ledger alone."""
    variant: str
    """What the run's files begin with: `seed3-` where a run has several seeds."""
    whole: bool
    """Whether the run folder was meant, so that its policy must be there."""

    def file(self, name: str) -> Path | None:
        """Return a file of the run, None where it is not at hand."""
        path = self.home / f"{self.variant}{name}" if self.home else None
        return path if path is not None and path.is_file() else None


def locate(path: Path) -> Place:
    """Find the ledger of a run folder, a ledger folder or a records file.

    Raises:
        LedgerFault: There is none.
        UsageError: There are several.
    """
    inside = sorted(found.parent for found in path.glob(f"*ledger/{chain.RECORDS}"))
    if len(inside) > 1:
        names = ", ".join(found.name for found in inside[:8])
        raise UsageError(
            f"PATH must name one ledger, got a folder of {len(inside)}.",
            hint=f"name one of them: {names}.",
        )
    if inside:
        return Place(inside[0], path, inside[0].name.removesuffix("ledger"), whole=True)
    for folder in (path, path.parent):
        if (folder / chain.RECORDS).is_file():
            return _around(folder)
    raise LedgerFault("there is no records.jsonl here.", field=path.name)


def _around(folder: Path) -> Place:
    """Say whether a run folder is around a ledger that was named itself."""
    home = folder.absolute().parent
    variant = folder.absolute().name.removesuffix("ledger")
    if variant == folder.absolute().name or not (not variant or variant.endswith("-")):
        return Place(folder, None, "", whole=False)
    return Place(folder, home, variant, whole=bool(variant))


def policy_hash(content: bytes, origin: str) -> str:
    """Return the hash that a run_open of this origin names for a policy file."""
    return sha256(POLICY_LABEL[origin] + content).hexdigest()


def hold_policy(place: Place, book: Book) -> bool:
    """Compare policy.json with run_open; return False where it is not at hand.

    Raises:
        LedgerFault: It is another policy, a run folder lacks it, or the ledger goes beyond it.
    """
    run, file = book.run, place.file(POLICY)
    if run is None:
        return False
    if file is None:
        if place.whole:
            raise LedgerFault(
                f"{place.variant}{POLICY} must be in the run folder, it is missing.",
                record=0,
                field="policy",
            )
        return False
    content = file.read_bytes()
    if policy_hash(content, run["origin"]) != run["policy"]:
        raise LedgerFault(
            f"{file.name} is not the policy that this ledger was kept under.",
            record=0,
            field="policy",
        )
    try:
        broken = [name for name, holds in _statements(_object(content), book) if not holds]
    except (TypeError, KeyError, AttributeError):
        raise LedgerFault("is not one that can be read.", field=file.name) from None
    if broken:
        what = f"{file.name} states another or a smaller one than the ledger."
        raise LedgerFault(what, record=0, field=broken[0])
    return True


def officer(place: Place, book: Book) -> str:
    """Return the key, hexadecimal, of the officer who signed the policy at hand; "" without one.

    Whose key that is, nothing here can tell: an owner or auditor compares it with the one that the
    officer told them.

    Raises:
        LedgerFault: There is a signature, and it is not one of this policy.
    """
    policy, file = place.file(POLICY), place.file(SIGNATURE)
    if book.run is None or book.run["origin"] != "deployment" or policy is None or file is None:
        return ""
    try:
        key, signature = file.read_text().split()
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature), POLICY_LABEL["deployment"] + policy.read_bytes())
    except (ValueError, InvalidSignature):
        raise LedgerFault("is no signature of policy.json.", field=SIGNATURE) from None
    return key


def _object(content: bytes) -> dict[str, Any]:
    """Return what a policy states; nothing where it is no JSON object."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _statements(stated: dict[str, Any], book: Book) -> Iterator[tuple[str, bool]]:
    """Yield each thing that both policy and ledger state, and whether the ledger keeps to it."""
    run, floor = book.run or {}, stated.get("floor", {})
    for name in ("trust", "users"):
        yield name, stated.get(name, run[name]) == run[name]
    yield "delta", _number(stated.get("delta", run["delta"])) == Fraction(run["delta"])
    if run["rho_cap"] != "none":
        most = stated.get("rho", floor.get("rho_cap", run["rho_cap"]))
        yield "rho_cap", Fraction(run["rho_cap"]) <= _number(most)
        asked = stated.get("queries") or [entry["query"] for entry in stated.get("releases", ())]
        yield "query", not asked or book.queries.keys() <= set(asked)
    often = floor.get("participations_max", run["participations_max"])
    yield "participations_max", run["participations_max"] <= often
    yield "key", stated.get("server_key", run["key"]) == run["key"]
    yield "trust", run["trust"] in floor.get("trusts", (run["trust"],))
    for name, kept in (("rho", _round_kept), ("min_survivors", _shares_kept)):
        yield name, all(kept(mechanism, floor) for mechanism in book.mechanisms)


def _round_kept(mechanism: Mechanism, floor: dict[str, Any]) -> bool:
    """Say whether a round costs no more than the policy's floor allows."""
    return "rho_round_max" not in floor or mechanism.rho <= _number(floor["rho_round_max"])


def _shares_kept(mechanism: Mechanism, floor: dict[str, Any]) -> bool:
    """Say whether a sum counts on enough devices and shares of noise, as a device would."""
    least = floor.get("min_noise_shares", 1) if mechanism.trust == "distributed" else 1
    above = _number(floor.get("min_survivors_above", 0))
    enough = mechanism.min_survivors > above * mechanism.cohort_size
    return bool(above >= 0 and enough and mechanism.noise_shares >= least)


def _number(text: object) -> Fraction:
    """Read a number of a policy; below everything where it is none."""
    try:
        return Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        return Fraction(-1)


def hold_model(place: Place, book: Book) -> bool:
    """Compare the model file with the last release; return False where there is nothing to.

    A release of exact sums, or of seeded noise, names a keyed hash, which only its keeper can
    compare; such a run has no published model file.

    Raises:
        LedgerFault: It is another model, or no release names one.
    """
    file = place.file(MODEL)
    if file is None or book.run is None or book.run["noise"] != "os":
        return False
    if not book.releases:
        what = f"no release names a model, and {file.name} is in the run folder."
        raise LedgerFault(what, field=MODEL)
    if sha256(file.read_bytes()).hexdigest() != book.releases[-1]["file"]:
        raise LedgerFault(
            f"{file.name} is not the file that was released.",
            record=book.release_record,
            field="file",
        )
    return True
