# SPDX-License-Identifier: Apache-2.0
"""The public catalogue as numbers: what a server publishes and every device computes with."""

from dataclasses import dataclass

from shared.schema import Floats


@dataclass(frozen=True)
class FeatureBlock:
    """A run of columns of the public features that share one meaning and one prior."""

    kind: str
    """One of "category", "time", "text", "number"."""
    start: int
    stop: int


@dataclass(frozen=True)
class Catalogue:
    """Public features of all items, with what the likeness kernel needs.

    Every block of `features` is centred over the catalogue and divided by its rms row norm.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    features: Floats
    """Public features x_j, (I, F)."""
    blocks: tuple[FeatureBlock, ...]
    """The blocks of `features`, in order, covering all F columns; missing kinds are left out."""
    text: Floats
    """Centred, L2-normalised text vectors, (I, D); (I, 0) where the catalogue has no text."""
    categories: Floats
    """0/1 category indicators divided by sqrt(number of categories of the item), (I, G)."""
    log_age: Floats
    """ln(1 + max(newest year + 1 - year, 0)), (I,); the mean where the year is unknown."""

    def __len__(self) -> int:
        return len(self.item_ids)
