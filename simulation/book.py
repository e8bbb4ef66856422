# SPDX-License-Identifier: Apache-2.0
"""The ledger of a simulated run: what every sum was allowed to be, before it was drawn.

The key is made for the run and kept in `private/`: it makes the book fork-evident within the run,
not against the researcher, and the book says so (`key_origin` "run"). A round is opened in the book
first, then its sum is drawn and stored, then it is closed. A run killed in between finds the round
open and goes on with it: nothing is opened twice, no stored sum is drawn again.

`model` is the hash of all sums so far, of which the model is made by post-processing. Where sums
are exact or their noise is seeded it is keyed, so that nobody can test a guess about them.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.training import Answer
from server.plan import Plan, Release
from shared.config import RunConfig
from shared.ledger.chain import LedgerWriter
from shared.ledger.records import canonical
from shared.schema import Floats
from simulation.federation import CohortSum
from simulation.runs import RunFolder

NOT_AUDITED = {
    "name": "canaries",
    "method": "not asked for",
    "verdict": "not performed",
    **dict.fromkeys(
        ("epsilon_lower", "confidence", "power", "false_alarm_rate", "detection_rate"), "none"
    ),
}
"""Said in every book: silence would read like a test that was passed."""


@dataclass
class Book:
    """One run's ledger while the run goes on."""

    writer: LedgerWriter
    secret: bytes
    """Key of the hashes of sums; empty where the sums may be published."""
    at: int
    """Seconds since 1970 at which the run started."""
    number: int = 0
    """Last round asked for in this process."""
    sums: int = 0
    """Secure sums asked for in this process, over all rounds and sessions."""

    def recorded(self, cohort_sum: CohortSum) -> CohortSum:
        """Wrap an engine: each round is opened, summed, closed and signed, each step once."""

        def booked(release: Release, server_round: int, answers: Iterable[Answer]) -> Floats:
            self.number, first = self.number + 1, self.sums
            self.sums += release.sessions
            model = self.writer.book.model
            for place, body in enumerate(openings(release, self.number, server_round, model)):
                if first + place >= self.writer.book.sums_opened:
                    self.writer.append("round_open", body, at=self.at)
            total = cohort_sum(release, server_round, answers)
            for place, body in enumerate(self._closings(release, total)):
                if first + place >= self.writer.book.released:
                    self.writer.append("round_close", body, at=self.at)
            return total

        return booked

    def _closings(self, release: Release, total: Floats) -> Iterator[dict[str, Any]]:
        """Return one closing record a session; the last one changes the model."""
        model = self.writer.book.model
        digest = self._digest(bytes.fromhex(model) + total.tobytes())
        if release.query.name == "metrics":  # a figure about the model, which stays as it is
            digest = model
        for session, size in enumerate(session_sizes(release)):
            yield {
                "round": self.number,
                "session": session,
                "query": release.query.name,
                "outcome": "released",
                "survivors": size,
                "model": digest if session == release.sessions - 1 else model,
                "receipts": [],
            }

    def _digest(self, data: bytes) -> str:
        if self.secret:
            return hmac.new(self.secret, data, hashlib.sha256).hexdigest()
        return hashlib.sha256(data).hexdigest()

    def metrics(self, figures: dict[str, float]) -> None:
        """Record what a metric query released, once."""
        if not self.writer.book.metrics:
            body = {name: repr(value) for name, value in figures.items()}
            record = {"round": self.number, "query": "metrics", "figures": body}
            self.writer.append("metric_release", record, at=self.at)

    def release(self, file: bytes) -> None:
        """Record the model file, and that nobody attacked the run."""
        book = self.writer.book
        if not book.releases:
            released = {"name": "model", "round": book.last_round, "model": book.model}
            self.writer.append("release", released | {"file": self._digest(file)}, at=self.at)
        if not book.audits:
            self.writer.append("audit", NOT_AUDITED, at=self.at)
        self.writer.checkpoint()


@contextmanager
def keep(
    folder: RunFolder, variant: str, config: RunConfig, plan: Plan, users: int, at: int
) -> Iterator[Book]:
    """Open the ledger of a run, new or unfinished, and hold it until the run is over."""
    key = _key(folder, f"{variant}ledger.key")
    publishable = folder.shared == folder.path
    policy = folder.path / f"{variant}policy.json"
    with LedgerWriter.open(folder.path / f"{variant}ledger", key) as writer:
        book = Book(writer, b"" if publishable else key.private_bytes_raw(), at)
        if writer.book.run is None:
            writer.append("run_open", opening_of(config, plan, users, policy), at=at)
        yield book


def _key(folder: RunFolder, name: str) -> Ed25519PrivateKey:
    """Return the run's key, made at its start."""
    from simulation.audit.report import load_key, save_key

    path = folder.path / "private" / name
    if not path.exists():
        save_key(path, Ed25519PrivateKey.generate())
    return load_key(path)


def opening_of(config: RunConfig, plan: Plan, users: int, policy: Path) -> dict[str, Any]:
    """Return the record that opens a run."""
    from simulation.doctor import privet_version

    noise = "none" if plan.releases and not plan.private else "os"
    return {
        "run": secrets.token_hex(16),
        "origin": "simulation",
        "key_origin": "run",
        "policy": hashlib.sha256(policy.read_bytes()).hexdigest(),
        "code": f"privet {privet_version()}",
        "model": hashlib.sha256(b"privet/model/start").hexdigest(),
        "unit": "account",
        "neighboring_relation": "zero-out",
        "trust": config.trust,
        "protocol": config.protocol,
        "noise": "seeded" if config.noise_seed is not None and plan.private else noise,
        "users": users,
        "delta": str(Fraction(repr(plan.delta))),
        "rho_cap": "none" if noise == "none" else str(plan.rho),
        "participations_max": sum(release.rounds for release in plan.releases),
    }


def session_sizes(release: Release) -> list[int]:
    """Return how many devices each secure sum of a round has."""
    size, larger = divmod(release.users, release.sessions)
    return [size + (session < larger) for session in range(release.sessions)]


def openings(
    release: Release, number: int, server_round: int, model: str
) -> Iterator[dict[str, Any]]:
    """Return one opening record a session."""
    for session, size in enumerate(session_sizes(release)):
        asked = {
            "round": number,
            "session": session,
            "sessions": release.sessions,
            "query": release.query.name,
            "purpose": release.query.purpose,
            "rounding": release.query.clipping,
            "clipping_norm": repr(release.query.clipping_norm),
        }
        body = asked | _mechanism(release, size) | {"model": model}
        config = canonical(body | {"server_round": server_round})
        yield body | {"config": hashlib.sha256(config).hexdigest()}


def _mechanism(release: Release, size: int) -> dict[str, Any]:
    """Return the integers of the mechanism; zeros where there is no noise."""
    if release.mechanism is None:
        none = {"cohort_size": size, "min_survivors": size, "max_colluders": 0}
        return none | {
            "trust": "distributed",
            "dimension": release.query.dimension,
            "scaled_norm": 0,
            "delta2_squared": 0,
            "sigma2": 0,
            "rho": "none",
        }
    mechanism = replace(release.mechanism, cohort_size=size)
    return dict(vars(mechanism)) | {"rho": str(mechanism.rho)}
