# SPDX-License-Identifier: Apache-2.0
"""Status, receipts and previews in plain words; numbers that people can weigh are odds."""

import math
from collections.abc import Iterator, Sequence

from client.preview import Preview
from client.receipts import Receipt
from client.shell import day, many, size
from client.standing import Status

WIDTH = 20


def percent(share: float) -> str:
    """Spell a share; never rounds up to 100 %.

    Example:
        >>> percent(0.5), percent(0.7214), percent(0.9999999)
        ('50 %', '72 %', 'more than 99.9 %')
    """
    if share > 0.999:
        return "more than 99.9 %"
    return f"{math.floor(share * 100 + 0.5)} %" if share < 0.99 else f"{share * 100:.1f} %"


def status_lines(now: Status) -> Iterator[str]:
    """Say where a device stands, one fact a line."""
    for name, text in _facts(now):
        yield f"{name:<{WIDTH}}{text}"


def _facts(now: Status) -> Iterator[tuple[str, str]]:
    if now.demo:
        yield "DEMO", "So few devices share the noise that nothing here is protected."
    if now.moved:
        yield "Moved", "This device was exported; use the imported one, and erase this one."
    joined = f"{now.run} ({now.operator}), policy {now.policy_hash[:4]}…"
    taking = f"{joined}, since {day(now.joined_at)}" if now.operator else "nothing"
    yield "Taking part in", taking + ("; PAUSED" if now.paused else "")
    written = f", {many(now.comments, 'comment')}" if now.comments else ""
    yield (
        "Your data",
        f"{many(now.ratings, 'rating')}{written}, encrypted on this device. "
        "They have never been sent.",
    )
    yield "Key", {"file": "in a file beside the data: whoever copies the folder can read it",
                  "passphrase": "your passphrase", "credential": "kept by this machine's systemd",
                  }.get(now.custody, now.custody)  # fmt: skip
    yield "Left this device", _left(now)
    if now.published:
        yield "Published", f"{many(now.published, 'comment')}, by your own command."
    if now.epsilon:
        yield (
            "Privacy used",
            f"{percent(now.spent)} of the budget you agreed to (ε {now.epsilon:.3g}, "
            f"δ {now.delta:.1g} when all of it is used).",
        )
        yield (
            "What that means",
            (
                "When all is used, someone guessing whether you took part would be right "
                f"{percent(now.guess)} of the time at most; if {now.operator} lied about all other "
                f"devices, {percent(now.guess_lying)}."
            ),
        )
        yield "Not protected", f"{now.operator} can see that this device takes part, and when."
    if now.unused or now.refused:
        yield (
            "Not sent",
            (f"{many(now.refused, 'question')} refused, {now.unused} charged but unused."),
        )
    model = f"model {now.model[:8]}…" if now.model else "no shared model yet: text and your ratings"
    yield "Recommends with", model


def _left(now: Status) -> str:
    if not now.updates:
        return "nothing"
    return (
        f"{many(now.updates, 'update')}, {size(now.upload_bytes)} in all, last on "
        f"{day(now.last_upload_at)}. Each was clipped, hidden in a sum of at least "
        f"{now.smallest_sum} devices, and noised."
    )


def receipt_lines(receipts: Sequence[Receipt]) -> Iterator[str]:
    """Say what left, was refused, or was charged unused, one act a line."""
    if not receipts:
        yield "Nothing has left this device, and nobody has asked."
    for one in receipts:
        what = one.query or one.kind
        where = f"{one.run} round {one.round}" if one.run else "-"
        yield (
            f"{one.act:>4}  {day(one.created_at):<12} {one.status:<15} {what:<17} {where:<20} "
            f"{size(one.upload_bytes):<10} {_why(one)}"
        ).rstrip()


def _why(one: Receipt) -> str:
    if one.status == "refused":
        return one.reason.replace("\n", "; ")
    cost = f" ρ {float(one.rho):.3g}" if one.rho else ""
    return f"{one.protection}{cost}"


def preview_lines(shown: Preview) -> Iterator[str]:
    """Say what an answer is made of."""
    first = {
        "example": "No question has come yet. The first could be this one:",
        "last-question": "For the last question, this device would send:",
        "sent": "This is what the last answer was made of, and the bytes that left:",
    }[shown.kind]
    yield first
    yield f"  {'asks':<12} {shown.query}: {shown.purpose}"
    yield f"  {'contains':<12} {'; '.join(shown.fields)}, {size(shown.upload_bytes)}"
    yield f"  {'excludes':<12} {', '.join(shown.excludes)}"
    yield f"  {'protection':<12} {shown.protection}"
    yield f"  {'cost':<12} {percent(shown.share)} of the budget (ρ {float(shown.rho):.3g})"
    if shown.payload:
        yield f"  {'sha256':<12} {shown.payload}"
    yield f"Of {shown.dimension:,} numbers, {shown.touched} say something about you. The largest:"
    sent = shown.kind == "sent"
    yield f"  {'':<44} {'yours':>9} {'' if sent else 'noise':>9} {'leaves':>11}"
    for line in shown.lines:
        noise = "" if sent else f"{line.noise:+d}"
        yield f"  {line.label[:44]:<44} {line.integer:>+9d} {noise:>9} {line.sent:>11d}"
    if not sent:
        yield "Noise and mask are examples: both are drawn afresh, nobody knows them beforehand."
