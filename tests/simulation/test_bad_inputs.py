# SPDX-License-Identifier: Apache-2.0
"""Every bad input ends in one `error:` that names the place, one `hint:`, and exit code 10."""

import gzip
import json
import re

import pytest

from privet import main
from shared.errors import DataError
from simulation.layouts import load
from tests.simulation.made import (
    AMAZON_2014,
    AMAZON_2018,
    AMAZON_2023,
    GENERIC,
    ML_1M,
    ML_100K,
    ML_LATEST,
    write_folder,
    write_reviews,
)

HEAD = "user_id,item_id,rating,timestamp,comment,helpful\n"
GOOD = "ann,tea,5,100,,\n"
SECRET = "7531"


def refused(folder):
    """Return the message of the refusal; it has a hint and never the private value."""
    with pytest.raises(DataError) as wrong:
        load(str(folder))
    assert wrong.value.exit_code == 10
    assert wrong.value.hint
    assert SECRET not in wrong.value.message + wrong.value.hint
    return wrong.value.message


@pytest.mark.parametrize(
    ("row", "column", "got"),
    [
        (f"bob,tea,{SECRET},1,,\n", "rating", "got a number above the scale"),
        (f"bob,tea,-{SECRET},1,,\n", "rating", "got a number below the scale"),
        (f"bob,tea,2.{SECRET},1,,\n", "rating", "got a number between the steps"),
        (f"bob,tea,x{SECRET},1,,\n", "rating", "got text"),
        ("bob,tea,NaN,1,,\n", "rating", "got NaN"),
        ("bob,tea,inf,1,,\n", "rating", "got a number above the scale"),
        ("bob,tea,,1,,\n", "rating", "got nothing"),
        (",tea,5,1,,\n", "user_id", "got nothing"),
        ('"  ",tea,5,1,,\n', "user_id", "got nothing"),
        ("bob,,5,1,,\n", "item_id", "got nothing"),
        ("bob,\x07,5,1,,\n", "item_id", "got "),
        (f"bob,tea,5,t{SECRET},,\n", "timestamp", "got text"),
        ("bob,tea,5,NaN,,\n", "timestamp", "got NaN"),
        (f"bob,tea,5,{SECRET}e99,,\n", "timestamp", "got a number out of range"),
        (f"bob,tea,5,1,,v{SECRET}\n", "helpful", "got text"),
        ("bob,tea,5,1,,nan\n", "helpful", "got NaN"),
    ],
)
def test_bad_value_names_file_line_column_and_kind(tmp_path, row, column, got):
    write_folder(tmp_path, {"interactions.csv": HEAD + GOOD + row})
    message = refused(tmp_path)
    assert f"interactions.csv line 3 column {column} must be" in message
    assert got in message


@pytest.mark.parametrize("extra", ["bob,tea,5\n", f"bob,tea,5,1,{SECRET},,\n"])
def test_row_of_another_length_names_file_and_line(tmp_path, extra):
    write_folder(tmp_path, {"interactions.csv": HEAD + GOOD + extra})
    assert "interactions.csv line 3 must be 6 fields" in refused(tmp_path)


def test_line_is_counted_across_a_comment_of_two_lines(tmp_path):
    write_folder(tmp_path, {"interactions.csv": HEAD + 'ann,tea,5,1,"a\nb",\nbob,tea,9,1,,\n'})
    assert "line 4 column rating" in refused(tmp_path)


def test_open_quote_names_file_and_line(tmp_path):
    write_folder(tmp_path, {"interactions.csv": HEAD + GOOD + f'bob,tea,5,1,"{SECRET}\n'})
    assert "interactions.csv line 3 must be well-formed CSV" in refused(tmp_path)


@pytest.mark.parametrize("name", ["user_id", "item_id", "rating"])
def test_missing_column_is_named(tmp_path, name):
    text = GENERIC["interactions.csv"].replace(name, "other")
    message = refused(write_folder(tmp_path, {"interactions.csv": text}))
    assert f"interactions.csv must have a column {name}, got " in message
    assert "other" in message


