# SPDX-License-Identifier: Apache-2.0
"""The tables of texts: the same keys in every language, all of them used, none missing."""

import re
from pathlib import Path
from string import Formatter

import pytest

import client
from client.texts import best_language, languages, texts

CODE = "\n".join(
    file.read_text("utf-8")
    for file in Path(client.__file__).parent.rglob("*")
    if file.suffix in (".py", ".j2")
)
COMPUTED = re.compile(
    r"^(nav|reason|kind|state|custody|erase|date|count)\.|^today\.mix-\d|^refused\."
)


def _fields(sentence):
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_keys_and_fields_of_english(language):
    table, english = texts(language)._table, texts("en")._table
    assert table.keys() == english.keys()
    for key, sentence in table.items():
        assert _fields(sentence) == _fields(english[key]), key


def test_every_text_is_used():
    for key in texts("en")._table:
        name = re.sub(r"\.(one|many)$", "", key)
        assert COMPUTED.match(key) or f'"{name}"' in CODE, key


def test_every_text_in_use_exists():
    table = texts("en")
    for key in re.findall(r'say\("([a-z]+\.[a-z0-9-]+)"[,)]', CODE):
        assert key in table, key
    for key in re.findall(r'say\.count\("([a-z]+\.[a-z0-9-]+)"', CODE):
        assert f"{key}.one" in table, key
        assert f"{key}.many" in table, key


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("en-GB,en;q=0.9", "en"), ("xx", "en"), ("*", "en"), ("../../etc;q=1", "en"),
     (",;,", "en"), ("é", "en"), ("zh-CN,zh;q=0.9", "zh"), ("fr, zh-TW;q=.5, en", "zh")],
)  # fmt: skip
def test_best_language_is_one_that_is_here(accepted, language):
    assert best_language(accepted) == language


def test_values_are_not_read_as_placeholders():
    assert "{title}" in texts("en")("notice.rated", title="{title} {0}")
