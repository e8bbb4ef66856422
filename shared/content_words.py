# SPDX-License-Identifier: Apache-2.0
"""Which topics a comment names: hashed content words, learnt from public comments alone.

A sentence vector tells the gist of a comment; the things it names ("tremolo", "capo") tell whom it
will interest. A word counts if it is used in at least ten public comments and in at most a
twentieth of them: rarer words and spellings point to a person, more frequent ones to a way of
writing, and both would recognise the author instead of the interest. Text without such words, or
of a language that does not part words by spaces, gives zero: then sentence vectors rule alone.

Source: Spärck Jones (1972), "A statistical interpretation of term specificity", for the weights;
Weinberger et al. (2009), "Feature Hashing for Large Scale Multitask Learning", for the hash.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.schema import Floats

DIMENSION = 512
"""Coordinates that words are hashed into."""
FEWEST = 10
"""Public comments that must use a word."""
LARGEST_SHARE = 0.05
"""Share of the public comments that may use a word."""
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class ContentWords:
    """The words that count and their weights; public."""

    weights: Mapping[str, float]
    """Inverse document frequency of each word."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return hashed content words of norm 1, (n, 512); zero for a text without any.

        As private as the texts.
        """
        table = np.zeros((len(texts), DIMENSION))
        for row, text in zip(table, texts, strict=True):
            for word, count in Counter(_words(text)).items():
                weight = self.weights.get(word)
                if weight is not None:
                    place, sign = _hash(word)
                    row[place] += sign * weight * (1.0 + math.log(count))
        norms = np.linalg.norm(table, axis=1, keepdims=True)
        return np.asarray(table / np.where(norms > 0, norms, 1.0))


def content_words(texts: Iterable[str]) -> ContentWords:
    """Learn which words count from public comments.

    Args:
        texts: Public comments.

    Example:
        >>> texts = ["the capo holds"] * 10 + ["the strings hold"] * 190
        >>> content_words(texts).weights
        {'capo': 2.995732273553991, 'holds': 2.995732273553991}
    """
    total, used = 0, Counter[str]()
    for text in texts:
        total += 1
        used.update(set(_words(text)))
    return ContentWords(
        {
            word: math.log(total / count)
            for word, count in sorted(used.items())
            if FEWEST <= count <= LARGEST_SHARE * total
        }
    )


def _words(text: str) -> list[str]:
    """Return the words of at least four letters, in lower case."""
    return _WORD.findall(text.lower())


def _hash(word: str) -> tuple[int, float]:
    """Return the coordinate and sign of a word, the same on every machine."""
    code = zlib.crc32(word.encode())
    return code % DIMENSION, 1.0 if code >> 31 else -1.0
