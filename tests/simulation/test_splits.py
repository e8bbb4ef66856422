# SPDX-License-Identifier: Apache-2.0
"""Splits: disjoint, complete, reproducible, and named by the sentence they print."""

import numpy as np
import pytest

from shared.errors import UsageError
from simulation.layouts import load
from simulation.splits import SPLITS, split
from simulation.village import village
from tests.simulation.made import dataset, real


@pytest.fixture(scope="module")
def town():
    return village(120, 90, seed=11)


def pairs(rows, width=10_000):
    """Number the (user, item) pairs."""
    return rows.users * width + rows.items


def parts(done):
    """Return the pairs of training, history and test."""
    return [pairs(part) for part in (done.train, done.history, done.test)]


@pytest.mark.parametrize("name", SPLITS)
def test_parts_are_disjoint_and_complete(town, name):
    together = np.concatenate(parts(split(town, name, 0.2, seed=1)))
    assert len(np.unique(together)) == len(together)
    np.testing.assert_array_equal(np.sort(together), np.sort(pairs(town.interactions)))


@pytest.mark.parametrize("name", SPLITS)
def test_same_seed_gives_the_same_split(town, name):
    one, two = (split(town, name, 0.2, seed=5) for _ in range(2))
    assert one.protocol == two.protocol
    for left, right in zip(parts(one), parts(two), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", ["random", "users", "items"])
def test_another_seed_gives_another_split_and_another_sentence(town, name):
    one, two = (split(town, name, 0.2, seed=seed) for seed in (1, 2))
    assert not np.array_equal(pairs(one.test), pairs(two.test))
    assert one.protocol != two.protocol


@pytest.mark.parametrize("name", [name for name in SPLITS if name != "one-random"])
def test_rows_stay_in_canonical_order(town, name):
    done = split(town, name, 0.2)
    for rows in (done.train, done.test, done.history, done.known):
        assert (np.lexsort((rows.timestamps, rows.users)) == np.arange(len(rows))).all()


@pytest.mark.parametrize("name", SPLITS)
def test_known_is_all_but_the_test_rows(town, name):
    done = split(town, name, 0.2)
    assert len(done.known) == len(town.interactions) - len(done.test)
    assert not np.isin(pairs(done.test), pairs(done.known)).any()


# --- random


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_random_holds_out_the_fraction_of_each_user(town, fraction):
    done = split(town, "random", fraction)
    total = np.bincount(town.interactions.users)
    held = np.bincount(done.test.users, minlength=len(total))
    assert (np.abs(held - fraction * total) < 1).all()
    assert held.sum() / total.sum() == pytest.approx(fraction, abs=0.02)


def test_random_always_leaves_each_user_one_rating(town):
    done = split(town, "random", 0.99)
    assert len(np.unique(done.train.users)) == len(town.users)


def test_random_has_no_history(town):
    assert len(split(town, "random").history) == 0


# --- leave-one-out


def test_leave_one_out_takes_the_last_by_time():
    data = dataset([(0, 3, 1), (0, 1, 2), (0, 2, 3), (1, 0, 4), (1, 2, 5), (2, 1, 1)], 3, 4)
    done = split(data, "leave-one-out")
    assert pairs(done.test).tolist() == [2, 10_002]


def test_leave_one_out_lets_users_of_one_rating_train():
    data = dataset([(0, 3, 1), (0, 1, 2), (2, 1, 1)], 3, 4)
    done = split(data, "leave-one-out")
    assert 2 in done.train.users
    assert done.test.users.tolist() == [0]


def test_leave_one_out_needs_no_seed(town):
    one, two = (split(town, "leave-one-out", seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(pairs(one.test), pairs(two.test))
    assert one.protocol == two.protocol


# --- users and items


def test_users_are_wholly_outside_the_federation(town):
    done = split(town, "users", 0.25)
    away = np.unique(done.test.users)
    assert len(away) == 30
    assert not np.isin(away, done.train.users).any()
    assert set(done.history.users) <= set(away)


def test_users_later_half_is_predicted_from_the_earlier(town):
    done = split(town, "users", 0.25)
    for user in np.unique(done.history.users):
        early = done.history.timestamps[done.history.users == user]
        late = done.test.timestamps[done.test.users == user]
        assert early.max() <= late.min()
        assert len(late) - len(early) in (0, 1)


def test_items_are_unseen_in_training(town):
    done = split(town, "items", 0.2)
    assert not np.isin(done.test.items, done.train.items).any()
    every = np.unique(town.interactions.items)
    assert set(every) == set(done.test.items) | set(done.train.items)


# --- protocols and refusals


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("random", "random 20% of each user's ratings, seed 3"),
        ("leave-one-out", "each user's last rating by time stamp"),
        ("users", "20% of users outside the federation"),
        ("items", "all ratings of 20% of items, unseen in training, seed 3"),
    ],
)
def test_protocol_says_what_was_held_out(town, name, words):
    done = split(town, name, 0.2, seed=3)
    assert done.name == name
    assert words in done.protocol


def test_protocol_does_not_round_the_fraction(town):
    assert "random 12.5% of" in split(town, "random", 0.125).protocol


def test_official_fold_is_taken_as_it_is():
    rows = [(0, 0, 1), (0, 1, 2), (1, 0, 3)]
    data = dataset(rows, 2, 2, folds={"u1": (np.array([0, 2]), np.array([1]))})
    done = split(data, "u1")
    assert done.test.ratings.tolist() == [2]
    assert done.protocol == "official fold u1 of made"


def test_official_folds_of_ml_100k_share_no_test_row():
    data = load(str(real("ml-100k")))
    tests = [pairs(split(data, f"u{fold}").test) for fold in range(1, 6)]
    assert len(np.unique(np.concatenate(tests))) == 100_000


def test_unknown_fold_is_refused_with_the_names_there_are(town):
    with pytest.raises(
        UsageError, match="random, leave-one-out, one-random, users, items"
    ) as wrong:
        split(town, "u1")
    assert "official folds" in wrong.value.hint


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fraction_outside_0_and_1_is_refused(town, fraction):
    with pytest.raises(UsageError, match="--test-fraction"):
        split(town, "random", fraction)


@pytest.mark.parametrize("name", ["random", "leave-one-out"])
def test_split_that_leaves_nothing_is_refused(name):
    data = dataset([(0, 0, 1), (1, 1, 2)], 2, 2)
    with pytest.raises(UsageError, match="ratings to learn from and to predict"):
        split(data, name)


def test_one_random_holds_out_one_rating_and_forgets_the_order(town):
    done = split(town, "one-random", seed=2)
    counts = np.bincount(town.interactions.users)
    np.testing.assert_array_equal(np.bincount(done.test.users, minlength=120), counts > 1)
    known = done.known
    assert (np.diff(known.users) >= 0).all()
    same_user = np.diff(known.users) == 0
    later = np.diff(known.timestamps)[same_user] > 0
    assert 0.4 < later.mean() < 0.6
    places = [np.mean(np.sort(pairs(town.interactions.take(town.interactions.users == u)).tolist())
                      <= pairs(done.test.take(done.test.users == u)))
              for u in range(120) if counts[u] > 1]  # fmt: skip
    assert 0.4 < np.mean(places) < 0.6
    assert "random order" in done.protocol
