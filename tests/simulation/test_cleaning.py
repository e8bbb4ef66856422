# SPDX-License-Identifier: Apache-2.0
"""The cleaning rules of `shared.schema`, one by one, and that they are counted."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schema import (
    MAX_COMMENT,
    MAX_NAME,
    MAX_VOTES,
    RULES,
    YEARS,
    Scale,
    clean_text,
    known_years,
    rating_kind,
    scale_faults,
    winsorise,
)
from simulation.layouts import load
from tests.simulation.made import GENERIC, write_folder

# --- texts


@pytest.mark.parametrize(
    ("raw", "clean", "rules"),
    [
        ("Tea", "Tea", ()),
        ("", "", ()),
        ("<b>Tea</b> &amp; bar", "Tea & bar", ("html",)),
        ("one<br/>two", "one two", ("html",)),
        ("3 < 4 and 5 > 2", "3 < 4 and 5 > 2", ()),
        ("I <3 tea", "I <3 tea", ()),
        ("tea\x00cup\x1b", "teacup", ("control",)),
        ("tea\t\n  cup", "tea cup", ("control",)),
        ("tea\u202ecup", "teacup", ("control",)),
        ("Cafe\u0301", "Café", ("nfc",)),
        ("\ud800tea", "tea", ("control",)),
        ("x" * (MAX_COMMENT + 1), "x" * MAX_COMMENT, ("length",)),
        ("Kneel &lt; stand", "Kneel < stand", ("html",)),
    ],
)
def test_clean_text_applies_one_rule(raw, clean, rules):
    assert clean_text(raw) == (clean, rules)


def test_clean_text_cuts_names_at_their_own_cap():
    assert clean_text("n" * 600, MAX_NAME) == ("n" * MAX_NAME, ("length",))


def test_clean_text_of_ten_megabytes_is_cut():
    text, rules = clean_text("<i>tea</i> " * (10 << 20 >> 3))
    assert len(text) <= MAX_COMMENT
    assert rules == ("html", "length")


@pytest.mark.parametrize("raw", ["<" * 10**6, "<a" * 10**6, "&" * 10**6, "\u0301" * 10**6])
def test_clean_text_takes_any_ten_megabytes_in_its_stride(raw):
    assert len(clean_text(raw)[0]) <= MAX_COMMENT


@given(st.text())
def test_clean_text_gives_composed_text_without_control_characters(raw):
    text, _ = clean_text(raw)
    assert unicodedata.is_normalized("NFC", text)
    assert not any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text)
    assert text == text.strip()


# --- numbers


def test_winsorise_moves_to_the_public_bounds_and_keeps_unknown():
    values, moved = winsorise(np.array([-1.0, 2.0, 9.0, np.inf, np.nan]), 0, 5)
    np.testing.assert_array_equal(values, [0, 2, 5, 5, np.nan])
    assert moved == 3


def test_known_years_forget_those_outside_the_public_range():
    years, outside = known_years(np.array([YEARS[0] - 1, YEARS[0], YEARS[1] + 1, np.nan]))
    np.testing.assert_array_equal(years, [np.nan, YEARS[0], np.nan, np.nan])
    assert outside == 2


@pytest.mark.parametrize(
    ("rating", "kind"),
    [
        (np.nan, "NaN"),
        (0.5, "a number below the scale"),
        (5.5, "a number above the scale"),
        (np.inf, "a number above the scale"),
        (-np.inf, "a number below the scale"),
        (2.5, "a number between the steps"),
    ],
)
def test_rating_off_the_scale_is_refused_and_described_without_its_value(rating, kind):
    assert scale_faults(np.array([rating]), Scale(1, 5)).all()
    assert rating_kind(rating, Scale(1, 5)) == kind


@pytest.mark.parametrize(
    "scale", [Scale(1, 5), Scale(0.5, 5, 0.5), Scale(0, 1, 0.1), Scale(-10, 10, 0.01)]
)
def test_every_step_of_a_scale_is_on_it(scale):
    count = round((scale.high - scale.low) / scale.step)
    assert not scale_faults(scale.low + scale.step * np.arange(count + 1), scale).any()


def test_step_of_zero_takes_any_number_between_the_ends():
    assert scale_faults(np.array([1.234, 5.01]), Scale(1, 5, 0)).tolist() == [False, True]


@given(st.floats(-100, 100), st.floats(0.1, 100), st.floats(0, 1))
def test_unit_scale_and_back_is_the_identity(low, width, share):
    scale = Scale(low, low + width)
    rating = low + share * width
    assert scale.from_unit(scale.to_unit(rating)) == pytest.approx(rating, abs=1e-9)
    assert scale.to_unit(scale.high) - scale.to_unit(scale.low) == pytest.approx(4)


# --- counts in the report

CELL = "user_id,item_id,rating,timestamp,comment,helpful\n"


def counts(folder, rows, **files):
    """Return what each rule did to a folder with these rows, other than nothing."""
    texts = {name.replace("_", "."): text for name, text in files.items()}
    told = load(str(write_folder(folder, {"interactions.csv": CELL + rows} | texts)))
    return {name: count for name, count in told.cleaning.counts.items() if count}


@pytest.mark.parametrize(
    ("rows", "fired"),
    [
        ("a,x,1,5,,\nb,x,2,5,,\n", {}),
        ("a,x,1,5,,\nb,x,2,5,,\na,x,3,5,,\na,x,4,5,,\n", {"duplicate": 2}),
        ("a,x,1,5,<b>t</b>,\nb,x,2,5,&lt;3,\n", {"html": 2}),
        ("a,x,1,5,t\x07,\nb,x,2,5,,\n", {"control": 1}),
        ("a,x,1,5,e\u0301,\nb,x,2,5,,\n", {"nfc": 1}),
        (f"a,x,1,5,{'t' * 10_001},\nb,x,2,5,,\n", {"length": 1}),
        (f"a,x,1,5,,{MAX_VOTES + 1}\nb,x,2,5,,-3\n", {"winsorise": 2}),
    ],
)
def test_report_counts_each_rule_that_fired(tmp_path, rows, fired):
    assert counts(tmp_path, rows) == fired


def test_report_counts_missing_texts_years_and_unlisted_items(tmp_path):
    items = "item_id,title,description,year\nx,X,About x.,1700\ny,,,1990\n"
    fired = counts(tmp_path, "a,x,1,5,,\nb,z,2,5,,\n", items_csv=items)
    assert fired == {"missing-text": 2, "year": 1, "unlisted-item": 1}


def test_report_has_every_rule_of_the_table_in_its_order(tmp_path):
    told = load(str(write_folder(tmp_path, GENERIC)))
    assert list(told.cleaning.counts) == [rule.name for rule in RULES]


def test_duplicate_keeps_the_latest_rating(tmp_path):
    rows = "a,x,1,9,,\nb,x,2,5,,\na,x,3,5,,\n"
    told = load(str(write_folder(tmp_path, {"interactions.csv": CELL + rows})))
    assert told.interactions.ratings.tolist() == [1, 2]


def test_ids_that_clean_to_the_same_are_one(tmp_path):
    rows = "a,cafe\u0301,1,9,,\n a ,café,2,10,,\nb,x,2,5,,\n"
    told = load(str(write_folder(tmp_path, {"interactions.csv": CELL + rows})))
    assert told.users == ("a", "b")
    assert told.interactions.ratings.tolist() == [2, 2]
