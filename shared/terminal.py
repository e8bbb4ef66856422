# SPDX-License-Identifier: Apache-2.0
"""What others wrote, as it may be shown on a terminal: titles, purposes and names command nothing.

A terminal obeys control characters wherever they come from, and a title that turns the direction
of writing around can make a sentence say something else. A server chooses titles.
"""

import re

_COMMANDS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    r"""Return a text with what a terminal would obey replaced, new lines apart.

    Example:
        >>> harmless("Hedge\x1b[2J") == "Hedge\ufffd[2J"
        True
    """
    return _COMMANDS.sub("\ufffd", text)


def harmless_json(text: str) -> str:
    """Return JSON of the same value in which nothing is left that a terminal would obey."""
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
