# SPDX-License-Identifier: Apache-2.0
"""Comment interest c_uj ∈ [0, 1]: what a person's own acts say about comments on an item.

The rule is public, chosen per user on the device, first match wins:

    (a) "events"  the app records them: 1 = opened, upvoted, replied to or wrote a comment on j,
                  0 = saw j's page and did none of it
    (b) "wrote"   the user wrote on 5–95 % of the items they rated: c = 1[wrote]
    (c) "length"  at least 3 comments: c = Φ((log(1 + length) − the user's own mean)/.8), over the
                  user's own training comments; length in characters is what readers value
    (d) "masked"  else nothing is known and the task is left out for this user

Helpful votes are other people's interest, a feature of a public comment, and never enter here. A
run reports the rule behind each figure and never averages over rules. Targets are never inputs:
what the network sees of (u, j) is the profile without (u, j) (`shared.model.profile`).

Source: ARCHITECTURE, "Comment interest"; RECIPE, "COMMENTS".
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from shared.schema import Floats, Ints

Rule = Literal["events", "wrote", "length", "masked"]

WROTE_SHARE = (0.05, 0.95)
"""Below or above, writing says nothing about the item: nobody, or everybody, gets a comment."""
LENGTH_MINIMUM = 3
"""Comments below which a user's own mean length means nothing."""
LENGTH_SCALE = 0.8
"""Spread of log(1 + length) about a user's own mean."""


@dataclass(frozen=True)
class CommentInterest:
    """Targets of one user's comment task; private."""

    rule: Rule
    """The rule that gave them."""
    target: Floats
    """c_uj at the user's items, (n,), 0 where not observed."""
    observed: npt.NDArray[np.bool_]
    """Where the rule says something, (n,)."""
    mean_log_length: float
    """The user's own mean of log(1 + length); what a held-out comment is compared with."""

    def take(self, rows: Ints) -> "CommentInterest":
        """Return the targets of some events, in the order of `rows`."""
        return replace(self, target=self.target[rows], observed=self.observed[rows])


def comment_interest(lengths: npt.ArrayLike, events: npt.ArrayLike | None) -> CommentInterest:
    """Apply the four-step rule to one user's training history.

    Args:
        lengths: Characters of the user's comment on each rated item, shape (n,), 0 where none.
        events: Recorded acts, shape (n,): 1, 0, or NaN where the page was not seen. None where
            the app records none.

    Returns:
        Targets, mask and the rule's name. Private.
    """
    length = np.asarray(lengths, dtype=np.float64)
    wrote = length > 0
    written = int(wrote.sum())
    mean = float(np.log1p(length[wrote]).mean()) if written else 0.0
    nothing = np.zeros(len(length), dtype=bool)
    if events is not None and not np.isnan(acts := np.asarray(events, dtype=np.float64)).all():
        seen = ~np.isnan(acts)
        return CommentInterest("events", np.where(seen, acts, 0.0), seen, mean)
    low, high = WROTE_SHARE
    if low * len(length) <= written <= high * len(length) and written:
        return CommentInterest("wrote", wrote.astype(np.float64), ~nothing, mean)
    if written >= LENGTH_MINIMUM:
        target = np.where(wrote, length_interest(length, mean), 0.0)
        return CommentInterest("length", target, wrote, mean)
    return CommentInterest("masked", np.zeros(len(length)), nothing, mean)


def length_interest(lengths: npt.ArrayLike, mean_log_length: float) -> Floats:
    """Give Φ((log(1 + length) − mean)/.8) of any shape: rule (c), also for held-out pairs."""
    score = (np.log1p(np.asarray(lengths, dtype=np.float64)) - mean_log_length) / LENGTH_SCALE
    flat = [0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in score.ravel()]
    return np.array(flat, dtype=np.float64).reshape(score.shape)
