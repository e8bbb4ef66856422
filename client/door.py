# SPDX-License-Identifier: Apache-2.0
"""The door on the device: authorise, charge, fsync, release, fsync, hand out.

    authorise   floor, budget, both signatures; a refusal is recorded and returned
    charge      the budget after the answer and a receipt, one commit, on disk
    compute     the owner's vector; whatever goes wrong gives the zero vector, never an error
    release     clip, round, noise; the bytes are sealed and on disk before anybody sees them

A kill at any point leaves a charge without bytes, which the next start books as charged and unused,
or bytes that a retry resends. Once the charge stands nothing about the ratings can change whether
an answer leaves: a view made to fail on some ratings gets noise around zero.
"""

import hashlib
from dataclasses import replace
from fractions import Fraction

import numpy as np

from client.books import Books, pack, pack_vector, unpack
from client.receipts import Receipt, about_round
from client.settings import Settings, spell
from client.store import Record
from client.training import Answer, Cohort
from shared.errors import DataError, Refusal
from shared.model.view import View
from shared.privacy.canonical import Signed, parse, verified
from shared.privacy.door import Charge, Contribution, abort, authorise, release
from shared.privacy.policy import Policy, RoundConfig
from shared.privacy.query import SparseVector, SumQuery
from shared.schema import Floats

DAY_S = 24 * 3600
REFUSALS_A_DAY = 50
"""Refusals that are recorded in a day: a hostile server cannot fill the disk with them."""


def answer(
    books: Books, own: Cohort, config: Signed, view: View, session: str, now: int
) -> Contribution | Refusal:
    """Answer one question, or say why not.

    Args:
        books: The open store.
        own: The owner alone. Private.
        config: The round, signed by the policy's server key.
        view: What came with it. Public, not trusted.
        session: The session the answer is for.
        now: The device's own clock, seconds.

    Guarantees:
        - what is handed out was charged and receipted on disk before it was drawn
        - a retry inside a session returns identical bytes
        - no view makes the answer, or its absence, depend on the ratings outside the noise
    """
    settings = books.settings
    closed = closed_for(settings)
    if closed is not None:
        return _refuse(books, config, closed, now)
    stored = stored_answer(books.outbox, config, session)
    if stored is not None:
        return stored
    floor, state, joined = settings.own_floor, settings.state, settings.membership
    if floor is None or state is None or joined is None:  # closed_for has seen to it
        raise DataError("a device that answers must have joined.")
    verdict = authorise(floor, state, joined.signed, config, now)
    if isinstance(verdict, Refusal):
        return _refuse(books, config, verdict, now)
    outbox = _charge(books, settings, verdict, config, session, now)
    query = verdict.config.query
    vector = own_vector(view, own, query)
    given = release(vector, query, verdict, np.random.default_rng())
    return _keep(books, outbox, vector, given)


def closed_for(settings: Settings) -> Refusal | None:
    """Return why the device answers nothing at all, None where it does."""
    joined = settings.membership
    reasons = (
        (settings.moved != "no", "none: this device was moved to another folder",
         "use the device that was imported."),
        (joined is None or joined.left, "none: this device takes part in no federation",
         "accept a signed policy first."),
        (settings.paused, "none while the owner pauses", "`privet client resume DIR`."),
    )  # fmt: skip
    for holds, remaining, remedy in reasons:
        if holds:
            return Refusal(f"requested: an answer\nremaining: {remaining}", hint=remedy)
    return None


def stored_answer(outbox: Record | None, config: Signed, session: str) -> Contribution | None:
    """Return the bytes of the first try, None where there was none."""
    if outbox is None or outbox["status"] not in ("ready", "sent") or not outbox["residues"]:
        return None
    asked = (session, config.payload.decode("ascii", "replace"), config.signature.hex())
    if (outbox["session"], outbox["config"], outbox["signature"]) != asked:
        return None
    return Contribution(unpack(outbox["residues"], "<u4").astype(np.uint32))


def own_vector(view: View, own: Cohort, query: SumQuery) -> Answer:
    """Compute the owner's vector; the zero vector whatever goes wrong.

    An error would tell the server something about the ratings: it chose the view.
    """
    try:
        with np.errstate(all="ignore"):
            (vector,) = own.answers(view)
        size = vector.dimension if isinstance(vector, SparseVector) else vector.shape
        if size in (query.dimension, (query.dimension,)):
            return vector
    except Exception:  # noqa: S110 - whatever a view can provoke
        pass
    empty: Floats = np.zeros(query.dimension)
    return empty


