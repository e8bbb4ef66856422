# SPDX-License-Identifier: Apache-2.0
"""What left the device, and what that means as odds: receipts and budget for the owner's eyes."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from client.device import Status
from client.page.shown import day, share_of, size
from client.receipts import Receipt
from client.texts import Texts
from shared.privacy.odds import guess_after, in_a_hundred, percent, suspicion


@dataclass(frozen=True)
class Outgoing:
    """One receipt as the page shows it."""

    number: int
    kind: str
    purpose: str
    when: str
    size: str
    cost: str
    state: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Odds:
    """The budget as odds, out of a hundred guesses."""

    epsilon: str
    delta: str
    spent: str
    width: str
    """Of a bar of 1,000."""
    now: int
    cap: int
    worst: str
    liar: int
    liar_words: str


def odds_of(status: Status, say: Texts) -> Odds | None:
    """Return the budget in odds; None where the device joined nothing."""
    if status.epsilon <= 0.0:
        return None
    return Odds(
        epsilon=f"{status.epsilon:.3g}",
        delta=f"{status.delta:.1g}".replace("e-0", "e-"),
        spent=share_of(status.spent, say),
        width=f"{1000 * min(max(status.spent, 0.0), 1.0):.0f}",
        now=in_a_hundred(guess_after(status.guess, status.spent)),
        cap=in_a_hundred(status.guess),
        worst=_percent_words(suspicion(status.epsilon), say),
        liar=in_a_hundred(status.guess_lying),
        liar_words=_in_a_hundred_words(status.guess_lying, say),
    )


def _percent_words(share: float, say: Texts) -> str:
    """Spell a share; what is not certain never reads 100 %."""
    spelled = percent(share)
    return spelled if spelled[0].isdigit() else say("budget.nearly", number="99.999 %")


def _in_a_hundred_words(guess: float, say: Texts) -> str:
    """Spell a guess out of a hundred; what is not certain never reads 100."""
    if guess < 0.99:
        return str(in_a_hundred(guess))
    spelled = percent(guess).removesuffix(" %")
    return spelled if spelled[0].isdigit() else say("budget.nearly", number="99.999")


def outgoing(receipts: Sequence[Receipt], spent: float, say: Texts) -> list[Outgoing]:
    """Return the receipts as the page shows them, the newest first.

    Args:
        receipts: One an act, oldest first.
        spent: Part of the budget that all of them used, in [0, 1].
        say: The owner's language.
    """
    total = float(sum((receipt.rho for receipt in receipts), Fraction(0)))
    return [
        _outgoing(receipt, spent * float(receipt.rho) / total if total else 0.0, say)
        for receipt in reversed(receipts)
    ]


def _outgoing(receipt: Receipt, share: float, say: Texts) -> Outgoing:
    """Return one receipt."""
    details = (
        (say("left.to"), receipt.to),
        (say("left.run"), f"{receipt.run}, {receipt.round}" if receipt.run else ""),
        (say("left.contains"), ", ".join(receipt.contains)),
        (say("left.excludes"), ", ".join(receipt.excludes)),
        (say("left.protection"), receipt.protection),
        (say("left.reason"), receipt.reason),
        (say("left.hash"), receipt.payload),
    )
    return Outgoing(
        number=receipt.seq,
        kind=_known(say, "kind", receipt.kind),
        purpose=receipt.purpose,
        when=day(receipt.created_at, say),
        size=size(receipt.upload_bytes),
        cost=share_of(share, say) if share else say("left.free"),
        state=_known(say, "state", receipt.status),
        details=tuple((name, value) for name, value in details if value),
    )


def _known(say: Texts, part: str, word: str) -> str:
    """Return the words for a kind or a state; one that the table lacks stands for itself."""
    key = f"{part}.{word}"
    return say(key) if key in say else word
