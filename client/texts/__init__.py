# SPDX-License-Identifier: Apache-2.0
"""What the device says to its owner, in one table a language, each a TOML file beside this one.

A sentence is a key and placeholders; a sentence that counts is two entries, `key.one` and
`key.many`. Values are put in as they are: the page escapes the finished sentence. A new language
is a new file with the same keys (a test compares them), and nothing else.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

DEFAULT = "en"
"""Language of an owner who asks for none that is here."""
_FOLDER = Path(__file__).parent


class Texts:
    """The table of one language."""

    def __init__(self, language: str, table: Mapping[str, str]) -> None:
        self.language = language
        self._table = table

    def __call__(self, key: str, **values: object) -> str:
        """Return a sentence with its values.

        Example:
            >>> texts("en")("data.page", page=1, pages=3)
            'Page 1 of 3'
        """
        return self._table[key].format(**values)

    def count(self, key: str, number: int, **values: object) -> str:
        """Return a sentence about a number of things.

        Example:
            >>> texts("en").count("count.ratings", 1), texts("en").count("count.ratings", 1284)
            ('1 rating', '1 284 ratings')
        """
        form = "one" if number == 1 else "many"
        return self(f"{key}.{form}", number=grouped(number), **values)

    def __contains__(self, key: str) -> bool:
        return key in self._table


def grouped(number: int) -> str:
    """Spell a whole number with thin groups.

    Example:
        >>> grouped(1284)
        '1 284'
    """
    return f"{number:,}".replace(",", " ")


def languages() -> tuple[str, ...]:
    """Name the languages that are here."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))


@cache
def texts(language: str) -> Texts:
    """Read the table of one language, one of `languages()`."""
    nested = tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))
    return Texts(
        language, {f"{part}.{key}": v for part, row in nested.items() for key, v in row.items()}
    )


def best_language(accepted: str) -> str:
    """Choose a language from an Accept-Language header, in the order in which it names them.

    Example:
        >>> best_language("xx-YY, en;q=.8"), best_language("")
        ('en', 'en')
    """
    for part in accepted.split(","):
        name = part.partition(";")[0].strip().lower().partition("-")[0]
        if name in languages():
            return name
    return DEFAULT