def refuse(books: Books, config: Signed, why: str, now: int) -> None:
    """Record a question that was refused before it came to the door."""
    refusal = Refusal(f"requested: an answer\nremaining: none: {why}", hint="see the receipts.")
    _refuse(books, config, refusal, now)


def sent(books: Books, session: str, upload_bytes: int, to: str, now: int) -> Receipt:
    """Book that an answer was uploaded."""
    outbox = _in_hand(books, session, ("ready", "sent"))
    chain, key = books.chain, books.settings.key
    receipt = chain.follow(
        outbox["act"], key, status="sent", created_at=now, upload_bytes=upload_bytes,
        to=to or chain.latest(outbox["act"]).to,
    )  # fmt: skip
    books.commit(chain=chain, outbox={**outbox, "status": "sent"})
    return receipt


def give_up(books: Books, session: str, now: int) -> Receipt:
    """Book that an answer was not used: charged, never refunded, counted against `aborts_max`."""
    return _unused(books, _in_hand(books, session, ("charged", "ready")), now)


def recover(books: Books, now: int) -> bool:
    """Book a charge that a crash left without bytes; say whether there was one."""
    outbox = books.outbox
    if outbox is None or outbox["status"] != "charged":
        return False
    _unused(books, outbox, now)
    return True


def _charge(
    books: Books, settings: Settings, charge: Charge, config: Signed, session: str, now: int
) -> Record:
    """Write the budget after the answer and its receipt; on disk when this returns."""
    joined, chain = settings.membership, books.chain
    policy = parse(Policy, joined.policy.encode()) if joined else None
    receipt = chain.add(replace(about_round(charge.config, policy), created_at=now), settings.key)
    outbox: Record = {
        "session": session,
        "config": config.payload.decode("ascii"),
        "signature": config.signature.hex(),
        "act": receipt.act,
        "status": "charged",
        "residues": "",
        "vector": None,
    }
    after = replace(settings, budget=spell(charge.state))
    books.commit(settings=after, chain=chain, outbox=outbox)
    return outbox


def _keep(books: Books, outbox: Record, vector: Answer, given: Contribution) -> Contribution:
    """Seal the bytes, and the receipt that names them, before they are handed out."""
    data = given.residues.astype("<u4").tobytes()
    chain = books.chain
    chain.follow(
        outbox["act"],
        books.settings.key,
        payload=hashlib.sha256(data).hexdigest(),
        upload_bytes=len(data),
    )
    ready = {
        **outbox,
        "status": "ready",
        "residues": pack(given.residues.astype("<u4")),
        "vector": pack_vector(vector),
    }
    books.commit(chain=chain, outbox=ready)
    return given


def _refuse(books: Books, config: Signed, refusal: Refusal, now: int) -> Refusal:
    """Record a refusal, at most so many a day, and return it."""
    settings, chain = books.settings, books.chain
    today = sum(r.status == "refused" and now - r.created_at < DAY_S for r in chain.receipts)
    if today >= REFUSALS_A_DAY or settings.moved != "no":
        return refusal
    joined = settings.membership
    policy = parse(Policy, joined.policy.encode()) if joined else None
    round_config = verified(RoundConfig, config, policy.server_key) if policy else None
    if round_config is not None:
        receipt = about_round(round_config, policy)
    else:  # nothing that an unsigned question says is worth repeating
        receipt = Receipt(seq=0, prev="", act=0, created_at=0, status="", kind="check-in")
    chain.add(
        replace(
            receipt,
            status="refused",
            created_at=now,
            reason=refusal.message,
            rho=Fraction(0),
            contains=(),
            protection="",
            payload=hashlib.sha256(config.payload).hexdigest() if round_config is None else "",
        ),
        settings.key,
    )
    books.commit(chain=chain)
    return refusal


def _unused(books: Books, outbox: Record, now: int) -> Receipt:
    """Book one charge as unused."""
    settings, chain = books.settings, books.chain
    state = settings.state
    if state is None:
        raise DataError("a device with a charge must have a budget.")
    receipt = chain.follow(
        outbox["act"], settings.key, status="charged-unused", created_at=now, upload_bytes=0
    )
    after = replace(settings, budget=spell(abort(state, now)))
    books.commit(settings=after, chain=chain, outbox={**outbox, "status": "unused"})
    return receipt


def _in_hand(books: Books, session: str, states: tuple[str, ...]) -> Record:
    """Return the answer of a session.

    Raises:
        DataError: there is none in such a state.
    """
    outbox = books.outbox
    if outbox is None or outbox["session"] != session or outbox["status"] not in states:
        raise DataError(
            "there must be an answer of this session, got none.", hint="see the receipts."
        )
    return outbox
