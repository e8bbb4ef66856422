# SPDX-License-Identifier: Apache-2.0
"""The meaning of a ledger: what must hold from one record to the next, and what it adds up to.

The writer applies these rules before it writes and the auditor after reading, so that one page
decides. What they hold: the run opens once; rounds only go up; no session of a query is opened
twice; no sum invites more devices than are enrolled; every round starts from the model the last
one left; Δ2² is at least what the mechanism needs; ρ is the exact fraction that follows from the
integers; a sum was opened only with enough survivors; Σρ stays under the cap. A round is charged
when it opens, whether it is released or not.

Source: docs/spec/ledger.md, section "Rules"; Bun, Steinke (2016), Lemma 2.3 (Σρ).
"""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from shared.errors import DataError
from shared.ledger.records import ClaimExceeded, LedgerFault, Record
from shared.privacy.accountant import SAMPLER_DELTA
from shared.privacy.policy import Mechanism, sensitivity_squared

MECHANISM_FIELDS = (
    "trust",
    "cohort_size",
    "min_survivors",
    "max_colluders",
    "dimension",
    "scaled_norm",
    "delta2_squared",
    "sigma2",
)
Session = tuple[int, str, int]
"""Round, query, session."""


@lru_cache(maxsize=4096)
def _mechanism(*fields: Any) -> tuple[Mechanism, Fraction, Fraction, str]:
    """Return the mechanism of these fields, ρ, the own share's ρ, and ρ as the ledger spells it."""
    found = Mechanism(*fields)
    own = Fraction(0) if found.trust == "central" else found.own_share_rho
    return found, found.rho, own, str(found.rho)


@dataclass
class QuerySpend:
    """What one query cost a single account, and its shape."""

    query: str
    purpose: str
    dimension: int
    clipping_norm: str
    rounds: int = 0
    sessions: int = 1
    rho: Fraction = Fraction(0)


