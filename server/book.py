# SPDX-License-Identifier: Apache-2.0
"""The ledger of a deployment: opened, charged and closed by the server, each step at most once.

Every call looks first at what the ledger holds, so a restart may repeat it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from shared.errors import BudgetExceeded
from shared.ledger.chain import LedgerWriter
from shared.privacy.canonical import digest
from shared.privacy.policy import Policy, RoundConfig

NOT_AUDITED = {
    "name": "canaries",
    "method": "not asked for",
    "verdict": "not performed",
    **dict.fromkeys(
        ("epsilon_lower", "confidence", "power", "false_alarm_rate", "detection_rate"), "none"
    ),
}
"""Said in every book: silence would read like a test that was passed."""


class Book:
    """One run's ledger, as the server writes it."""

    def __init__(
        self,
        writer: LedgerWriter,
        policy: Policy,
        *,
        run: str,
        code: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._writer, self._policy, self._run, self._code = writer, policy, run, code
        self._now = now

    @property
    def spent_percent(self) -> float:
        """Σρ so far, in percent of the policy's cap."""
        return float(100 * self._writer.book.rho / self._policy.floor.rho_cap)

    def afford(self, rho: Fraction) -> None:
        """Refuse to decide a round that would pass what the policy allows.

        Raises:
            BudgetExceeded: It would; nothing was opened or asked.
        """
        book, floor = self._writer.book, self._policy.floor
        left = floor.rho_cap - book.rho
        if rho > left or book.rounds >= floor.participations_max:
            raise BudgetExceeded(
                f"a round must stay within the policy: it needs ρ = {float(rho):.3g}, "
                f"{float(left):.3g} of {float(floor.rho_cap):.3g} and "
                f"{floor.participations_max - book.rounds} rounds remain.",
                hint="discarded rounds are charged; a new policy needs its owners' consent.",
            )

    def open_run(self, model: str) -> None:
        """Open the ledger of the run, with the model that it starts from."""
        if self._writer.book.run is not None:
            return
        policy = self._policy
        self._append(
            "run_open",
            {
                "run": self._run,
                "origin": "deployment",
                "key_origin": "operator",
                "policy": digest(policy),
                "code": self._code,
                "model": model,
                "unit": "account",
                "neighboring_relation": "zero-out",
                "trust": "distributed",
                "protocol": "real",
                "noise": "os",
                "users": policy.users,
                "delta": str(policy.delta),
                "rho_cap": str(policy.floor.rho_cap),
                "participations_max": policy.floor.participations_max,
            },
        )

    def open_round(self, config: RoundConfig) -> None:
        """Charge a round, before any device hears of it.

        Raises:
            ClaimExceeded: It would pass the policy's cap.
            LedgerFault: It cannot follow the records before it.
        """
        if self._writer.book.last_round >= config.round:
            return
        query, mechanism = config.query, config.mechanism
        self._append(
            "round_open",
            {
                "round": config.round,
                "session": 0,
                "sessions": 1,
                "query": query.name,
                "purpose": query.purpose,
                "rounding": query.clipping,
                "clipping_norm": repr(query.clipping_norm),
                **vars(mechanism),
                "rho": str(mechanism.rho),
                "model": config.model_hash,
                "config": digest(config),
            },
        )

    def close_round(
        self, config: RoundConfig, outcome: str, survivors: int, model: str, receipts: Sequence[str]
    ) -> None:
        """Close a round; signs a checkpoint."""
        book = self._writer.book
        if book.released + book.discarded >= config.round:
            return
        self._append(
            "round_close",
            {
                "round": config.round,
                "session": 0,
                "query": config.query.name,
                "outcome": outcome,
                "survivors": survivors,
                "model": model,
                "receipts": list(receipts),
            },
        )

    def metrics(self, number: int, figures: Mapping[str, float]) -> None:
        """Record what the metric round of that number released, once."""
        if not self._writer.book.metrics:
            spelled = {name: repr(value) for name, value in figures.items()}
            self._append(
                "metric_release", {"round": number, "query": "metrics", "figures": spelled}
            )

    def release(self, model: str) -> None:
        """Record the model file, and that nobody attacked the run."""
        book = self._writer.book
        if not any(entry["model"] == model for entry in book.releases):
            released = {"name": "model", "round": book.last_round, "model": model, "file": model}
            self._append("release", released)
        if not book.audits:
            self._append("audit", NOT_AUDITED)
        self._writer.checkpoint()

    def carry(self, file: str) -> None:
        """Record a released model that was carried to a newer catalogue: the same sums, no ρ."""
        book = self._writer.book
        if not any(entry["file"] == file for entry in book.releases):
            model = {"name": "model", "round": book.last_round, "model": book.model, "file": file}
            self._append("release", model)
            self._writer.checkpoint()

    def publications(self, total: int) -> None:
        """Record that so many comments of devices were published in all; a count, nobody's name."""
        new = total - self._writer.book.publications
        if new > 0:
            self._append("publication", {"count": new})
            self._writer.checkpoint()

    def _append(self, kind: str, fields: Mapping[str, object]) -> None:
        self._writer.append(kind, fields, at=int(self._now()))