def test_one_user_is_refused(tmp_path):
    write_folder(tmp_path, {"interactions.csv": HEAD + GOOD + "ann,jam,3,1,,\n"})
    assert "at least 2 users, got 1" in refused(tmp_path)


@pytest.mark.parametrize(("text", "words"), [("", "header"), (HEAD, "must hold ratings")])
def test_empty_table_is_refused(tmp_path, text, words):
    assert words in refused(write_folder(tmp_path, {"interactions.csv": text}))


def test_wrong_bytes_name_file_and_line(tmp_path):
    write_folder(tmp_path, GENERIC)
    with (tmp_path / "interactions.csv").open("ab") as file:
        file.write(b"zoe,t\xff\xfea,5,1,,\n")
    assert "interactions.csv line 5 must be UTF-8 text" in refused(tmp_path)


def test_comment_of_ten_megabytes_is_cut_and_counted(tmp_path):
    text = HEAD + GOOD + f"bob,tea,4,1,{'tea ' * (10 << 18)},\n"
    told = load(str(write_folder(tmp_path, {"interactions.csv": text})))
    assert len(told.interactions.comments[1]) <= 10_000
    assert told.cleaning.counts["length"] == 1


def test_field_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.listing.reading.LARGEST_FIELD", 1000)
    write_folder(tmp_path, {"interactions.csv": HEAD + GOOD + f"bob,tea,4,1,{'t' * 1001},\n"})
    assert "interactions.csv line 3 must be well-formed CSV" in refused(tmp_path)


def test_folder_in_place_of_a_file_is_refused(tmp_path):
    write_folder(tmp_path, ML_LATEST)
    (tmp_path / "ratings.csv").rename(tmp_path / "old")
    (tmp_path / "ratings.csv").mkdir()
    assert "known layout" in refused(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("items.csv", "item_id,title\ntea,Tea\n,Nothing\n", "items.csv line 3 column item_id"),
        ("items.csv", "title\nTea\n", "items.csv must have a column item_id"),
        ("comments.csv", f"item_id,text,helpful\ntea,t,{SECRET}x\n", "line 2 column helpful"),
        ("comments.csv", "item_id\ntea\n", "comments.csv must have a column text"),
        ("comment_events.csv", f"user_id,item_id,interested\nann,tea,{SECRET}\n",
         "line 2 column interested must be 0 or 1"),
        ("comment_events.csv", f"user_id,item_id,interested,opened\nann,tea,1,{SECRET}\n",
         "line 2 column opened must be a row of comments.csv"),
        ("comment_events.csv", "user_id,item_id,interested,opened\nann,tea,1,-2\n",
         "line 2 column opened must be a row of comments.csv"),
        ("comment_events.csv", "user_id,item_id,interested,timestamp\nann,tea,1,noon\n",
         "line 2 column timestamp"),
        ("users.csv", "name\nann\n", "users.csv must have a column user_id"),
    ],
)  # fmt: skip
def test_other_tables_name_file_line_and_column(tmp_path, file, text, words):
    assert words in refused(write_folder(tmp_path, GENERIC | {file: text}))


@pytest.mark.parametrize("value", [f"{SECRET}x", "nan", "inf"])
def test_bad_number_of_an_item_is_named(tmp_path, value):
    files = {
        "items.csv": f"item_id,price\ntea,{value}\n",
        "dataset.toml": "[numbers.price]\nlow = 0\nhigh = 9\n",
    }
    assert "items.csv line 2 column price" in refused(write_folder(tmp_path, GENERIC | files))


def test_declared_number_without_its_column_is_named(tmp_path):
    files = {
        "items.csv": "item_id\ntea\n",
        "dataset.toml": "[numbers.price]\nlow = 0\nhigh = 9\n",
    }
    assert "must have a column price" in refused(write_folder(tmp_path, GENERIC | files))


def test_bad_date_is_named(tmp_path):
    text = f"user_id,item_id,rating,date\nann,tea,5,{SECRET}/1\n"
    assert "line 2 column date" in refused(write_folder(tmp_path, {"interactions.csv": text}))


