# SPDX-License-Identifier: Apache-2.0
"""What a page shows: plain values in the owner's language, made from the device's numbers.

Templates only lay these out. Nothing here is escaped; jinja2 escapes every value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from client.device import Entry
from client.owner import Owner
from client.reading import Readable
from client.recommending import Explained, Reason, explain
from client.texts import Texts
from shared.model.history import History
from shared.schema import Scale

CHOICES = 11
"""Most stars that are offered as buttons; a finer scale is typed."""


@dataclass(frozen=True)
class Card:
    """One item of a list."""

    id: str
    title: str
    path: str
    categories: tuple[str, ...]
    stars: str
    """Expected stars, one decimal."""
    share: float
    """Part of the drawn stars that is full."""
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Why:
    """Why an item is expected to please: a sum that adds up."""

    stars: str
    share: float
    reasons: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    total: str


def item_path(item: str, **more: str) -> str:
    """Return the address of an item's page; an id may hold any character."""
    extra = "".join(f"&{name}={quote(value, safe='')}" for name, value in more.items())
    return f"/item?id={quote(item, safe='')}{extra}"


def day(at: int, say: Texts) -> str:
    """Spell a day; "" where the time is unknown."""
    if at <= 0:
        return ""
    then = datetime.fromtimestamp(at, UTC)
    month = say("date.months").split()[then.month - 1]
    return say("date.form", day=then.day, month=month, year=then.year)


def size(count: int) -> str:
    """Spell a number of bytes.

    Example:
        >>> size(412), size(1800), size(336_000), size(2_100_000)
        ('412 B', '1.8 KB', '336 KB', '2.1 MB')
    """
    if count < 1000:
        return f"{count} B"
    if count < 10_000:
        return f"{count / 1000:.1f} KB"
    return f"{round(count / 1000)} KB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def share_of(spent: float, say: Texts) -> str:
    """Spell a part of the budget; what is not nothing never reads 0 %."""
    if 0 < spent < 0.001:
        return say("left.little")
    return f"{100 * spent:.1f} %".replace(".0 %", " %")


def choices(scale: Scale, say: Texts) -> list[tuple[str, str]]:
    """Return the ratings that are offered as buttons, with what a screen reader says after them."""
    if scale.step <= 0 or (scale.high - scale.low) / scale.step > CHOICES - 1:
        return []
    count = round((scale.high - scale.low) / scale.step) + 1
    values = [scale.low + scale.step * i for i in range(count)]
    ends = {0: say("item.low"), count - 1: say("item.high")}
    return [(f"{value:g}", f" {ends[i]}" if i in ends else "") for i, value in enumerate(values)]


class Shown:
    """Turns what the device knows into what its pages show."""

    def __init__(self, device: Owner, say: Texts) -> None:
        self.device, self.say = device, say
        self.mine = {entry.row: entry for entry in device.entries if entry.row >= 0}

    def stars(self, value: float) -> str:
        """Spell stars: "4 stars"."""
        form = "one" if value == 1 else "many"
        return self.say(f"count.stars.{form}", number=f"{value:g}")

    def card(self, row: int, rating: float, reasons: Sequence[Reason]) -> Card:
        """Make the card of a recommended item, its rating in r'."""
        catalogue, scale = self.device.catalogue, self.device.scale
        stars = float(scale.from_unit(rating))
        return Card(
            id=catalogue.item_ids[row],
            title=catalogue.titles[row],
            path=item_path(catalogue.item_ids[row]),
            categories=self.categories(row),
            stars=self.say("count.stars.many", number=f"{stars:.1f}"),
            share=stars / scale.high if scale.high > 0 else 0.0,
            reasons=tuple(self.reason(reason) for reason in reasons),
        )

    def comment(self, one: Readable) -> dict[str, Any]:
        """Make the card of a public comment."""
        row = one.comment.row
        title = self.device.catalogue.titles[row]
        votes = one.comment.helpful
        reasons = [self.say(f"reason.{kind}") for kind in one.reasons]
        if row in self.mine:
            reasons.append(self.say("reason.rated", stars=self.stars(self.mine[row].stars)))
        return {
            "title": title,
            "path": item_path(self.device.catalogue.item_ids[row], **{"from": "comments"}),
            "text": one.comment.text,
            "reasons": reasons,
            "helpful": int(votes) if votes > 0 else 0,
        }

    def categories(self, row: int) -> tuple[str, ...]:
        """Name the categories of an item."""
        names = self.device.basis.category_names
        return tuple(names[column] for column in self.device.catalogue.categories[row].nonzero()[0])

    def reason(self, reason: Reason) -> str:
        """Put a reason into words."""
        if reason.item is None:
            return self.say(f"reason.{reason.kind}")
        names = [self.device.basis.category_names[column] for column in reason.categories]
        kind = reason.kind if reason.kind != "category" or names else "category-bare"
        return self.say(
            f"reason.{kind}",
            title=self.device.catalogue.titles[reason.item],
            stars=self.stars(self.mine[reason.item].stars),
            categories=self.say("list.comma").join(names),
        )

    def why(self, row: int) -> Why:
        """Explain the expected rating of an item that the owner has not rated."""
        history = self.device.history
        return self.why_of(explain(self.device.model, history, row), history)

    def why_of(self, found: Explained, history: History) -> Why:
        """Put an explanation into words, as a sum in stars."""
        scale, titles = self.device.scale, self.device.catalogue.titles
        lines = [(self.say("item.base"), f"{scale.centre + found.base / scale.unit:.2f}")]
        for item, part in found.because:
            name = self.say("item.of", title=titles[item], stars=self.stars(self.mine[item].stars))
            lines.append((name, signed(part / scale.unit)))
        if len(found.because) < len(history):
            lines.append((self.say("item.rest"), signed(found.rest / scale.unit)))
        stars = float(scale.from_unit(found.rating))
        return Why(
            stars=f"{stars:.1f}",
            share=stars / scale.high if scale.high > 0 else 0.0,
            reasons=tuple(self.reason(reason) for reason in found.reasons),
            lines=tuple(lines),
            total=f"{scale.centre + found.rating / scale.unit:.2f}",
        )

    def rated(self, entry: Entry) -> dict[str, str]:
        """Return one rating as the lists show it."""
        return {
            "id": entry.item,
            "title": entry.title,
            "path": item_path(entry.item),
            "stars": self.stars(entry.stars),
            "value": f"{entry.stars:g}",
            "comment": entry.comment,
            "when": day(entry.at, self.say),
        }


def signed(value: float) -> str:
    """Spell what a rating adds, with its sign and a true minus.

    Example:
        >>> signed(0.421), signed(-0.1), signed(-0.001)
        ('+0.42', '−0.10', '0.00')
    """
    spelled = f"{value:+.2f}"
    return "0.00" if spelled in ("+0.00", "-0.00") else spelled.replace("-", "−")
