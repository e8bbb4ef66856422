# SPDX-License-Identifier: Apache-2.0
"""One data set, clean: what every layout and the village return and the simulation starts from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shared.schema import RULES, Floats, Interactions, Ints, Items, Scale

Rows = npt.NDArray[np.intp]
Fold = tuple[Rows, Rows]
"""Rows of `Dataset.interactions` to train on, and to test on."""


@dataclass(frozen=True)
class CleaningReport:
    """How often each rule of `shared.schema.RULES` fired, in the order of the table."""

    counts: Mapping[str, int]

    @classmethod
    def of(cls, fired: Counter[str]) -> "CleaningReport":
        """Lay the counts out in the order of the table."""
        return cls({rule.name: fired[rule.name] for rule in RULES})


@dataclass(frozen=True)
class PublicComments:
    """Comments that their authors, or the operator, published: (M,) columns."""

    items: Ints
    """Row of the item."""
    authors: Ints
    """Row of the user who wrote it; -1 where the operator did."""
    texts: tuple[str, ...]
    helpful: Floats
    """Helpful votes, NaN where unknown."""

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class CommentEvents:
    """Private: what users did on the comment page of an item, (E,) columns."""

    users: Ints
    items: Ints
    interested: Ints
    """1 = opened, upvoted, replied to or wrote a comment; 0 = saw the page and did none."""
    opened: Ints
    """Row of the public comment that was opened, -1 where none or unknown."""
    timestamps: Ints

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Truth:
    """What only the generator of the village knows; no file of a data folder holds it."""

    stars: Floats
    """Expected stars before noise and rounding, (U, I)."""
    taste: Floats
    """Latent tastes of the users, (U, k)."""
    traits: Floats
    """Latent traits of the items, (I, k)."""
    quality: Floats
    """How good an item is for everybody, in stars, (I,)."""
    cold_users: Ints
    """Rows of the users with a handful of ratings."""
    cold_items: Ints
    """Rows of the items with a handful of ratings or none."""


@dataclass(frozen=True)
class Dataset:
    """A catalogue, a scale and the private events of all users, cleaned and in canonical order.

    Users and items are rows; `interactions` are sorted by user, then time, then file order.
    """

    name: str
    scale: Scale
    users: tuple[str, ...]
    items: Items
    interactions: Interactions
    comments_declared: bool
    """True where the layout or `dataset.toml` says that people write comments here: public, and
    the only licence to spend privacy budget on comments."""
    cleaning: CleaningReport
    folds: Mapping[str, Fold] = field(default_factory=dict)
    """Official folds by name; read from disk when asked for."""
    public_comments: PublicComments | None = None
    comment_events: CommentEvents | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Private attributes by name (age, ...), one a user, "" where unknown."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Public bounds of the numeric columns of the catalogue."""
    domain: str = "films"
    warnings: tuple[str, ...] = ()
    """Sentences that a run must print, such as that the set of item ids becomes public."""
    truth: Truth | None = None
    """What only the village knows."""

    @property
    def density(self) -> float:
        """Share of the user x item table that is rated."""
        return len(self.interactions) / (len(self.users) * len(self.items))
