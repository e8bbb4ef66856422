# SPDX-License-Identifier: Apache-2.0
"""Every layout, on folders made up here; the public data sets where PRIVET_DATA_DIR has them."""

import numpy as np
import pytest

from shared.errors import DataError
from shared.listing.declaration import ASSUMED_SCALE
from shared.listing.reading import text_lines
from simulation.layouts import LAYOUTS, find_layout, load
from simulation.layouts.assembly import ID_SET_PUBLIC, canonical_rows, natural_order
from tests.simulation.made import (
    AMAZON_2014,
    AMAZON_2018,
    AMAZON_2023,
    GENERIC,
    ML_1M,
    ML_100K,
    ML_LATEST,
    events,
    real,
    write_folder,
    write_reviews,
)


def triples(data):
    """List (user, item, stars) by name, in canonical order."""
    rows = data.interactions
    return [
        (data.users[u], data.items.ids[i], r)
        for u, i, r in zip(rows.users, rows.items, rows.ratings, strict=True)
    ]


# --- MovieLens 100K


@pytest.fixture
def ml_100k(tmp_path):
    return load(str(write_folder(tmp_path, ML_100K, "latin-1")))


def test_ml_100k_sorts_users_as_numbers_and_their_events_by_time(ml_100k):
    assert triples(ml_100k) == [
        ("2", "3", 1.0), ("2", "1", 5.0), ("10", "2", 3.0), ("10", "1", 4.0)
    ]  # fmt: skip


def test_ml_100k_reads_titles_years_and_genres(ml_100k):
    items = ml_100k.items
    assert items.titles == ("Tea for Bob (1991)", "Café (1994)", "")
    assert items.years[:2].tolist() == [1991, 1994]
    assert np.isnan(items.years[2])
    assert items.categories == (("Drama", "Farce"), ("Drama",), ())


def test_ml_100k_reads_attributes_without_post_codes(ml_100k):
    assert ml_100k.attributes == {
        "age": ("30", "41"), "gender": ("F", "M"), "occupation": ("baker", "miller")
    }  # fmt: skip


def test_ml_100k_folds_name_rows_of_the_interactions(ml_100k):
    assert list(ml_100k.folds) == ["u1"]
    train, test = ml_100k.folds["u1"]
    assert train.tolist() == [1, 2]
    assert test.tolist() == [0, 3]


def test_ml_100k_knows_its_folds_without_reading_them(tmp_path):
    data = load(str(write_folder(tmp_path, ML_100K, "latin-1")))
    (tmp_path / "u1.base").unlink()
    assert "u1" in data.folds
    assert "u2" not in data.folds
    with pytest.raises(DataError, match=r"u1\.base"):
        data.folds["u1"]
    with pytest.raises(KeyError):
        data.folds["u2"]


def test_ml_100k_fold_refuses_a_pair_that_is_not_in_the_ratings(tmp_path):
    write_folder(tmp_path, ML_100K | {"u1.test": "2\t2\t5\t1\n"}, "latin-1")
    with pytest.raises(DataError, match=r"u1\.test must name pairs of u\.data"):
        load(str(tmp_path)).folds["u1"]


def test_ml_100k_takes_descriptions_from_an_items_file_beside_it(tmp_path):
    write_folder(tmp_path, ML_100K, "latin-1")
    write_folder(tmp_path / "std", {"items.csv": "item_id,description\n1,About tea.\n"})
    assert load(str(tmp_path)).items.descriptions == ("About tea.", "", "")


@pytest.mark.parametrize("name", ["u.item", "u.genre"])
def test_ml_100k_names_the_file_that_is_missing(tmp_path, name):
    write_folder(tmp_path, ML_100K, "latin-1")
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=name):
        load(str(tmp_path))


