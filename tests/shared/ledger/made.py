# SPDX-License-Identifier: Apache-2.0
"""Made-up ledgers for the tests: nothing in them comes from a person."""

from fractions import Fraction
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.ledger import chain
from shared.ledger.checkpoint import CHECKPOINT_LABEL, Checkpoint, public_hex
from shared.ledger.merkle import Frontier, leaf_hash
from shared.ledger.records import NO_PREVIOUS, Record
from shared.privacy.policy import Mechanism, sensitivity_squared

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def digest(word):
    return sha256(word.encode()).hexdigest()


def run_open(**changes):
    body = {
        "run": "0123456789abcdef0123456789abcdef",
        "origin": "simulation",
        "key": public_hex(KEY),
        "key_origin": "run",
        "policy": digest("policy"),
        "code": "privet 0.1.0",
        "model": digest("model 0"),
        "unit": "account",
        "neighboring_relation": "zero-out",
        "trust": "distributed",
        "protocol": "drawn",
        "noise": "os",
        "users": 943,
        "delta": "1/100000",
        "rho_cap": "2",
        "participations_max": 1000,
    }
    return body | changes


def round_open(number, query="trunk_items", sigma2=2_000_000, session=0, noise=True, **changes):
    dimension, norm = 5046, 4096
    trust = changes.get("trust", "distributed")
    if trust != "distributed":
        sigma2 *= 849  # one share carries what 849 carry together
    fields = (trust, 943, 849, 0, dimension, norm)
    delta2 = sensitivity_squared(dimension, norm)
    mechanism = Mechanism(*fields, delta2, sigma2) if noise else None
    body = {
        "round": number,
        "session": session,
        "sessions": 1,
        "query": query,
        "purpose": "learn how items differ",
        "rounding": "scale",
        "clipping_norm": "1",
        "trust": "distributed",
        "cohort_size": 943,
        "min_survivors": 849,
        "max_colluders": 0,
        "dimension": dimension,
        "scaled_norm": norm,
        "delta2_squared": delta2,
        "sigma2": sigma2 if noise else 0,
        "rho": str(mechanism.rho) if mechanism else "none",
        "model": digest(f"model {number - 1}"),
        "config": digest(f"config {number}"),
    }
    return body | changes


def round_close(number, query="trunk_items", **changes):
    body = {
        "round": number,
        "session": 0,
        "query": query,
        "outcome": "released",
        "survivors": 943,
        "model": digest(f"model {number}"),
        "receipts": [],
    }
    return body | changes


def history(rounds, **opening):
    """A whole run as (kind, body): one item_sums, then trunk rounds, a release at the end."""
    noise = opening.get("noise", "os") != "none"
    if not noise:
        opening["rho_cap"] = "none"
    steps = [("run_open", run_open(**opening))]
    for number in range(1, rounds + 1):
        query, sigma2 = ("item_sums", 20_000) if number == 1 else ("trunk_items", 2_000_000)
        trust = {"trust": opening["trust"]} if "trust" in opening else {}
        steps.append(("round_open", round_open(number, query, sigma2, noise=noise, **trust)))
        steps.append(("round_close", round_close(number, query)))
    final = {"name": "model", "round": rounds, "model": digest(f"model {rounds}")}
    steps.append(("release", final | {"file": digest("file")}))
    return steps


def write(folder, steps, key=KEY):
    """Write through the writer, as a run does."""
    with chain.LedgerWriter.open(folder, key) as ledger:
        for kind, body in steps:
            ledger.append(kind, body, at=1_790_000_000)
        ledger.checkpoint()
    return folder


def forge(folder, steps, key=KEY):
    """Write without the writer's rules: what a keeper who lies can sign."""
    folder.mkdir(parents=True, exist_ok=True)
    prev, tree, lines, marks, before = NO_PREVIOUS, Frontier(), [], [], NO_PREVIOUS
    for seq, (kind, body) in enumerate(steps):
        line = Record(seq, kind, 1_790_000_000, prev, body).line()
        prev = leaf_hash(line).hex()
        tree.append(leaf_hash(line))
        lines.append(line + b"\n")
        if kind == "round_close" or seq == len(steps) - 1:
            root, run = tree.root().hex(), steps[0][1]["run"]
            mark = Checkpoint.sign(
                key,
                CHECKPOINT_LABEL,
                run=run,
                size=tree.size,
                root=root,
                at=1_790_000_000,
                prev=before,
            )
            marks.append(mark.line() + b"\n")
            before = leaf_hash(mark.line()).hex()
    (folder / chain.RECORDS).write_bytes(b"".join(lines))
    (folder / chain.CHECKPOINTS).write_bytes(b"".join(marks))
    return folder


def total_rho(rounds):
    parts = [round_open(1, "item_sums", 20_000)["rho"]]
    parts += [round_open(number)["rho"] for number in range(2, rounds + 1)]
    return sum(map(Fraction, parts))
