# SPDX-License-Identifier: Apache-2.0
"""Where a device stands: what is on it, what left, what of the budget is spent, as odds."""

from dataclasses import dataclass
from fractions import Fraction

from client.books import Books
from shared.privacy.accountant import epsilon
from shared.privacy.canonical import parse
from shared.privacy.odds import best_guess
from shared.privacy.policy import Policy


@dataclass(frozen=True)
class Status:
    """What `privet client status` and the page show; for the owner's eyes."""

    operator: str
    """Who runs the federation that the device joined; "" where it takes part in none."""
    run: str
    policy_hash: str
    joined_at: int
    paused: bool
    moved: bool
    """Whether the store was exported to another device; `erase` is what is left to do here."""
    demo: bool
    """Whether so few noise shares suffice that every page must say DEMO."""
    ratings: int
    comments: int
    published: int
    custody: str
    """credential, passphrase or file."""
    model: str
    """SHA-256 of the shared model in use; "" before the first one arrived."""
    updates: int
    """Answers that left, or may have left, the device."""
    unused: int
    """Answers that were charged and never left."""
    refused: int
    """Questions that the device refused, as far as they are recorded."""
    upload_bytes: int
    last_upload_at: int
    """0 where nothing left yet."""
    smallest_sum: int
    """Fewest devices that any answer was summed with; 0 where nothing left yet."""
    spent: float
    """Part of the agreed budget (ρ) that is charged, in [0, 1]."""
    epsilon: float
    """ε when all of the budget is used; 0 where there is none."""
    delta: float
    guess: float
    """How often somebody guessing whether the owner took part is right at most, in [.5, 1], when
    all of the budget is used and the server keeps to the protocol."""
    guess_lying: float
    """The same against a server that makes up all other devices, and claims as many of them as the
    policy has: the worst number, so it is shown."""


def status(books: Books, custody: str) -> Status:
    """Gather the figures from the sealed store; no catalogue, no model is read."""
    settings, acts, events = books.settings, books.chain.acts(), books.events
    joined, state, floor = settings.membership, settings.state, settings.own_floor
    policy = parse(Policy, joined.policy.encode()) if joined and not joined.left else None
    out = [a for a in acts if a.kind != "publication" and a.status in ("prepared", "sent")]
    insisted = floor.stricter(policy.floor) if floor and policy else None
    cap = insisted.rho_cap if insisted else Fraction(0)
    delta = float(policy.delta) if policy else 0.0
    return Status(
        operator=policy.operator if policy else "",
        run=policy.run if policy else "",
        policy_hash=state.policy_hash if state and policy else "",
        joined_at=joined.joined_at if joined and policy else 0,
        paused=settings.paused,
        moved=settings.moved != "no",
        demo=insisted.demo if insisted else False,
        ratings=len(events),
        comments=sum(bool(event.comment) for event in events),
        published=sum(event.published for event in events),
        custody=custody,
        model=settings.model,
        updates=len(out),
        unused=sum(a.status == "charged-unused" for a in acts),
        refused=sum(a.status == "refused" for a in acts),
        upload_bytes=sum(a.upload_bytes for a in out),
        last_upload_at=max((a.created_at for a in out), default=0),
        smallest_sum=min((a.devices for a in out), default=0),
        spent=float(state.spent / cap) if state and cap else 0.0,
        epsilon=epsilon(cap, delta) if cap else 0.0,
        delta=delta,
        guess=best_guess(cap),
        guess_lying=best_guess(cap * (policy.shares_max if policy else 1)),
    )
