# SPDX-License-Identifier: Apache-2.0
"""The texts of the village: titles, descriptions, comments, all put together from one word table.

The number of distinct texts is bounded whatever the number of users: a comment is one of a few
hundred sentences about an aspect (a category or a theme), so that encoding them takes seconds.
"""

from collections.abc import Sequence

import numpy as np

from shared.schema import Ints, Items
from simulation.domains import Domain
from simulation.world import Things

MAX_DESCRIPTIONS = 1200
"""Distinct descriptions at most; further items share one with an earlier item."""
LEVELS = 5


def write_items(things: Things, words: Domain, rng: np.random.Generator) -> Items:
    """Write the public catalogue."""
    count = len(things.quality)
    names = tuple(words.categories)
    categories = tuple(tuple(names[g] for g in np.flatnonzero(row)) for row in things.categories)
    picks = rng.integers(0, 1 << 30, size=(count, 6))
    ids = tuple(f"{words.noun}-{row + 1:05d}".replace(" ", "-") for row in range(count))
    written = [
        _description(things, words, row, categories[row], picks[row])
        for row in range(min(count, MAX_DESCRIPTIONS))
    ]
    return Items(
        ids=ids,
        titles=_titles(things, words, picks),
        descriptions=tuple(written[row % MAX_DESCRIPTIONS] for row in range(count)),
        categories=categories,
        years=things.years.astype(np.float64),
        numbers={name: column / 100 for name, column in things.numbers.items()},
    )


def _titles(things: Things, words: Domain, picks: Ints) -> tuple[str, ...]:
    """Write titles that name the main theme; a repeated one gets a number."""
    seen: dict[str, int] = {}
    titles = []
    for row, pick in enumerate(picks):
        nouns = words.themes[things.themes[row, 0]].nouns
        pattern = words.titles[pick[0] % len(words.titles)]
        word = words.title_words[pick[1] % len(words.title_words)]
        title = pattern.format(word=word, noun=nouns[pick[2] % len(nouns)])
        seen[title] = seen.get(title, 0) + 1
        titles.append(title if seen[title] == 1 else f"{title} {seen[title]}")
    return tuple(titles)


def _description(
    things: Things, words: Domain, row: int, categories: Sequence[str], pick: Ints
) -> str:
    """Write what an item is about."""
    kinds = words.categories[categories[pick[3] % len(categories)]]
    about = [
        words.themes[theme].about[choice % len(words.themes[theme].about)]
        for theme, choice in zip(things.themes[row], pick[4:6], strict=True)
    ]
    first = words.description.format(
        word=kinds[pick[2] % len(kinds)], noun=words.noun, first=about[0], second=about[1]
    )
    return words.joiner.join((first, words.places[pick[1] % len(words.places)]))


def write_comments(words: Domain, told: Ints, rng: np.random.Generator) -> list[str]:
    """Write comments.

    Args:
        words: The table of words.
        told: What each says, (n, 3): level of the rating 0..4, aspect, and 1 if liked.
        rng: Chooses the length and the opener.

    Returns:
        n texts: an opener alone, with a sentence on the aspect, or with a closer as well.
    """
    aspects = [name.lower() for name in words.categories] + [t.name for t in words.themes]
    length = rng.choice(3, size=len(told), p=[0.2, 0.5, 0.3])
    opener = rng.integers(0, 1 << 30, size=len(told))
    texts = []
    for (level, aspect, liked), size, pick in zip(told, length, opener, strict=True):
        openers = words.openers[level]
        # Only short comments vary their opener freely: this keeps distinct texts few.
        parts = [openers[(pick if size == 0 else aspect) % len(openers)]]
        if size > 0:
            parts.append((words.liked if liked else words.disliked).format(theme=aspects[aspect]))
        if size > 1:
            parts.append(words.closers[level])
        texts.append(words.joiner.join(parts))
    return texts
