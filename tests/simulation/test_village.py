# SPDX-License-Identifier: Apache-2.0
"""The village: deterministic, bounded in texts, and with tastes that show in all that people do."""

import dataclasses

import numpy as np
import pytest

from shared.errors import UsageError
from shared.schema import scale_faults
from simulation.domains import DOMAINS, domain
from simulation.generic_writer import write
from simulation.village import _shuffle, village


@pytest.fixture(scope="module")
def town():
    return village(seed=3)


@pytest.fixture(scope="module")
def shuffled():
    return village(seed=3, shuffle_tastes=True)


def residuals(data):
    """Stars less quality and each user's mean of that, by interaction."""
    rows = data.interactions
    left = rows.ratings - data.truth.quality[rows.items]
    means = np.bincount(rows.users, left) / np.bincount(rows.users)
    return left - means[rows.users]


def liking(data, users, items):
    """Return the true inner product of taste and traits."""
    return np.einsum("nk,nk->n", data.truth.taste[users], data.truth.traits[items])


# --- the same for the same seed


def test_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, village(60, 50, seed=7))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_another_seed_makes_another_village():
    one, two = village(30, 40, seed=1), village(30, 40, seed=2)
    assert one.items.titles != two.items.titles
    assert one.name != two.name


def test_rows_are_canonical(town):
    rows = town.interactions
    assert (np.lexsort((rows.timestamps, rows.users)) == np.arange(len(rows))).all()
    pairs = rows.users * len(town.items) + rows.items
    assert len(np.unique(pairs)) == len(pairs)


# --- its size and texts


def test_default_has_the_users_and_items_asked_for(town):
    assert (len(town.users), len(town.items)) == (500, 350)
    assert np.bincount(town.interactions.users, minlength=500).min() >= 1


def test_stars_are_on_the_declared_scale(town):
    assert not scale_faults(town.interactions.ratings, town.scale).any()
    assert len(np.unique(town.interactions.ratings)) == 5


def test_distinct_texts_stay_below_2500_however_large_it_is():
    data = village(800, 2500, seed=1)
    texts = {*data.items.descriptions, *data.interactions.comments, *data.public_comments.texts}
    assert len(texts) <= 2500


def test_titles_and_ids_are_distinct(town):
    assert len(set(town.items.titles)) == len(set(town.items.ids)) == 350


def test_years_and_numbers_are_within_public_bounds(town):
    low, high = domain("films").years
    assert ((town.items.years >= low) & (town.items.years <= high)).all()
    for name, (low, high) in town.bounds.items():
        assert ((town.items.numbers[name] >= low) & (town.items.numbers[name] <= high)).all()


def test_cold_users_and_items_exist_and_are_rated_little(town):
    rows = town.interactions
    by_user = np.bincount(rows.users, minlength=len(town.users))
    by_item = np.bincount(rows.items, minlength=len(town.items))
    assert len(town.truth.cold_users) == len(town.users) // 12
    assert by_user[town.truth.cold_users].max() <= 5
    assert by_item[town.truth.cold_items].mean() < by_item.mean() / 4


def test_attributes_are_known_of_everybody(town):
    assert set(town.attributes) == {"age", "region"}
    assert all(len(values) == len(town.users) for values in town.attributes.values())


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_makes_a_village(name):
    data = village(20, 30, seed=0, domain=name)
    assert data.domain == name
    assert not scale_faults(data.interactions.ratings, data.scale).any()


def test_smallest_village_stands():
    data = village(2, 10, seed=0)
    assert len(data.users) == 2


# --- tastes show


def test_stars_follow_taste(town):
    rows = town.interactions
    assert np.corrcoef(residuals(town), liking(town, rows.users, rows.items))[0, 1] > 0.4


def test_stars_follow_the_truth(town):
    rows = town.interactions
    expected = town.truth.stars[rows.users, rows.items]
    error = np.sqrt(np.mean((rows.ratings - expected) ** 2))
    assert error < 0.75 < rows.ratings.std()


def test_people_choose_what_they_like(town):
    rows = town.interactions
    chosen = liking(town, rows.users, rows.items).mean()
    anything = (town.truth.taste @ town.truth.traits.T)[rows.users].mean()
    assert chosen > anything + 0.1


def test_interest_in_comments_follows_taste(town):
    seen = town.comment_events
    felt = liking(town, seen.users, seen.items)
    assert 0.1 < seen.interested.mean() < 0.9
    assert felt[seen.interested == 1].mean() > felt[seen.interested == 0].mean() + 0.1


def test_opened_comment_belongs_to_the_item_and_to_an_interested_reader(town):
    seen, told = town.comment_events, town.public_comments
    rows = np.flatnonzero(seen.opened >= 0)
    assert len(rows) > 100
    np.testing.assert_array_equal(told.items[seen.opened[rows]], seen.items[rows])
    assert (seen.interested[rows] == 1).all()


def test_comments_follow_stars(town):
    rows, words = town.interactions, domain("films")

    def stars(level):
        begins = tuple(words.openers[level])
        return np.array(
            [r for r, c in zip(rows.ratings, rows.comments, strict=True) if c.startswith(begins)]
        )

    assert [set(stars(level)) for level in range(5)] == [{1.0}, {2.0}, {3.0}, {4.0}, {5.0}]


def test_comments_follow_taste(town):
    rows, words = town.interactions, domain("films")
    liked, disliked = (part.split("{theme}")[0] for part in (words.liked, words.disliked))
    left = residuals(town)
    pleased = np.array([liked in text for text in rows.comments])
    displeased = np.array([disliked in text for text in rows.comments])
    assert pleased.sum() > 100
    assert displeased.sum() > 100
    assert left[pleased].mean() > left[displeased].mean() + 0.1


def test_comments_name_no_person(town):
    texts = {*town.interactions.comments, *town.public_comments.texts}
    assert not any("person-" in text for text in texts)


# --- with tastes shuffled


def test_shuffle_keeps_the_likings_of_each_item():
    likes = np.arange(24).reshape(6, 4)
    shuffled = _shuffle(likes, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), likes)
    assert (shuffled != likes).any()


def test_shuffle_keeps_who_rated_what_and_when(town, shuffled):
    for column in ("users", "items", "timestamps"):
        np.testing.assert_array_equal(
            getattr(town.interactions, column), getattr(shuffled.interactions, column)
        )


def test_shuffle_keeps_items_texts_and_truth_of_tastes(town, shuffled):
    assert town.items.descriptions == shuffled.items.descriptions
    np.testing.assert_array_equal(town.truth.taste, shuffled.truth.taste)
    np.testing.assert_array_equal(town.truth.quality, shuffled.truth.quality)


def test_shuffle_keeps_the_mean_of_each_item(town, shuffled):
    one, two = town.truth.stars.mean(axis=0), shuffled.truth.stars.mean(axis=0)
    np.testing.assert_allclose(one, two, atol=0.06)


def test_shuffle_makes_taste_worthless(shuffled):
    rows = shuffled.interactions
    felt = liking(shuffled, rows.users, rows.items)
    assert abs(np.corrcoef(residuals(shuffled), felt)[0, 1]) < 0.06


# --- what is refused


@pytest.mark.parametrize(
    "change", [{"users": 1}, {"items": 9}, {"seed": -1}, {"users": 0}, {"domain": "weather"}]
)
def test_village_refuses_what_makes_none(change):
    with pytest.raises(UsageError) as wrong:
        village(**change)
    assert wrong.value.hint
    assert wrong.value.exit_code == 2


def test_truth_is_frozen(town):
    with pytest.raises(dataclasses.FrozenInstanceError):
        town.truth.quality = None