# --- the other layouts


@pytest.mark.parametrize(
    ("files", "change", "words"),
    [
        (ML_100K, {"u.data": f"1\t1\t{SECRET}\t1\n"}, "u.data line 1 column rating"),
        (ML_100K, {"u.data": "1\t1\t5\n"}, "u.data line 1 must be 4 fields, got 3"),
        (ML_100K, {"u.item": "1|Tea\n"}, "u.item line 1 must be 8 fields, got 2"),
        (ML_100K, {"u.item": "|Tea||||1|0|0\n"}, "u.item line 1 must be an item's id"),
        (ML_1M, {"ratings.dat": f"1::7::{SECRET}::1\n"}, "ratings.dat line 1 column rating"),
        (ML_1M, {"movies.dat": "::Tea::Drama\n"}, "movies.dat line 1 must be an item's id"),
        (ML_LATEST, {"ratings.csv": f"userId,movieId,rating,timestamp\n1,7,{SECRET},1\n"},
         "ratings.csv line 2 column rating"),
        (ML_LATEST, {"ratings.csv": "userId,movieId,rating,timestamp\n,7,4,1\n"},
         "ratings.csv line 2 column userId"),
        (ML_LATEST, {"movies.csv": "movieId,title,genres\n,Tea,Drama\n"},
         "movies.csv line 2 column movieId"),
        (ML_LATEST, {"tags.csv": "userId,movieId\n1,7\n"}, "tags.csv must have a column tag"),
    ],
)  # fmt: skip
def test_movielens_names_file_line_and_column(tmp_path, files, change, words):
    assert words in refused(write_folder(tmp_path, files | change, "latin-1"))


@pytest.mark.parametrize(
    ("review", "change", "column"),
    [
        (AMAZON_2014[1], {"overall": int(SECRET)}, "overall"),
        (AMAZON_2014[1], {"overall": None}, "overall"),
        (AMAZON_2014[1], {"reviewerID": ""}, "reviewerID"),
        (AMAZON_2014[1], {"reviewerID": ["x"]}, "reviewerID"),
        (AMAZON_2014[1], {"unixReviewTime": f"x{SECRET}"}, "unixReviewTime"),
        (AMAZON_2014[1], {"helpful": ["x", 1]}, "helpful"),
        (AMAZON_2018[0], {"vote": f"x{SECRET}"}, "vote"),
        (AMAZON_2023[0], {"timestamp": f"x{SECRET}"}, "timestamp"),
        (AMAZON_2023[0], {"timestamp": [1]}, "timestamp"),
        (AMAZON_2023[0], {"rating": "NaN"}, "rating"),
        (AMAZON_2023[0], {"parent_asin": "", "asin": None}, "parent_asin"),
    ],
)
def test_amazon_names_file_line_and_its_own_column(tmp_path, review, change, column):
    folder = write_reviews(tmp_path / "r.jsonl", [review, review | change])
    assert f"r.jsonl line 2 column {column} must be" in refused(folder)


def test_amazon_line_that_is_no_object_is_named(tmp_path):
    folder = write_reviews(tmp_path / "r.json", AMAZON_2014)
    with (folder / "r.json").open("a") as file:
        file.write(f"[{SECRET}]\n")
    assert "r.json line 3 must be one JSON object" in refused(folder)


def test_damaged_gz_is_named(tmp_path):
    raw = gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in AMAZON_2014 * 2000))
    (tmp_path / "r.json.gz").write_bytes(raw[:-20])
    assert re.search(r"r\.json\.gz line \d+ must be readable gzip", refused(tmp_path))


# --- through the front door


@pytest.mark.parametrize("command", [["data", "inspect"], ["simulate"]])
def test_command_prints_one_error_and_one_hint(tmp_path, capsys, command):
    write_folder(tmp_path, {"interactions.csv": HEAD + GOOD + f"bob,tea,{SECRET},1,,\n"})
    assert main([*command, str(tmp_path)]) == 10
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("error: ") == shown.err.count("hint: ") == 1
    assert "Traceback" not in shown.err
    assert SECRET not in shown.err
