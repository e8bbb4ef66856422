# SPDX-License-Identifier: Apache-2.0
"""What the owner published or withdrew, until the server says that it holds it.

Each statement is one sealed record and one act in the receipts; its number is the act's. A record
is marked as handed out, on disk, before its bytes leave, and is repeated until the server names a
number as high: a kill at any point loses nothing, and a statement that arrives twice changes
nothing. Only `publish` and `withdraw`, and `forget` of what was published, add a statement.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from client.books import Books
from client.door import closed_for
from client.receipts import Chain, Receipt
from client.store import Record
from shared.privacy.canonical import parse
from shared.privacy.policy import Policy
from shared.publication import MOST, Statement, state

TABLE = "publications"


@dataclass(frozen=True)
class Told:
    """The newest statement about one item."""

    item: str
    text: str
    """"" where it withdraws."""
    number: int
    """The act of its receipt."""
    handed: bool = False
    """Whether it may have left the device."""


def told(books: Books) -> list[Told]:
    """Return what was published or withdrawn and not yet let go, by number."""
    return [Told(**record) for record in books.store.table(TABLE)]


def add_publication(
    books: Books, chain: Chain, item: str, text: str, now: int
) -> dict[str, list[Record]]:
    """Write the receipt of a publication into the chain; return the table to commit with it."""
    receipt = chain.add(
        replace(
            _receipt(now, text),
            contains=("the comment's text", "the item"),
            purpose="The owner publishes a comment.",
            protection="None: whoever reads it can tell who writes like that; "
            "the server learns which device wrote it.",
        ),
        books.settings.key,
    )
    for old in (one for one in told(books) if one.item == item and not one.handed):
        _never_left(books, chain, old, now)
    others = [one for one in told(books) if one.item != item]
    return _table([*others, Told(item, text, receipt.act)])


def add_withdrawal(books: Books, chain: Chain, item: str, now: int) -> dict[str, list[Record]]:
    """Write the receipt of a withdrawal; return the table to commit, empty where nothing changes.

    What never left is simply taken back: the server is told nothing of it.
    """
    known = told(books)
    old = next((one for one in known if one.item == item and one.text), None)
    if old is None:
        return {}
    others = [one for one in known if one.item != item]
    if not old.handed:
        _never_left(books, chain, old, now)
        return _table(others)
    receipt = chain.add(
        replace(
            _receipt(now, ""),
            contains=("the item",),
            purpose="The owner withdraws a published comment.",
            protection="None needed: it says what the server knows. "
            "Who has copied the comment keeps it.",
        ),
        books.settings.key,
    )
    return _table([*others, Told(item, "", receipt.act)])


def statements(books: Books, run: str, held: int, now: int, to: str = "") -> tuple[Statement, ...]:
    """Return what the server does not hold, the oldest first; marked on disk before it is returned.

    Args:
        books: The open store.
        run: The federation that asks.
        held: Number of the newest statement that the server holds of this device.
        now: The device's own clock, seconds.
        to: Host of the server, for receipts.

    Raises:
        Refusal: The owner paused, left, or moved the device.
    """
    closed = closed_for(books.settings)
    if closed is not None:
        raise closed
    known, chain = told(books), books.chain
    there = [one for one in known if one.handed and one.number <= held]
    news = _arrived(books, chain, [one.number for one in there], now, to)
    kept = [one for one in known if one.text or one not in there]
    waiting = [one for one in kept if not one.handed or one.number > held][:MOST]
    after = [replace(one, handed=True) if one in waiting else one for one in kept]
    if news or after != known:
        books.commit(chain=chain, tables=_table(after), scrub=len(after) < len(known))
    key = books.settings.key
    return tuple(state(key, run, one.number, one.item, one.text) for one in waiting)


def arrived(books: Books, numbers: Sequence[int], now: int, to: str = "") -> None:
    """Complete the receipts of statements that were uploaded."""
    chain = books.chain
    if _arrived(books, chain, numbers, now, to):
        books.commit(chain=chain)


def own_ids(books: Books) -> frozenset[str]:
    """Return the ids under which readers see the owner's own comments."""
    joined, key = books.settings.membership, books.settings.key
    if joined is None:
        return frozenset()
    run = parse(Policy, joined.policy.encode()).run
    return frozenset(
        state(key, run, one.number, one.item, one.text).comment
        for one in told(books)
        if one.handed and one.text
    )


def _arrived(books: Books, chain: Chain, numbers: Sequence[int], now: int, to: str) -> bool:
    """Add the receipts that something was sent, each once; say whether there was one."""
    open_acts = [n for n in numbers if chain.latest(n).status == "prepared"]
    joined = books.settings.membership
    run = parse(Policy, joined.policy.encode()).run if joined else ""
    for number in open_acts:
        chain.follow(
            number, books.settings.key, status="sent", created_at=now, run=run,
            to=to or chain.latest(number).to,
        )  # fmt: skip
    return bool(open_acts)


def _never_left(books: Books, chain: Chain, old: Told, now: int) -> None:
    """Complete the receipt of a statement that a newer one took the place of."""
    chain.follow(
        old.number, books.settings.key, status="failed", created_at=now, upload_bytes=0,
        reason="taken back before it left",
    )  # fmt: skip


def _receipt(now: int, text: str) -> Receipt:
    """Return the receipt of a statement, before its number."""
    data = text.encode()
    payload = hashlib.sha256(data).hexdigest() if text else ""
    return Receipt(
        seq=0, prev="", act=0, created_at=now, status="prepared", kind="publication",
        upload_bytes=len(data), payload=payload,
    )  # fmt: skip


def _table(known: Sequence[Told]) -> dict[str, list[Record]]:
    """Spell the table, by number."""
    ordered = sorted(known, key=lambda one: one.number)
    return {TABLE: [asdict(one) for one in ordered]}