def test_ml_100k_reads_the_public_data():
    data = load(str(real("ml-100k")))
    assert (len(data.users), len(data.items), len(data.interactions)) == (943, 1682, 100_000)
    train, test = data.folds["u1"]
    assert (len(train), len(test), len(np.intersect1d(train, test))) == (80_000, 20_000, 0)
    assert not data.comments_declared


# --- MovieLens 1M and latest


def test_ml_1m_reads_ratings_films_and_people(tmp_path):
    data = load(str(write_folder(tmp_path, ML_1M, "latin-1")))
    assert triples(data) == [("1", "8", 3.0), ("1", "7", 5.0), ("2", "7", 1.0)]
    assert data.items.titles == ("Tea: The Film (2001)", "Café (1930)", "Unseen")
    assert data.items.categories == (("Drama", "Farce"), ("Drama",), ())
    assert data.attributes == {
        "gender": ("F", "M"), "age": ("25", "56"), "occupation": ("3", "7")
    }  # fmt: skip


def test_ml_latest_reads_half_stars_and_joins_tags_as_a_comment(tmp_path):
    data = load(str(write_folder(tmp_path, ML_LATEST)))
    assert data.scale.step == 0.5
    assert triples(data) == [("1", "8", 0.5), ("1", "7", 4.5), ("2", "7", 3.0)]
    assert data.interactions.comments.tolist() == ["", "slow, warm", ""]
    assert not data.comments_declared
    assert data.cleaning.counts["unrated-comment"] == 1


def test_ml_latest_without_tags_has_no_comments(tmp_path):
    files = {name: text for name, text in ML_LATEST.items() if name != "tags.csv"}
    data = load(str(write_folder(tmp_path, files)))
    assert not any(data.interactions.comments)


def test_ml_latest_reads_the_public_data():
    data = load(str(real("ml-latest-small")))
    assert (len(data.users), len(data.interactions)) == (610, 100_836)


# --- Amazon reviews


@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.json.gz", "r.jsonl.gz"])
def test_amazon_2014_joins_summary_and_text_plain_or_gz(tmp_path, name):
    data = load(str(write_reviews(tmp_path / name, AMAZON_2014)))
    assert triples(data) == [("ann", "B1", 5.0), ("bob", "B2", 1.0)]
    assert data.interactions.comments.tolist() == ["Good. Strings & all.", "Broke!"]
    assert data.interactions.helpful.tolist() == [2, 0]
    assert data.interactions.timestamps.tolist() == [86400, 172800]
    assert data.comments_declared
    assert ID_SET_PUBLIC in data.warnings


def test_amazon_2018_reads_votes_with_a_comma(tmp_path):
    data = load(str(write_reviews(tmp_path / "r.json.gz", AMAZON_2018)))
    assert data.interactions.helpful[0] == 1204
    assert np.isnan(data.interactions.helpful[1])


def test_amazon_2023_reads_milliseconds_and_the_parent_product(tmp_path):
    data = load(str(write_reviews(tmp_path / "r.jsonl", AMAZON_2023)))
    assert triples(data) == [("ann", "B1", 5.0), ("bob", "B2", 3.0)]
    assert data.interactions.timestamps.tolist() == [86400, 1]
    assert data.interactions.comments.tolist() == ["Fine. It plays.", ""]


def test_amazon_takes_titles_from_an_items_file(tmp_path):
    write_folder(tmp_path, {"items.csv": "item_id,title\nB2,A drum\nB1,A lute\n"})
    data = load(str(write_reviews(tmp_path / "r.json", AMAZON_2014)))
    assert data.items.titles == ("A drum", "A lute")
    assert data.warnings == ()


def test_amazon_is_not_seen_in_json_that_is_no_review(tmp_path):
    write_folder(tmp_path, {"a.json": '{"name": 1}\n', "b.json": "[" * 100_000, "c.json": ""})
    with pytest.raises(DataError, match="known layout"):
        load(str(tmp_path))


