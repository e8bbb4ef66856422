# SPDX-License-Identifier: Apache-2.0
"""What the words user, item, interaction and scale mean, and how their data are cleaned."""

import html
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scale:
    """A rating scale, declared by a layout or a `dataset.toml`, never read off the data.

    All arithmetic is done on the unit scale r' = (r - centre) * 4 / (high - low), which is
    r - 3.5 for stars from 1 to 5.
    """

    low: float
    """Lowest rating a person can give."""
    high: float
    """Highest rating a person can give."""
    step: float = 1.0
    """Distance of neighbouring ratings; public."""

    @property
    def centre(self) -> float:
        """Public prior centre, low + 5/8 of the range."""
        return self.low + 0.625 * (self.high - self.low)

    @property
    def unit(self) -> float:
        """Units of r' in one star."""
        return 4.0 / (self.high - self.low)

    def to_unit(self, rating: npt.ArrayLike) -> Floats:
        """Map ratings to r'."""
        return (np.asarray(rating, dtype=np.float64) - self.centre) * self.unit

    def from_unit(self, value: npt.ArrayLike) -> Floats:
        """Map r' back to ratings, clipped to the scale."""
        stars = np.asarray(value, dtype=np.float64) / self.unit + self.centre
        return np.clip(stars, self.low, self.high)


