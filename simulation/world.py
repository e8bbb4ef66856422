# SPDX-License-Identifier: Apache-2.0
"""The hidden ground of the village: what items are like, what people like. Known to nobody in it.

Everything is counted in whole thousandths (of a star, of a unit of taste), so that sums and
products are exact and the same on every machine. Tastes and traits are vectors of k dimensions; a
person's liking of an item, beyond its quality, is their inner product plus a liking of categories.
Traits come from categories, themes, year and price, which texts and numbers tell, and from a
hidden part that only the ratings of others can tell.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.schema import Ints
from simulation.domains import Domain

DIMENSIONS = 6
UNIT = 1000
"""Thousandths in one."""
REGIONS = ("Mill Lane", "Harbour", "Old Town", "Hillside")
MAIN_THEMES = 2
"""Themes an item is about."""


@dataclass(frozen=True)
class Things:
    """The items: public properties and hidden traits."""

    categories: Ints
    """0/1, (I, G)."""
    themes: Ints
    """Indices of the themes, (I, 2)."""
    years: Ints
    numbers: dict[str, Ints]
    """Numeric columns in hundredths, (I,)."""
    traits: Ints
    """Thousandths, (I, k)."""
    aspects: Ints
    """Traits of each category, then of each theme, (G + T, k)."""
    quality: Ints
    """Thousandths of r', (I,)."""
    popularity: Ints
    """Logarithm in thousandths, (I,)."""
    cold: Ints
    """Rows of the items that hardly anybody rates."""

    @property
    def has_aspect(self) -> npt.NDArray[np.bool_]:
        """Which aspects a comment on an item can speak of, (I, G + T)."""
        themes = np.zeros((len(self.themes), len(self.aspects) - self.categories.shape[1]), bool)
        np.put_along_axis(themes, self.themes, True, axis=1)
        return np.concatenate([self.categories > 0, themes], axis=1)


@dataclass(frozen=True)
class People:
    """The users: private attributes and hidden tastes."""

    ages: Ints
    regions: Ints
    taste: Ints
    """Thousandths, (U, k)."""
    category_taste: Ints
    """Thousandths of r', (U, G)."""
    comment_taste: Ints
    """What they want to read and write about, (U, k)."""
    chattiness: Ints
    """Log-odds of caring about comments, thousandths."""
    offset: Ints
    """How generous they are, thousandths of r'."""
    activity: Ints
    """Number of ratings."""
    cold: Ints
    """Rows of the users with at most five ratings."""


def normal(rng: np.random.Generator, size: tuple[int, ...], sd: float) -> Ints:
    """Draw normal variates in whole thousandths."""
    return np.rint(rng.standard_normal(size) * (sd * UNIT)).astype(np.int64)


def gumbel(rng: np.random.Generator, size: tuple[int, ...]) -> Ints:
    """Draw Gumbel variates in whole thousandths: adding them to log-weights makes a choice."""
    return np.rint(rng.gumbel(size=size) * UNIT).astype(np.int64)


def times(left: Ints, right: Ints) -> Ints:
    """Multiply matrices of thousandths, exactly."""
    product: Ints = (left @ right) // UNIT
    return product


def make_things(count: int, words: Domain, rng: np.random.Generator) -> Things:
    """Draw the items of a domain."""
    categories = _categories(count, len(words.categories), rng)
    themes = np.argsort(rng.random((count, len(words.themes))), axis=1)[:, :MAIN_THEMES]
    low, high = words.years
    age = np.floor((high - low + 1) * rng.random(count) ** 2).astype(np.int64)  # mostly recent
    aspects = normal(rng, (categories.shape[1] + len(words.themes), DIMENSIONS), 1.0)
    quality = normal(rng, (count,), 0.42)
    dearness = normal(rng, (count,), 1.0) + quality
    numbers: dict[str, Ints] = {}
    for name, number in words.numbers.items():
        spread = np.exp((dearness if not numbers else normal(rng, (count,), 1.0)) / UNIT * 0.35)
        numbers[name] = np.rint(
            np.clip(number.typical * spread, number.low, number.high) * 100
        ).astype(np.int64)
    traits = (
        45 * (categories @ aspects[: categories.shape[1]]) // categories.sum(1, keepdims=True)
        + 60 * aspects[categories.shape[1] :][themes].sum(axis=1)
        + 30 * normal(rng, (count, DIMENSIONS), 1.0)
    ) // 100
    traits[:, 0] += (age * UNIT) // (high - low) - UNIT // 3
    traits[:, 1] += 3 * dearness // 10
    cold = np.sort(rng.permutation(count)[: count // 12])
    return Things(
        categories,
        themes.astype(np.int64),
        high - age,
        numbers,
        traits,
        aspects,
        quality,
        _popularity(quality, cold, rng),
        cold,
    )


def _categories(count: int, kinds: int, rng: np.random.Generator) -> Ints:
    """Give each item one to three categories; some are much more common than others."""
    weight = -np.rint(UNIT * 0.6 * np.log1p(np.arange(kinds))).astype(np.int64)
    order = np.argsort(-(weight + gumbel(rng, (count, kinds))), axis=1)
    wanted = rng.integers(1, 4, size=(count, 1))
    table = np.zeros((count, kinds), dtype=np.int64)
    np.put_along_axis(table, order, (np.arange(kinds) < wanted).astype(np.int64), axis=1)
    return table


def _popularity(quality: Ints, cold: Ints, rng: np.random.Generator) -> Ints:
    """Rank the items by quality and luck; weights fall as a power of the rank, the long tail."""
    luck = quality + normal(rng, quality.shape, 0.8)
    rank = np.empty(len(quality), dtype=np.int64)
    rank[np.argsort(-luck, kind="stable")] = np.arange(len(quality))
    popularity: Ints = -np.rint(UNIT * 0.9 * np.log(rank + 8.0)).astype(np.int64)
    popularity[cold] = popularity.min() - 2 * UNIT
    return popularity


def make_people(count: int, things: Things, rng: np.random.Generator) -> People:
    """Draw the users."""
    ages = np.clip(44 + 16 * normal(rng, (count,), 1.0) // UNIT, 16, 90)
    regions = rng.integers(0, len(REGIONS), size=count)
    spread = np.array([50, 46, 42, 38, 34, 30])  # hundredths: some dimensions divide people more
    taste = spread * normal(rng, (count, DIMENSIONS), 1.0) // 100
    taste[:, 0] += 10 * (ages - 44)
    taste[:, 2] += 250 * (regions == 1) - 80
    own = normal(rng, (count, DIMENSIONS), 0.35)
    activity = np.rint(36 * np.exp(normal(rng, (count,), 0.5) / UNIT)).astype(np.int64)
    activity = np.clip(activity, 12, max(12, len(things.quality) // 2))
    cold = np.sort(rng.permutation(count)[: count // 12])
    activity[cold] = rng.integers(1, 6, size=len(cold))
    return People(
        ages,
        regions,
        taste,
        normal(rng, (count, things.categories.shape[1]), 0.6),
        taste // 2 + own,
        normal(rng, (count,), 0.8) - UNIT,
        normal(rng, (count,), 0.35),
        np.minimum(activity, len(things.quality)),
        cold,
    )


def liking(people: People, things: Things) -> Ints:
    """Return what users like beyond quality, thousandths of r', (U, I), about zero on average."""
    shares = things.categories * UNIT // things.categories.sum(axis=1, keepdims=True)
    return times(people.taste, things.traits.T) + times(people.category_taste, shares.T)
