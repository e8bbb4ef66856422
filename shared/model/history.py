# SPDX-License-Identifier: Apache-2.0
"""What one device knows of its owner: the only private input of the model."""

from dataclasses import dataclass

from shared.schema import Floats, Ints


@dataclass(frozen=True)
class History:
    """One owner's ratings, oldest first; private."""

    items: Ints
    """Rows of the catalogue, (n,), each at most once."""
    ratings: Floats
    """Ratings in r', (n,)."""
    comment_lengths: Ints | None = None
    """Characters of the owner's comment on each item, (n,), 0 where there is none; None where the
    policy declares no comments."""
    comment_acts: Floats | None = None
    """Recorded acts on the comments of each item, (n,): 1, 0, or NaN where its page was not seen;
    None where the app records none."""

    def take(self, rows: Ints) -> "History":
        """Return some events, in the order of `rows`."""
        lengths, acts = self.comment_lengths, self.comment_acts
        return History(
            self.items[rows],
            self.ratings[rows],
            None if lengths is None else lengths[rows],
            None if acts is None else acts[rows],
        )

    def __len__(self) -> int:
        return len(self.items)