def test_amazon_reads_the_public_data():
    data = load(str(real("amazon-musical-instruments-5core-2014")))
    assert (len(data.users), len(data.items), len(data.interactions)) == (1429, 900, 10_261)


# --- generic


def test_generic_without_items_warns_that_the_id_set_is_public(tmp_path):
    data = load(str(write_folder(tmp_path, GENERIC)))
    assert data.items.ids == ("jam", "tea")
    assert set(data.warnings) == {ID_SET_PUBLIC, ASSUMED_SCALE}
    assert not data.comments_declared
    assert data.interactions.comments.tolist() == ["A warm cup.", "", ""]


def test_generic_reads_items_and_declaration(tmp_path):
    write_folder(
        tmp_path,
        GENERIC
        | {
            "items.csv": "item_id,title,genres,year,price\ntea,Tea,Hot|Drink,1990,3\n"
            "cup,Cup,,,999\n",
            "dataset.toml": 'name = "kitchen"\ncomments = true\n[scale]\nlow = 0\nhigh = 10\n'
            "[numbers.price]\nlow = 0\nhigh = 50\n",
        },
    )
    data = load(str(tmp_path))
    assert data.name == "kitchen"
    assert data.comments_declared
    assert (data.scale.low, data.scale.high, data.scale.step) == (0, 10, 1)
    assert data.items.ids == ("tea", "cup", "jam")
    assert data.items.categories[0] == ("Hot", "Drink")
    assert data.items.numbers["price"].tolist()[:2] == [3, 50]
    assert data.cleaning.counts["unlisted-item"] == 1
    assert data.cleaning.counts["winsorise"] == 1
    assert data.warnings == ()


def test_generic_reads_std_alone_as_itself(tmp_path):
    write_folder(tmp_path / "std", GENERIC)
    assert len(load(str(tmp_path)).interactions) == 3


def test_generic_dates_stand_in_for_time_stamps(tmp_path):
    text = (
        "user_id,item_id,rating,date\na,x,1,1970-01-02\nb,x,1,\nb,y,1,1970-01-01T02:00:00+01:00\n"
    )
    data = load(str(write_folder(tmp_path, {"interactions.csv": text})))
    assert data.interactions.timestamps.tolist() == [86400, 0, 3600]


def test_generic_summary_goes_before_the_comment(tmp_path):
    text = "user_id,item_id,rating,summary,comment\na,x,1,Short,Long.\nb,x,1,So!,More.\n"
    data = load(str(write_folder(tmp_path, {"interactions.csv": text})))
    assert data.interactions.comments.tolist() == ["Short. Long.", "So! More."]


def test_generic_opened_follows_its_comment_when_others_are_left_out(tmp_path):
    write_folder(
        tmp_path,
        GENERIC
        | {
            "comments.csv": "item_id,text,user_id,helpful\nnone,Lost.,,\n tea ,Kept.,ann,4\n",
            "comment_events.csv": "user_id,item_id,interested,opened,timestamp\n"
            "bob,tea,1,1,5\n bob ,jam,0,,\nann,tea,1,0,6\nzoe,tea,1,1,7\n",
        },
    )
    data = load(str(tmp_path))
    assert data.public_comments is not None
    assert data.public_comments.texts == ("Kept.",)
    assert data.public_comments.authors.tolist() == [data.users.index("ann")]
    assert data.comment_events is not None
    assert data.comment_events.opened.tolist() == [0, -1, -1]
    assert data.cleaning.counts["unrated-comment"] == 2


def test_generic_attributes_are_empty_where_unknown(tmp_path):
    write_folder(tmp_path, GENERIC | {"users.csv": "user_id,town\nbob,Ely\nzoe,Ayr\n"})
    assert load(str(tmp_path)).attributes == {"town": ("", "Ely")}


def test_generic_users_file_of_one_column_adds_nothing(tmp_path):
    write_folder(tmp_path, GENERIC | {"users.csv": 'user_id\nbob\n""\n'})
    assert load(str(tmp_path)).attributes == {}