@dataclass(frozen=True)
class Items:
    """The public catalogue as text: one entry an item, all tuples of equal length."""

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    descriptions: tuple[str, ...]
    """Plot, blurb, product text; "" where there is none."""
    categories: tuple[tuple[str, ...], ...]
    """Genres, departments, subjects."""
    years: Floats
    """Year of release, (I,), NaN where unknown."""
    numbers: dict[str, Floats] = field(default_factory=dict)
    """Numeric columns by name (price, length), each (I,), NaN where unknown."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Interactions:
    """Private events as columns, one row a (user, item) pair, sorted by user, then time."""

    users: Ints
    """Row of the user, (N,)."""
    items: Ints
    """Row of the item in the catalogue, (N,)."""
    ratings: Floats
    """Stars in the declared scale, (N,)."""
    timestamps: Ints
    """Seconds since 1970, (N,); 0 where unknown."""
    comments: npt.NDArray[np.object_]
    """Text of the comment, (N,), "" where there is none."""
    helpful: Floats
    """Helpful votes, (N,), NaN where unknown."""

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Interactions":
        """Return the chosen rows, in their order."""
        return Interactions(
            self.users[rows],
            self.items[rows],
            self.ratings[rows],
            self.timestamps[rows],
            self.comments[rows],
            self.helpful[rows],
        )


MAX_COMMENT = 10_000
"""Longest comment in characters; the rest is cut."""
MAX_DESCRIPTION = 10_000
"""Longest description in characters; the rest is cut."""
MAX_NAME = 500
"""Longest title, category or id in characters; the rest is cut."""
YEARS = (1870, 2100)
"""First and last year of release that counts as known."""
MAX_VOTES = 1_000_000
"""Public upper bound of helpful votes."""


@dataclass(frozen=True)
class Rule:
    """One cleaning rule: what it looks at and what it does."""

    name: str
    where: str
    action: Literal["refuse", "repair"]
    """"refuse" stops with exit code 10; "repair" changes the value and counts it."""
    does: str


RULES = (
    Rule(
        "encoding", "files", "refuse", "bytes that are not UTF-8 (latin-1 in old MovieLens files)"
    ),
    Rule("columns", "files", "refuse", "a missing column, or a row of another length"),
    Rule("empty-id", "ids", "refuse", "a user or an item without a name"),
    Rule("rating", "ratings", "refuse", "a rating that is no number on the declared scale"),
    Rule("number", "numbers", "refuse", "a time, a vote or a number that cannot be read"),
    Rule("users", "ratings", "refuse", "fewer than two users: nobody to federate with"),
    Rule("duplicate", "ratings", "repair", "of one user and item the last stays: time, then order"),
    Rule("missing-text", "texts", "repair", 'a missing title or description becomes ""'),
    Rule("html", "texts", "repair", "tags are removed, entities become characters"),
    Rule("control", "texts", "repair", "control characters go, runs of white space are one space"),
    Rule("nfc", "texts", "repair", "Unicode becomes its composed form NFC"),
    Rule("length", "texts", "repair", f"cut to {MAX_COMMENT:,} characters, names to {MAX_NAME}"),
    Rule("winsorise", "numbers", "repair", "numbers are moved to the nearest public bound"),
    Rule("year", "years", "repair", f"years outside {YEARS[0]}-{YEARS[1]} are unknown"),
    Rule("unlisted-item", "items", "repair", "an item only the ratings name is added without text"),
    Rule("unrated-comment", "comments", "repair", "a comment or tag without a rating is left out"),
)
"""The cleaning rules, in one table; `privet data inspect` prints what each of them did."""

_TAG = re.compile(r"<[A-Za-z/!][^<>]*>")  # no nested quantifier: linear on any input
_SPACE = re.compile(r"[ \t\r\n\v\f\x85\u2028\u2029]+")
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNUSUAL = re.compile(f"{_TAG.pattern}|&|{_CONTROL.pattern}|{_SURROGATE.pattern}|[\t\r\n\v\f]|  ")


def clean_text(raw: str, cap: int = MAX_COMMENT) -> tuple[str, tuple[str, ...]]:
    """Clean one text by the rules `length`, `html`, `control` and `nfc`.

    Args:
        raw: The text as a person or a file gave it.
        cap: Longest result, in characters.

    Returns:
        The clean text and the names of the rules that changed it.

    Example:
        >>> clean_text("<b>Tea</b> &amp; bar")
        ('Tea & bar', ('html',))
    """
    text = raw[: 4 * cap]  # bounds the work on a text of megabytes; mark-up rarely is 3/4 of it
    fired = []
    if not text.isascii() or _UNUSUAL.search(text):
        for name, step in _STEPS:
            changed = step(text)
            if changed != text:
                fired.append(name)
            text = changed
    text = text.strip()
    if len(text) > cap or len(raw) > 4 * cap:
        fired.append("length")
    return text[:cap].rstrip(), tuple(fired)


def _strip_html(text: str) -> str:
    if "<" not in text and "&" not in text:
        return text
    return _SPACE.sub(" ", html.unescape(_TAG.sub(" ", text))).strip()


def _strip_control(text: str) -> str:
    return _SURROGATE.sub("", _CONTROL.sub("", _SPACE.sub(" ", text)))


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


_STEPS = (("html", _strip_html), ("control", _strip_control), ("nfc", _compose))


def winsorise(values: Floats, low: float, high: float) -> tuple[Floats, int]:
    """Move numbers to the nearest public bound; NaN (unknown) stays.

    Returns:
        The numbers within [low, high], and how many were moved.
    """
    moved = (values < low) | (values > high)
    return np.clip(values, low, high), int(moved.sum())


def known_years(years: Floats) -> tuple[Floats, int]:
    """Set years outside the public range to NaN; return them and how many were set."""
    outside = (years < YEARS[0]) | (years > YEARS[1])
    return np.where(outside, np.nan, years), int(outside.sum())


def scale_faults(ratings: Floats, scale: Scale) -> npt.NDArray[np.bool_]:
    """Say which ratings the rule `rating` refuses: NaN, off the range or between the steps.

    A step of 0 declares a continuous scale.
    """
    inside = (ratings >= scale.low) & (ratings <= scale.high)  # NaN compares false
    if scale.step > 0:
        steps = (ratings - scale.low) / scale.step
        with np.errstate(invalid="ignore"):
            inside &= np.abs(steps - np.round(steps)) < 1e-6
    return ~inside


def rating_kind(rating: float, scale: Scale) -> str:
    """Describe a refused rating without its value, which is private."""
    if np.isnan(rating):
        return "NaN"
    if rating < scale.low:
        return "a number below the scale"
    return "a number above the scale" if rating > scale.high else "a number between the steps"
