# SPDX-License-Identifier: Apache-2.0
"""The one table of a report: every field that a privacy officer looks for, in one order.

None is a field that nobody stated; "not performed" is a statement.

Source: the schema of the registry of deployments by OpenDP and NIST; NIST SP 800-226.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from server.card import figures_words
from shared.ledger.replay import Replay
from shared.privacy import odds
from shared.privacy.accountant import SAMPLER_DELTA, epsilon
from simulation.audit.figures import Facts, accounts, bound, number_of

NO_NOISE = "none: no noise"
Row = tuple[str, str | None]


@dataclass(frozen=True)
class Stated:
    """What the run's owner states beside the ledger."""

    policy: Mapping[str, str]
    config: Mapping[str, str]
    env: Mapping[str, str]
    model: Facts | None
    """Size and hash of the model file, if it is the released one."""
    sums: int | None
    """How many published sums were hashed again."""

    def said(self, name: str) -> str | None:
        """Return what the signed policy states, else what the operator's config.toml does."""
        return self.policy.get(name) or self.config.get(name)


def table(found: Replay, stated: Stated) -> list[Facts]:
    """Return the rows: group, name, value."""
    groups = {
        "Identity": _identity(found, stated),
        "Guarantee": _guarantee(found),
        "Mechanism": _mechanism(found),
        "Sampling": _sampling(found),
        "Tuning": _tuning(found, stated),
        "Utility": _utility(found),
        "Audit": _audit(found),
        "Security": _security(found, stated),
        "Retention": _retention(found, stated),
        "Justification": iter([("why this ε", stated.said("justification"))]),
    }
    return [
        {"group": group, "name": name, "value": value}
        for group, rows in groups.items()
        for name, value in rows
    ]


def _identity(found: Replay, stated: Stated) -> Iterator[Row]:
    run, policy = found.run, stated.policy
    simulated = run["origin"] == "simulation"
    asked = "; ".join(sorted({spend.purpose for spend in found.book.queries.values()}))
    yield "operator", policy.get("operator") or ("the researcher" if simulated else None)
    yield "purpose", policy.get("purpose") or asked or None
    yield "run", f"{run['run']} ({run['origin']})"
    nobody = "no people: a simulation on a data set" if simulated else None
    yield "region and law", stated.said("region") or nobody


def _guarantee(found: Replay) -> Iterator[Row]:
    book, delta = found.book, Fraction(found.run["delta"])
    yield "unit", "one enrolled account: all events on one device"
    relation = "zero-out: the account's vector is replaced by zero; taking part is public"
    yield "neighbouring relation", relation
    smaller = [value for value in (delta, delta / 10, delta / 1000) if value > SAMPLER_DELTA]
    at = (f"{bound(epsilon(book.rho, float(value)))} at {float(value):.0e}" for value in smaller)
    yield "ε at δ", ", ".join(at) if book.private else NO_NOISE
    gaussian = f"{odds.mu(book.rho):.4f} (one Gaussian of equal cost)"
    yield "μ-GDP", gaussian if book.private else NO_NOISE
    yield "ρ (zCDP)", number_of(book.rho) if book.private else NO_NOISE
    yield "two accounts, five accounts", _several(found)
    yield "amplification by sampling", "not claimed: ε holds against the server"


def _mechanism(found: Replay) -> Iterator[Row]:
    run, queries = found.run, found.book.queries.values()
    drawn = "discrete Gaussian on integers, from the operating system's generator"
    yield "noise", drawn if run["noise"] == "os" else str(run["noise"])
    yield "who holds the noise", f"{run['trust']}, {run['protocol']}"
    norms = sorted({f"{spend.query}: norm {spend.clipping_norm}" for spend in queries})
    yield "bounding", "; ".join(norms) or None


def _sampling(found: Replay) -> Iterator[Row]:
    book, run = found.book, found.run
    sessions = max((spend.sessions for spend in book.queries.values()), default=1)
    cohorts = f"one cohort of up to {book.cohort_max}"
    if sessions > 1:
        cohorts = f"{sessions} sessions of up to {book.cohort_max}, an account in one of them,"
    of_all = f"of {run['users']} accounts; cohorts are public"
    yield "as implemented", f"every round invites {cohorts} {of_all}"
    yield "participations", f"{book.rounds} of at most {run['participations_max']}"


def _tuning(found: Replay, stated: Stated) -> Iterator[Row]:
    chosen = stated.said("tuning")
    if chosen is None and found.run["origin"] == "deployment" and stated.config:
        shares = any(name in stated.config for name in found.book.queries)  # of table `budget`
        own = ["rounds"] * ("rounds" in stated.config) + ["budget"] * shares
        chosen = (
            f"the operator's own choice in config.toml: {', '.join(own)}"
            if own
            else "rounds and shares by the public rule in users, items and budget"
        )
    yield "where settings come from", chosen


def _utility(found: Replay) -> Iterator[Row]:
    released = dict(found.book.metrics[-1]["figures"]) if found.book.metrics else {}
    told = figures_words(dict(sorted(released.items())))
    none = "not released: no part of the budget was kept for metrics"
    yield "released figures", told or none


def _audit(found: Replay) -> Iterator[Row]:
    told = (f"{a['name']}: {a['verdict']} ({a['method']})" for a in found.book.audits)
    yield "empirical audit", "; ".join(told) or "not performed"


def _security(found: Replay, stated: Stated) -> Iterator[Row]:
    run, env = found.run, sorted(stated.env.items())
    signed = f"ledger signed by {run['key'][:16]}…, made for the {run['key_origin']}"
    yield "keys", f"{signed}; {len(found.cosigners)} cosigners"
    yield "policy", _policy_words(found)
    yield "model file", _model_words(found, stated.model)
    yield "published sums", _sums_words(stated.sums)
    yield "software", ", ".join(f"{name} {value}" for name, value in env[:8]) or run["code"]


def _retention(found: Replay, stated: Stated) -> Iterator[Row]:
    simulated = found.run["origin"] == "simulation"
    kept = "the run folder, until its owner deletes it" if simulated else None
    yield "how long what is kept", stated.said("retention") or kept
    ends = "the end of the run" if simulated else None
    yield "valid until", stated.said("valid_until") or ends


def _policy_words(found: Replay) -> str | None:
    """Say which policy; None, so red, where nobody compared it."""
    name = found.run["policy"]
    return f"SHA-256 {name}; its text is in this report" if found.policy_compared else None


def _model_words(found: Replay, model: Facts | None) -> str:
    """Say what became of the comparison with the last release."""
    if model is not None:
        return f"SHA-256 {model['sha256']}, {model['bytes']:,} bytes: the file of the last release"
    if not found.book.releases:
        return "no model was released"
    if found.run["noise"] != "os":
        return "not published; its hash is keyed, so that nobody can test guesses on it"
    return "not at hand: not compared with its release"


def _sums_words(sums: int | None) -> str:
    if sums is None:
        return "not at hand: not compared with the ledger"
    return f"{sums}, hashed again when this report was made: as the ledger names them"


def _several(found: Replay) -> str:
    rows = [accounts(found, count) for count in (2, 5)]
    parts = [f"ε {row['epsilon']} with {row['count']}" for row in rows if row]
    return ", ".join(parts) or "none: no noise"
