# SPDX-License-Identifier: Apache-2.0
"""The village: a made-up population with a known truth, the same for the same seed everywhere.

No real person, no copied text. `world` draws what people and items are like, `prose` writes the
texts, `talk` lets people write and open comments, here they choose and rate:

    choices    popularity + liking + a mood that wanders from sitting to sitting
    stars      quality for all + the person's offset + their liking + noise, rounded

Federation pays here: quality, popularity and a hidden part of the traits cannot be read off the
catalogue by a lone device. With `shuffle_tastes` every item is judged with another person's
taste: whatever a person's past then seems to tell is worth nothing beyond means.
"""

from collections import Counter

import numpy as np

from shared.errors import UsageError
from shared.schema import Floats, Interactions, Ints, Scale
from simulation.dataset import CleaningReport, Dataset, Truth
from simulation.domains import domain as domain_of
from simulation.prose import write_items
from simulation.talk import Visits, make_talk
from simulation.world import (
    REGIONS,
    UNIT,
    People,
    Things,
    gumbel,
    liking,
    make_people,
    make_things,
    normal,
    times,
)

SESSION = 5
"""Items chosen in one sitting, with one mood."""
DAY = 86_400
FOUNDED = 1_420_070_400
"""1 January 2015: the first day in the village."""
NOISE = 0.62
"""Standard deviation of what makes the same person rate the same item otherwise, in r'."""
MEAN = 0.1
"""Mean liking before anybody chooses, in r'; what people choose they like better."""
PEOPLE_BLOCK = 512
"""Users whose choices are drawn at once; bounds the memory."""
SMALLEST = (2, 10)
"""Fewest users and items that make a village."""


def village(
    users: int = 500,
    items: int = 350,
    seed: int = 0,
    domain: str = "films",
    *,
    shuffle_tastes: bool = False,
) -> Dataset:
    """Make a village.

    Args:
        users: Number of people, at least 2.
        items: Number of items, at least 10.
        seed: The same seed gives the same village.
        domain: What it talks about: a name of `simulation.domains.DOMAINS`.
        shuffle_tastes: Judge every item with the liking of another person, drawn for each item.

    Returns:
        The data set, with its truth.

    Raises:
        UsageError: Too few users or items, a negative seed, an unknown domain.
    """
    if users < SMALLEST[0] or items < SMALLEST[1] or seed < 0:
        raise UsageError(
            f"a village must have at least {SMALLEST[0]} users, {SMALLEST[1]} items and a seed "
            f"from 0, got {users}, {items}, {seed}.",
            hint="try --users 500 --items 350 --seed 0.",
        )
    words = domain_of(domain)
    rngs = [np.random.default_rng([seed, part]) for part in range(7)]
    things = make_things(items, words, rngs[0])
    people = make_people(users, things, rngs[1])
    likes = liking(people, things)
    judged = _shuffle(likes, rngs[2]) if shuffle_tastes else likes
    visits = _visit(people, things, likes, rngs[3])
    expected = people.offset[:, None] + things.quality + judged
    stars = _stars(expected, visits, words.scale, rngs[4])
    talk = make_talk(people, things, visits, stars, words, rngs[5])
    events = Interactions(
        visits.users,
        visits.items,
        stars,
        visits.moments,
        talk.written,
        np.full(len(stars), np.nan),
    )
    return Dataset(
        name=f"village-{words.name}-{seed}",
        scale=words.scale,
        users=tuple(f"person-{row + 1:06d}" for row in range(users)),
        items=write_items(things, words, rngs[6]),
        interactions=events.take(np.flatnonzero(visits.rated)),
        comments_declared=True,
        cleaning=CleaningReport.of(Counter()),
        public_comments=talk.public,
        comment_events=talk.events,
        attributes={
            "age": tuple(str(age) for age in people.ages),
            "region": tuple(REGIONS[region] for region in people.regions),
        },
        bounds={name: (number.low, number.high) for name, number in words.numbers.items()},
        domain=words.name,
        truth=Truth(
            stars=words.scale.from_unit(expected / UNIT + MEAN),
            taste=people.taste / UNIT,
            traits=things.traits / UNIT,
            quality=things.quality / UNIT / words.scale.unit,
            cold_users=people.cold,
            cold_items=things.cold,
        ),
    )


def _shuffle(likes: Ints, rng: np.random.Generator) -> Ints:
    """Give every item's likings to other users, a new permutation for each item."""
    order = np.argsort(rng.random(likes.shape), axis=0)
    return np.take_along_axis(likes, order, axis=0)


def _visit(people: People, things: Things, likes: Ints, rng: np.random.Generator) -> Visits:
    """Let everybody choose items, sitting by sitting, without repeating one."""
    extra = people.activity // 4
    counts = np.minimum(people.activity + extra, len(things.quality))
    blocks = []
    for start in range(0, len(counts), PEOPLE_BLOCK):
        rows = slice(start, start + PEOPLE_BLOCK)
        users, items, moments = _choose(counts[rows], likes[rows], things, rng)
        blocks.append((users + start, items, moments))
    users, items, moments = (np.concatenate(part) for part in zip(*blocks, strict=True))
    # Of each user's visits, all but `extra` become ratings; which ones is chance.
    order = np.lexsort((rng.random(len(users)), users))
    place = np.empty(len(users), dtype=np.int64)
    place[order] = np.arange(len(users)) - np.searchsorted(users, users)
    return Visits(users, items, moments, place < people.activity[users])


def _choose(
    counts: Ints, likes: Ints, things: Things, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """Choose `counts` items for each user of a block; return users, items, times in order."""
    size, width = likes.shape
    weight = things.popularity + likes
    mood = normal(rng, (size, things.traits.shape[1]), 0.6)
    moment: Ints = np.asarray(FOUNDED + rng.integers(0, 700 * DAY, size=size))
    found: list[tuple[Ints, Ints, Ints]] = []
    for first in range(0, int(counts.max()), SESSION):
        here = np.flatnonzero(counts > first)
        score = weight[here] + times(mood[here], things.traits.T) + gumbel(rng, (len(here), width))
        score = score * width + np.arange(width)  # no ties: the same choice everywhere
        chosen = np.argpartition(-score, SESSION - 1, axis=1)[:, :SESSION]
        chosen = np.take_along_axis(chosen, np.argsort(-np.take_along_axis(score, chosen, 1)), 1)
        weight[here[:, None], chosen] = -(1 << 40)
        gaps = rng.integers(20, 400, size=chosen.shape).cumsum(axis=1)
        kept = first + np.arange(SESSION) < counts[here, None]
        at = np.broadcast_to(here[:, None], chosen.shape)
        times_here: Ints = moment[here][:, None] + gaps
        found.append((at[kept], chosen[kept], times_here[kept]))
        moment = moment + DAY * rng.geometric(0.08, size=size)
        mood = (8 * mood + 6 * normal(rng, mood.shape, 0.6)) // 10
    users, items, moments = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((moments, users))
    return users[order], items[order].astype(np.int64), moments[order]


def _stars(expected: Ints, visits: Visits, scale: Scale, rng: np.random.Generator) -> Floats:
    """Rate what was visited: add noise, round to the steps of the scale."""
    unit = expected[visits.users, visits.items] + normal(rng, visits.users.shape, NOISE)
    steps = ((unit / UNIT + MEAN) / scale.unit + scale.centre - scale.low) / scale.step
    last = round((scale.high - scale.low) / scale.step)
    stars: Floats = scale.low + scale.step * np.clip(np.floor(steps + 0.5), 0, last)
    return stars
