# SPDX-License-Identifier: Apache-2.0
"""Colours have the contrast that WCAG 2.2 asks of text, in the light and in the dark."""

import re
from pathlib import Path

import pytest

import client.page.app as app

STYLE = (app.HERE / "static" / "style.css").read_text("utf-8")
PAIRS = [("ink", "paper"), ("ink", "card"), ("ink", "tint"), ("soft", "paper"), ("soft", "card"),
         ("green", "paper"), ("green", "card"), ("green", "tint"), ("on-green", "green"),
         ("red", "paper"), ("red", "card"), ("on-red", "red")]  # fmt: skip


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


LIGHT = _colours(STYLE.split("@media")[0])
DARK = LIGHT | _colours(STYLE.split("prefers-color-scheme: dark")[1].split("}\n}")[0])


def _luminance(colour: str) -> float:
    """Relative luminance. Source: WCAG 2.2, definition."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), PAIRS)
def test_text_has_contrast(theme, front, back):
    one, two = sorted((_luminance(theme[front]), _luminance(theme[back])))
    assert (two + 0.05) / (one + 0.05) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), [("gold", "card"), ("soft", "card"), ("green", "dim")])
def test_what_is_drawn_has_contrast(theme, front, back):
    one, two = sorted((_luminance(theme[front]), _luminance(theme[back])))
    assert (two + 0.05) / (one + 0.05) >= 3.0


def test_themes_differ():
    assert LIGHT != DARK


def test_nothing_is_loaded_from_elsewhere():
    for file in Path(app.HERE).rglob("*.*"):
        if file.suffix in (".css", ".j2", ".svg"):
            text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://|@import|url\((?!#)", text), file


def test_motion_is_shown_to_those_who_want_it_alone():
    before, after = STYLE.split("prefers-reduced-motion: no-preference")
    assert "transition" not in before
    assert "animation" not in STYLE
    assert "transition" in after
