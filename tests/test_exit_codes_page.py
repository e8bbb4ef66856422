# SPDX-License-Identifier: Apache-2.0
"""The page of exit codes lists every code that the error tree can give, and no other."""

import re
from pathlib import Path

from shared import errors

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "exit-codes.md"


def _tree(root):
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def test_exit_codes_page_is_complete():
    codes = {0, 130, *(error.exit_code for error in _tree(errors.PrivetError))}
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text("utf-8"), re.M)}
    assert listed == codes


def test_exit_codes_page_names_every_type_of_the_tree():
    text = PAGE.read_text("utf-8")
    own = [e for e in _tree(errors.PrivetError) if e.__module__ == errors.__name__]
    assert [e.__name__ for e in own[1:] if f"`{e.__name__}`" not in text] == []