def test_generic_reads_a_byte_order_mark_and_quoted_line_ends(tmp_path):
    text = '\ufeffuser_id,item_id,rating,comment\r\na,x,1,"two\nlines"\r\nb,x,2,\r\n'
    data = load(str(write_folder(tmp_path, {"interactions.csv": text})))
    assert data.interactions.comments.tolist() == ["two lines", ""]


def test_generic_reads_the_public_data():
    data = load(str(real("douban-dmr")))
    assert (len(data.users), len(data.interactions)) == (22, 728)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "UTF-8 TOML"),
        ("stars = 5", "got stars"),
        ("comments = 1", "got comments"),
        ("[scale]\nlow = 1", "low, high, step"),
        ("[scale]\nlow = 5\nhigh = 1", "low < high"),
        ("[scale]\nlow = 1\nhigh = inf", "finite"),
        ("[numbers]\nprice = 3", "numbers.price"),
    ],
)
def test_declaration_refuses_what_it_does_not_know(tmp_path, text, words):
    write_folder(tmp_path, GENERIC | {"dataset.toml": text})
    with pytest.raises(DataError, match=words) as wrong:
        load(str(tmp_path))
    assert wrong.value.hint


@pytest.mark.parametrize(
    ("files", "name"), [(ML_100K, "u.user"), (ML_1M, "users.dat")], ids=["100K", "1M"]
)
def test_movielens_without_a_file_of_people_has_no_attributes(tmp_path, files, name):
    kept = {file: text for file, text in files.items() if file != name}
    assert load(str(write_folder(tmp_path, kept, "latin-1"))).attributes == {}


def test_generic_skips_blank_lines(tmp_path):
    text = GENERIC["interactions.csv"].replace("\nbob", "\n\n\nbob") + "\n"
    data = load(str(write_folder(tmp_path, {"interactions.csv": text})))
    assert len(data.interactions) == 3


def test_generic_tables_of_comments_may_be_empty(tmp_path):
    heads = {
        "comments.csv": "item_id,text\n",
        "comment_events.csv": "user_id,item_id,interested\n",
    }
    data = load(str(write_folder(tmp_path, GENERIC | heads)))
    assert data.public_comments is not None
    assert data.comment_events is not None
    assert (len(data.public_comments), len(data.comment_events)) == (0, 0)


# --- all layouts


def test_file_that_vanished_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv must exist"):
        list(text_lines(tmp_path / "gone.csv"))


def test_folder_in_place_of_a_file_is_no_readable_file(tmp_path):
    with pytest.raises(DataError, match="must be a readable file"):
        list(text_lines(tmp_path))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.NAME)
def test_layout_says_what_it_is_and_does_not_fit_an_empty_folder(tmp_path, layout):
    assert layout.NAME
    assert layout.FILES
    assert not layout.detect(tmp_path)


def test_find_layout_refuses_an_unknown_folder(tmp_path):
    write_folder(tmp_path, {"notes.txt": "tea"})
    with pytest.raises(DataError, match="known layout") as wrong:
        find_layout(tmp_path)
    assert "privet data list" in wrong.value.hint


def test_load_refuses_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="folder or the word village"):
        load(str(tmp_path / "none"))


def test_load_makes_the_village():
    assert load("village").truth is not None


def test_canonical_rows_keep_the_last_by_time_then_file_order():
    table = events([(0, 3, 1), (0, 3, 2), (0, 2, 3), (1, 3, 4)])
    assert canonical_rows(table, 4).tolist() == [1, 2, 3]
    table.timestamps[:] = [9, 1, 1, 1]
    assert canonical_rows(table, 4).tolist() == [2, 0, 3]


def test_natural_order_is_by_number_only_where_all_are_numbers():
    assert natural_order(["10", "9"]) == ("9", "10")
    assert natural_order(["10", "9", "a"]) == ("10", "9", "a")
