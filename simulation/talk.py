# SPDX-License-Identifier: Apache-2.0
"""Who writes and who reads comments in the village.

    written    some people write on some items; words follow what they like and the stars
    public     the operator's own comments, about aspects of the items; they name no person
    events     who saw the comments of an item, and who opened one that speaks of what they like

How much a person cares about comments on an item is a taste of its own, related to what they
like: predicting one helps a little to predict the other.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.schema import Floats, Ints
from simulation.dataset import CommentEvents, PublicComments
from simulation.domains import Domain
from simulation.prose import LEVELS, write_comments
from simulation.world import UNIT, People, Things, gumbel, normal, times

EAGER = 600
"""Log-odds, in thousandths, that keep a reader of comments from writing one."""
SEEN = 0.7
"""Share of the rated items whose comments are looked at as well."""
PUBLIC_PER_ITEM = 4
"""Comments of the operator on an item, 0 to this many."""


@dataclass(frozen=True)
class Visits:
    """Who looked at what, by user, then time, (N,) columns."""

    users: Ints
    items: Ints
    moments: Ints
    """Seconds since 1970."""
    rated: npt.NDArray[np.bool_]
    """False where only the comments were looked at."""


@dataclass(frozen=True)
class Talk:
    """All that is written and read."""

    written: npt.NDArray[np.object_]
    """The visitor's own comment, "" where none, (N,)."""
    public: PublicComments
    events: CommentEvents


def make_talk(
    people: People,
    things: Things,
    visits: Visits,
    stars: Floats,
    words: Domain,
    rng: np.random.Generator,
) -> Talk:
    """Let people write and read comments on what they visited."""
    shape = visits.users.shape
    cares = _interest(people, things, visits, rng)
    span = words.scale.high - words.scale.low
    level = np.rint((stars - words.scale.low) / span * (LEVELS - 1)).astype(np.int64)
    strong = 250 * np.abs(level - LEVELS // 2)
    wrote = visits.rated & (cares + strong + _logistic(rng, shape) > EAGER)
    rows = np.flatnonzero(wrote)
    aspects, liked = _chosen_aspects(people, things, visits, rows, rng)
    written = np.full(shape, "", dtype=object)
    written[rows] = write_comments(words, np.column_stack([level[rows], aspects, liked]), rng)
    public, mentioned = _publish(things, words, rng)
    interested = wrote | (cares + _logistic(rng, shape) > 0)
    seen = ~visits.rated | wrote | (rng.random(shape) < SEEN)
    opened = _opened(people, things, visits, (public.items, mentioned), rng)
    events = CommentEvents(
        users=visits.users[seen],
        items=visits.items[seen],
        interested=interested[seen].astype(np.int64),
        opened=np.where(interested, opened, -1)[seen],
        timestamps=visits.moments[seen] + 15,
    )
    return Talk(written, public, events)


def _interest(people: People, things: Things, visits: Visits, rng: np.random.Generator) -> Ints:
    """Return how much each visitor cares about the comments there, log-odds in thousandths."""
    talked_about = normal(rng, things.quality.shape, 0.5)
    taste = times(people.comment_taste, things.traits.T)[visits.users, visits.items]
    return people.chattiness[visits.users] + talked_about[visits.items] + 3 * taste // 2


def _logistic(rng: np.random.Generator, shape: tuple[int, ...]) -> Ints:
    """Draw logistic variates: log-odds plus one of them is above 0 with the probability meant."""
    return np.rint(rng.logistic(size=shape) * UNIT).astype(np.int64)


def _chosen_aspects(
    people: People,
    things: Things,
    visits: Visits,
    rows: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[Ints, Ints]:
    """Choose what each comment speaks of: what its author feels most about; and if they like it."""
    felt = times(people.taste, things.aspects.T)[visits.users[rows]]
    there = things.has_aspect[visits.items[rows]]
    weight = 2 * np.abs(felt) + gumbel(rng, felt.shape)
    aspects = np.argmax(np.where(there, weight, -(1 << 40)), axis=1)
    liked = felt[np.arange(len(rows)), aspects] > 0
    return aspects, liked.astype(np.int64)


def _publish(
    things: Things, words: Domain, rng: np.random.Generator
) -> tuple[PublicComments, Ints]:
    """Write the operator's comments; return them and the aspect each speaks of."""
    count = rng.integers(0, PUBLIC_PER_ITEM + 1, size=len(things.quality))
    items = np.repeat(np.arange(len(count)), count)
    there = things.has_aspect[items]
    aspects = np.argmax(np.where(there, gumbel(rng, there.shape), -(1 << 40)), axis=1)
    noise = normal(rng, items.shape, 0.7)
    level = np.clip((things.quality[items] + noise) // 500 + 2, 0, LEVELS - 1)
    liked = (level >= LEVELS // 2).astype(np.int64)
    texts = write_comments(words, np.column_stack([level, aspects, liked]), rng)
    helpful = rng.geometric(0.2, size=len(items)).astype(np.float64) - 1.0
    authors = np.full(len(items), -1, dtype=np.int64)
    return PublicComments(items, authors, tuple(texts), helpful), aspects


def _opened(
    people: People,
    things: Things,
    visits: Visits,
    public: tuple[Ints, Ints],
    rng: np.random.Generator,
) -> Ints:
    """Return the public comment that each visitor would open, -1 where an item has none."""
    items, aspects = public
    shelf = np.full((len(things.quality), PUBLIC_PER_ITEM), -1, dtype=np.int64)
    shelf[items, np.arange(len(items)) - np.searchsorted(items, items)] = np.arange(len(items))
    there = shelf[visits.items]
    felt = times(people.taste, things.aspects.T)[visits.users[:, None], aspects[there]]
    weight = np.where(there >= 0, 3 * felt + gumbel(rng, there.shape), -(1 << 40))
    best: Ints = np.take_along_axis(there, np.argmax(weight, axis=1)[:, None], axis=1)[:, 0]
    return best