@dataclass
class Book:
    """Everything that the records read so far add up to."""

    run: dict[str, Any] | None = None
    model: str = ""
    """Hash of the model that stands now."""
    last_round: int = 0
    rounds: int = 0
    """Distinct rounds opened: how often an account can have taken part."""
    sums_opened: int = 0
    released: int = 0
    discarded: int = 0
    publications: int = 0
    rho: Fraction = Fraction(0)
    """Most that one account can have spent: per round the sum over queries, one session each."""
    rho_own_round: Fraction = Fraction(0)
    """Largest ρ of one round against somebody who knows every share but the device's own."""
    rho_own: Fraction = Fraction(0)
    """The same, over all rounds."""
    cohort_max: int = 0
    shares_min: int = 0
    survivors_min: int = 0
    first_at: int = 0
    last_at: int = 0
    queries: dict[str, QuerySpend] = field(default_factory=dict)
    burn: list[tuple[int, Fraction]] = field(default_factory=list)
    """After each round: its number, and Σρ."""
    mechanisms: dict[Mechanism, list[str]] = field(default_factory=dict)
    """Each distinct mechanism, and the queries that used it."""
    releases: list[dict[str, Any]] = field(default_factory=list)
    release_record: int = 0
    """Sequence number of the last release."""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    audits: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, list[int]] = field(default_factory=dict)
    """Watched commitments (set by the caller): the records in which each was found."""
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Watched commitments: the round_open of the sum in which each was found last."""
    _open: dict[Session, dict[str, Any]] = field(default_factory=dict)
    _seen: set[Session] = field(default_factory=set)
    _round_rho: dict[str, tuple[Fraction, Fraction]] = field(default_factory=dict)
    _invited: dict[str, tuple[int, int]] = field(default_factory=dict)
    """In this round, per query: its number of sessions, and the devices invited so far."""
    _round_own: Fraction = Fraction(0)
    _done: set[tuple[int, str]] = field(default_factory=set)

    @property
    def still_open(self) -> int:
        """How many sums were opened and not closed: they are charged."""
        return len(self._open)

    @property
    def private(self) -> bool:
        """Whether noise was added at all."""
        return self.run is not None and self.run["noise"] != "none"

    def add(self, record: Record) -> None:
        """Take one record into account.

        Raises:
            LedgerFault: The record cannot follow those before it.
            ClaimExceeded: It says that more was spent, or opened, than claimed.
        """
        if (record.seq == 0) != (record.kind == "run_open"):
            raise LedgerFault(
                "a ledger holds one run_open, its first record.", record=record.seq, field="kind"
            )
        getattr(self, f"_{record.kind}")(record.body, record.seq)
        self.first_at = self.first_at or record.at
        self.last_at = record.at or self.last_at

    def _run_open(self, body: dict[str, Any], seq: int) -> None:
        if (body["rho_cap"] == "none") != (body["noise"] == "none"):
            raise LedgerFault(
                "a cap on ρ goes with noise, none with none.", record=seq, field="rho_cap"
            )
        if not SAMPLER_DELTA < Fraction(body["delta"]) < 1:
            raise LedgerFault("must lie between 2^-60 and 1.", record=seq, field="delta")
        self.run, self.model = body, body["model"]

    def _round_open(self, body: dict[str, Any], seq: int) -> None:
        number, key = body["round"], (body["round"], body["query"], body["session"])
        self._may_open(body, seq)
        rho, own = self._loss(body, seq)
        if number > self.last_round:
            self.last_round, self.rounds = number, self.rounds + 1
            self._round_rho, self._round_own = {}, Fraction(0)
            self._seen.clear()
            self._invited = {}
        self._open[key] = body
        self._seen.add(key)
        self.sums_opened += 1
        self.cohort_max = max(self.cohort_max, body["cohort_size"])
        self._invite(body, seq)
        self._charge(body, rho, own, seq)

    def _may_open(self, body: dict[str, Any], seq: int) -> None:
        """Refuse a round that goes back, is opened twice, or starts from another model."""
        assert self.run is not None  # noqa: S101 - `add` refuses a ledger that starts otherwise
        number, key = body["round"], (body["round"], body["query"], body["session"])
        if number < max(self.last_round, 1):
            raise LedgerFault(
                f"rounds only go up; the last was {self.last_round}.", record=seq, field="round"
            )
        if key in self._seen:
            raise LedgerFault("this round was opened before.", record=seq, field="round")
        if number > self.last_round and self._open:
            raise LedgerFault("the round before is still open.", record=seq, field="round")
        if not body["session"] < body["sessions"]:
            raise LedgerFault("must be below sessions.", record=seq, field="session")
        if body["model"] != self.model:
            raise LedgerFault(
                "is not the model that the last round left.", record=seq, field="model"
            )
        if body["trust"] != self.run["trust"]:
            raise LedgerFault("is not the trust of the run.", record=seq, field="trust")

    def _invite(self, body: dict[str, Any], seq: int) -> None:
        """Refuse more devices than there are: an account is in one session of a sum at most."""
        assert self.run is not None  # noqa: S101 - as above
        query = body["query"]
        sessions, invited = self._invited.get(query, (body["sessions"], 0))
        if body["sessions"] != sessions:
            raise LedgerFault("differs within the round.", record=seq, field="sessions")
        invited += body["cohort_size"]
        if invited > self.run["users"]:
            what = f"{invited} devices are invited to one sum, {self.run['users']} are enrolled."
            raise LedgerFault(what, record=seq, field="cohort_size")
        self._invited[query] = sessions, invited

    def _loss(self, body: dict[str, Any], seq: int) -> tuple[Fraction, Fraction]:
        """Recompute Δ2² and ρ of one sum; return ρ, and ρ of the device's own share alone."""
        if not self.private:
            for name in ("sigma2", "rho"):
                if body[name] not in (0, "none"):
                    raise LedgerFault("a run without noise claims none.", record=seq, field=name)
            return Fraction(0), Fraction(0)
        least = sensitivity_squared(body["dimension"], body["scaled_norm"])
        if body["delta2_squared"] < least:
            raise ClaimExceeded(f"must be at least {least}.", record=seq, field="delta2_squared")
        try:
            mechanism, rho, own, spelled = _mechanism(*(body[name] for name in MECHANISM_FIELDS))
        except DataError as wrong:
            raise LedgerFault(wrong.message, record=seq, field=wrong.message.split()[0]) from None
        if body["rho"] != spelled:
            below = body["rho"] != "none" and Fraction(body["rho"]) < rho
            fault = ClaimExceeded if below else LedgerFault
            raise fault(f"the integers give ρ = {float(rho):.9g}.", record=seq, field="rho")
        users = self.mechanisms.setdefault(mechanism, [])
        if body["query"] not in users:
            users.append(body["query"])
        shares = mechanism.noise_shares
        self.shares_min = min(self.shares_min or shares, shares)
        return rho, own

    def _charge(self, body: dict[str, Any], rho: Fraction, own: Fraction, seq: int) -> None:
        """Charge every account the dearest session of this query in this round."""
        assert self.run is not None  # noqa: S101 - as above
        query, number = body["query"], body["round"]
        spend = self.queries.get(query)
        if spend is None:
            spend = QuerySpend(query, body["purpose"], body["dimension"], body["clipping_norm"])
            self.queries[query] = spend
        spend.dimension = max(spend.dimension, body["dimension"])
        spend.sessions = max(spend.sessions, body["sessions"])
        before = self._round_rho.get(query)
        if before is None:
            spend.rounds += 1
            self._spend(spend, rho, own)
            self._round_rho[query] = rho, own
        elif (rho, own) != before:  # another session of the same sum: the dearer one counts
            dearest = max(before[0], rho), max(before[1], own)
            self._spend(spend, dearest[0] - before[0], dearest[1] - before[1])
            self._round_rho[query] = dearest
        if self.burn and self.burn[-1][0] == number:
            self.burn.pop()
        self.burn.append((number, self.rho))
        self._within_claim(seq)

    def _spend(self, spend: QuerySpend, rho: Fraction, own: Fraction) -> None:
        """Add what a round costs more than it did before this sum."""
        spend.rho += rho
        self.rho += rho
        self.rho_own += own
        self._round_own = self._round_own + own if self._round_own else own
        self.rho_own_round = max(self.rho_own_round, self._round_own)

    def _within_claim(self, seq: int) -> None:
        assert self.run is not None  # noqa: S101 - as above
        cap = self.run["rho_cap"]
        if cap != "none" and self.rho > _fraction(cap):
            raise ClaimExceeded(
                f"Σρ = {float(self.rho):.9g} passes the cap {float(_fraction(cap)):.9g}.",
                record=seq,
                field="rho",
            )
        if self.rounds > self.run["participations_max"]:
            raise ClaimExceeded(
                f"the policy allows {self.run['participations_max']} participations.",
                record=seq,
                field="round",
            )

    def _round_close(self, body: dict[str, Any], seq: int) -> None:
        key = (body["round"], body["query"], body["session"])
        opened = self._open.pop(key, None)
        if opened is None:
            raise LedgerFault("no such round is open.", record=seq, field="round")
        if not body["survivors"] <= opened["cohort_size"]:
            raise LedgerFault("are more than were invited.", record=seq, field="survivors")
        if len(body["receipts"]) > opened["cohort_size"]:
            raise LedgerFault("are more than were invited.", record=seq, field="receipts")
        changed = body["model"] != self.model
        if changed and (self._open or body["outcome"] == "discarded"):
            raise LedgerFault(
                "changes before the round's last sum was released.", record=seq, field="model"
            )
        self.model = body["model"]
        self._outcome(body, opened["min_survivors"], seq)
        for commitment in body["receipts"] if self.receipts else ():
            if commitment in self.receipts:
                self.receipts[commitment].append(seq)
                self.asked[commitment] = opened

    def _outcome(self, body: dict[str, Any], least: int, seq: int) -> None:
        if body["outcome"] == "discarded":
            self.discarded += 1
            return
        if body["survivors"] < least:
            raise ClaimExceeded(
                f"the sum was opened with fewer than {least}.", record=seq, field="survivors"
            )
        self.released += 1
        self.survivors_min = min(self.survivors_min or body["survivors"], body["survivors"])
        self._done.add((body["round"], body["query"]))

    def _release(self, body: dict[str, Any], seq: int) -> None:
        if body["model"] != self.model:
            raise LedgerFault(
                "is not the model that the last round left.", record=seq, field="model"
            )
        if body["round"] != self.last_round:
            raise LedgerFault(f"must be {self.last_round}, the last.", record=seq, field="round")
        self.releases.append(body)
        self.release_record = seq

    def _metric_release(self, body: dict[str, Any], seq: int) -> None:
        if (body["round"], body["query"]) not in self._done:
            raise LedgerFault("no such sum was released.", record=seq, field="round")
        self.metrics.append(body)

    def _publication(self, body: dict[str, Any], seq: int) -> None:
        self.publications += body["count"]

    def _audit(self, body: dict[str, Any], seq: int) -> None:
        self.audits.append(body)
        if body["verdict"] == "VIOLATION":
            raise ClaimExceeded(
                f"the audit `{body['name']}` measured more than the claim.",
                record=seq,
                field="verdict",
            )


@lru_cache(maxsize=64)
def _fraction(text: str) -> Fraction:
    return Fraction(text)
