# SPDX-License-Identifier: Apache-2.0
"""What would leave, and what did: the same vector, the same door, shown to the owner alone."""

import hashlib
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from client.books import Books, unpack, unpack_vector
from client.door import own_vector
from client.receipts import EXCLUDES, about_round
from client.training import Cohort
from shared.catalogue import Catalogue
from shared.errors import DataError, VerificationError
from shared.model.history import History
from shared.model.queries import METRICS, item_sums_query
from shared.model.view import ItemSumsView
from shared.privacy.canonical import parse
from shared.privacy.encode import encode
from shared.privacy.noise import OsRandom, discrete_gaussian
from shared.privacy.plan import Cohort as Session
from shared.privacy.plan import mechanism_for
from shared.privacy.policy import MODULUS, Policy, RoundConfig
from shared.privacy.query import SparseVector
from shared.schema import Ints

SHOWN = 8
"""Coordinates that are shown in full."""
ITEM_SUMS = (
    "how much you like",
    "that you rated",
    "how much its comments interest you, of",
    "that its comments concern you, of",
)
"""What the numbers about one item say."""
EXAMPLE_COHORT = Session("distributed", 200, Fraction(1, 10))
EXAMPLE_RHO = Fraction(1, 20)


@dataclass(frozen=True)
class Line:
    """One coordinate on its way out; private but for `sent`."""

    label: str
    integer: int
    """What this device would add, clipped and rounded."""
    noise: int
    """One example of the noise; drawn afresh every time."""
    sent: int
    """What leaves: integer, noise and an example mask, modulo 2^32."""


@dataclass(frozen=True)
class Preview:
    """What one answer is made of, in words and numbers for its owner."""

    kind: Literal["example", "last-question", "sent"]
    """No question yet; the last question anew; the bytes of the last answer."""
    query: str
    purpose: str
    fields: tuple[str, ...]
    dimension: int
    """Integers in the answer; as many for everybody."""
    touched: int
    """Of them, how many are about something the owner rated; the noise hides which."""
    upload_bytes: int
    protection: str
    excludes: tuple[str, ...]
    rho: Fraction
    share: float
    """Part of the agreed budget that it costs; of an example one where none is agreed."""
    lines: tuple[Line, ...]
    payload: str = ""
    """SHA-256 of the bytes, for `kind` "sent"."""


def preview(books: Books, catalogue: Catalogue, own: History) -> Preview:
    """Show what would leave for the last question, or for the first that could come."""
    outbox, joined = books.outbox, books.settings.membership
    policy = parse(Policy, joined.policy.encode()) if joined else None
    if outbox is not None and outbox["vector"] is not None:
        config = parse(RoundConfig, outbox["config"].encode())
        return _shown(
            books, config, unpack_vector(outbox["vector"]), catalogue, policy, "last-question"
        )
    query = item_sums_query(len(catalogue))
    rho = min(EXAMPLE_RHO, policy.floor.rho_round_max) if policy else EXAMPLE_RHO
    mechanism = mechanism_for(query, rho or EXAMPLE_RHO, EXAMPLE_COHORT)
    config = RoundConfig("", "", policy.run if policy else "", 1, query, mechanism)
    vector = own_vector(ItemSumsView(len(catalogue)), Cohort([own]), query)
    return _shown(books, config, vector, catalogue, policy, "example")


def preview_last(books: Books, catalogue: Catalogue) -> Preview:
    """Show the bytes of the last answer, as they were sealed before they left.

    Raises:
        DataError: there was no answer yet.
        VerificationError: the bytes are not those that the receipt names.
    """
    outbox = books.outbox
    if outbox is None or outbox["status"] not in ("ready", "sent") or not outbox["residues"]:
        raise DataError(
            "there must be an answer to show, none was made yet or it was forgotten.",
            hint="`privet client preview DIR` shows what one would be.",
        )
    config = parse(RoundConfig, outbox["config"].encode())
    residues = unpack(outbox["residues"], "<u4")
    payload = hashlib.sha256(residues.tobytes()).hexdigest()
    receipt = books.chain.latest(outbox["act"])
    if payload != receipt.payload:
        raise VerificationError(
            "the bytes of the last answer must be those of its receipt, got others.",
            hint="`privet client verify DIR` says what else differs.",
        )
    vector = unpack_vector(outbox["vector"])
    joined = books.settings.membership
    policy = parse(Policy, joined.policy.encode()) if joined else None
    shown = _shown(books, config, vector, catalogue, policy, "sent")
    places = _places(_integers(vector, config))
    lines = tuple(
        replace(line, noise=0, sent=int(residues[place]))
        for line, place in zip(shown.lines, places, strict=True)
    )
    return replace(shown, lines=lines, payload=payload, upload_bytes=receipt.upload_bytes)


def _shown(
    books: Books,
    config: RoundConfig,
    vector: SparseVector | np.ndarray,
    catalogue: Catalogue,
    policy: Policy | None,
    kind: Literal["example", "last-question", "sent"],
) -> Preview:
    """Lay one answer out."""
    about = about_round(config, policy)
    integers = _integers(vector, config)
    places = _places(integers)
    noise = discrete_gaussian(config.mechanism.sigma2, len(places), OsRandom())
    masks = OsRandom().words(len(places)) % np.uint64(MODULUS)
    floor = books.settings.own_floor
    cap = floor.stricter(policy.floor).rho_cap if floor and policy else 20 * EXAMPLE_RHO
    return Preview(
        kind=kind,
        query=config.query.name,
        purpose=config.query.purpose,
        fields=about.contains,
        dimension=config.query.dimension,
        touched=int(np.count_nonzero(integers)),
        upload_bytes=4 * config.query.dimension,
        protection=about.protection,
        excludes=EXCLUDES,
        rho=config.mechanism.rho,
        share=float(config.mechanism.rho / cap) if cap else 1.0,
        lines=tuple(
            Line(
                _label(config.query.name, int(place), config.query.dimension, catalogue),
                int(integers[place]),
                int(extra),
                (int(integers[place]) + int(extra) + int(mask)) % MODULUS,
            )
            for place, extra, mask in zip(places, noise, masks, strict=True)
        ),
    )


def _integers(vector: SparseVector | np.ndarray, config: RoundConfig) -> Ints:
    """Clip and round, as the door does, without noise; the same chance every time it is shown."""
    encoded = encode(vector, config.query, config.mechanism, np.random.default_rng(0))
    if not isinstance(encoded, SparseVector):
        return encoded
    dense = np.zeros(config.query.dimension, dtype=np.int64)
    dense[encoded.indices] = encoded.values
    return dense


def _places(integers: Ints) -> Ints:
    """Return the coordinates that are shown, in order: the largest, and one that says nothing."""
    order = np.argsort(-np.abs(integers), kind="stable")
    touched = int(np.count_nonzero(integers))
    largest = order[: min(touched, SHOWN - 1)]
    return np.sort(np.concatenate([largest, order[touched : touched + 1]]))


def _label(query: str, place: int, size: int, catalogue: Catalogue) -> str:
    """Say what one coordinate is about."""
    row, column = divmod(place, max(size // len(catalogue), 1))
    if query == "item_sums" and column < len(ITEM_SUMS) and row < len(catalogue):
        return f"{ITEM_SUMS[column]} {catalogue.titles[row]}"
    if query == "metrics":
        return (*METRICS, "that you held ratings out")[place]
    return f"coordinate {place}"
