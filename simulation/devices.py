# SPDX-License-Identifier: Apache-2.0
"""Simulated devices: what each would hold of its owner, and what it shows with the shared model."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from shared.model.history import History
from shared.model.released import SharedModel
from shared.ranking.interest import Interest
from shared.schema import Floats, Interactions, Ints, Scale
from simulation.dataset import CommentEvents, Dataset


def histories(known: Interactions, users: int, scale: Scale) -> list[History]:
    """Cut interactions, sorted by user and time, into one history of ratings a user."""
    cuts = np.searchsorted(known.users, np.arange(users + 1))
    unit = scale.to_unit(known.ratings)
    return [History(known.items[a:b], unit[a:b]) for a, b in pairwise(cuts)]


def devices_of(dataset: Dataset, known: Interactions) -> list[History]:
    """Give each user's device what it knows: ratings and, where declared, comments.

    Args:
        dataset: The data set; only its declarations, scale and recorded acts are used.
        known: What devices know, sorted by user and time. Private.

    Returns:
        One history a user, in the order of `dataset.users`. Private.
    """
    rated = histories(known, len(dataset.users), dataset.scale)
    if not dataset.comments_declared:
        return rated
    lengths = np.array([len(text) for text in known.comments], dtype=np.int64)
    acts = acts_at(dataset.comment_events, known, len(dataset.items))
    cuts = np.cumsum([0, *(len(device) for device in rated)])
    return [
        History(d.items, d.ratings, lengths[a:b], None if acts is None else acts[a:b])
        for d, (a, b) in zip(rated, pairwise(cuts), strict=True)
    ]


def acts_at(events: CommentEvents | None, rows: Interactions, items: int) -> Floats | None:
    """Return the recorded act at each row's (user, item), NaN where none; the last one counts."""
    if events is None:
        return None
    asked = rows.users * items + rows.items
    seen = events.users * items + events.items
    order = np.lexsort((events.timestamps, seen))
    seen, interested = seen[order], events.interested[order]
    place = np.searchsorted(seen, asked, side="right") - 1
    found = (place >= 0) & (seen[np.maximum(place, 0)] == asked)
    return np.where(found, interested[np.maximum(place, 0)], np.nan)


class DevicePredictor:
    """The shared model on each simulated device, as the evaluation asks for it."""

    def __init__(self, model: SharedModel, devices: Sequence[History], scale: Scale) -> None:
        self.model, self.devices, self.scale = model, devices, scale

    def rate(self, user: int, items: Ints) -> Floats:
        """Predict stars, on the device of one user."""
        return self.scale.from_unit(self.model.rate(self.devices[user], items))

    def score(self, user: int) -> Floats:
        """Score all items for ranking, on the device of one user."""
        return self._interest.score(self.devices[user].items)

    @cached_property
    def _interest(self) -> Interest:
        """Return interest, made ready for all devices at once."""
        return Interest.of(self.model.catalogue, self.model.interest)
