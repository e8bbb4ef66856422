# SPDX-License-Identifier: Apache-2.0
"""What the words user, item, interaction and scale mean, on every side alike."""

from dataclasses import dataclass, field

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
