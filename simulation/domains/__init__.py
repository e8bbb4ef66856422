# SPDX-License-Identifier: Apache-2.0
"""What the village talks about: one table of words, scale and meaning a domain, as data.

Another domain is another TOML file in this folder; no code knows a domain's name.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UsageError
from shared.schema import Scale

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Number:
    """A numeric column of the catalogue: its public bounds and a typical value."""

    low: float
    high: float
    typical: float


@dataclass(frozen=True)
class Theme:
    """What an item can be about: nouns for titles, half-sentences for descriptions."""

    name: str
    nouns: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """One domain of the village, as its TOML file says it."""

    name: str
    noun: str
    """What an item is called."""
    meaning: str
    """What the rating means."""
    note: str
    """A sentence that must stand beside every recommendation, or ""."""
    target_epsilon: float
    """Default privacy budget of a simulation."""
    scale: Scale
    years: tuple[int, int]
    numbers: Mapping[str, Number]
    categories: Mapping[str, tuple[str, ...]]
    """Category: adjectives of its descriptions."""
    themes: tuple[Theme, ...]
    titles: tuple[str, ...]
    """Patterns of titles, with {word} and {noun}."""
    title_words: tuple[str, ...]
    places: tuple[str, ...]
    """Last sentences of descriptions."""
    description: str
    """Pattern of the first sentence: {word}, {noun}, {first} and {second}."""
    openers: tuple[tuple[str, ...], ...]
    """First sentences of comments, five levels from worst to best."""
    liked: str
    disliked: str
    """What a comment says about {theme}."""
    closers: tuple[str, ...]
    """Last sentences of long comments, five levels."""
    joiner: str
    """What stands between sentences: a space, or nothing in Chinese."""


DOMAINS = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
"""Names of the domains there are."""


def domain(name: str) -> Domain:
    """Read one domain.

    Raises:
        UsageError: There is no such domain.
    """
    if name not in DOMAINS:
        raise UsageError(
            f"--domain must be one of {', '.join(DOMAINS)}, got {name!r}.", hint="try films."
        )
    table = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    low, high = table["years"]
    return Domain(
        name=name,
        noun=table["noun"],
        meaning=table["meaning"],
        note=table.get("note", ""),
        target_epsilon=table["target-epsilon"],
        scale=Scale(**{key: float(value) for key, value in table["scale"].items()}),
        years=(low, high),
        numbers={key: Number(**value) for key, value in table["numbers"].items()},
        categories={key: tuple(words) for key, words in table["categories"].items()},
        themes=tuple(
            Theme(key, tuple(value["nouns"]), tuple(value["about"]))
            for key, value in table["themes"].items()
        ),
        titles=tuple(table["titles"]),
        title_words=tuple(table["title-words"]),
        places=tuple(table["places"]),
        description=table.get("description", "A {word} {noun} about {first}, and about {second}."),
        openers=tuple(tuple(level) for level in table["openers"]),
        liked=table["liked"],
        disliked=table["disliked"],
        closers=tuple(table["closers"]),
        joiner=table.get("joiner", " "),
    )
