# SPDX-License-Identifier: Apache-2.0
"""The evaluation ranks what it says it ranks, and nothing moves its figures but the predictor."""

import dataclasses

import numpy as np
import pytest

from shared import metrics
from shared.schema import Interactions
from simulation import evaluate as module
from simulation.evaluate import NAMES, clustered_se, evaluate
from simulation.splits import Split, split

USERS, ITEMS = 40, 300
KINDS = tuple(("drama",) if item % 2 else ("comedy", "drama") for item in range(ITEMS))


def _rows(users, items, ratings):
    users = np.asarray(users, dtype=np.int64)
    empty = np.full(len(users), "", dtype=object)
    return Interactions(
        users,
        np.asarray(items, dtype=np.int64),
        np.asarray(ratings, dtype=np.float64),
        np.zeros(len(users), dtype=np.int64),
        empty,
        np.full(len(users), np.nan),
    )


def _split(name="leave-one-out", held_out=1, seed=0, users=USERS, items=ITEMS, known=20):
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.permutation(items)[: known + held_out] for _ in range(users)])
    stars = rng.integers(1, 6, drawn.shape).astype(float)
    owner = np.repeat(np.arange(users), known), np.repeat(np.arange(users), held_out)
    return Split(
        name,
        _rows(owner[0], drawn[:, :known].ravel(), stars[:, :known].ravel()),
        _rows(owner[1], drawn[:, known:].ravel(), stars[:, known:].ravel()),
        "each user's last rating",
        _rows([], [], []),
    )


class Table:
    """A predictor that reads its stars and scores from tables."""

    def __init__(self, scores, stars=None):
        self.scores = scores
        self.stars = scores if stars is None else stars

    def rate(self, user, items):
        return self.stars[user, items]

    def score(self, user):
        return self.scores[user]


def _oracle(split, users=USERS, items=ITEMS):
    table = np.zeros((users, items))
    table[split.test.users, split.test.items] = split.test.ratings
    return Table(table)


def _run(predictor, split, **options):
    options = {"items_count": ITEMS, "categories": KINDS, "seed": 3} | options
    return evaluate(predictor, split, **options)


def _noise(seed=1, users=USERS, items=ITEMS):
    return Table(np.random.default_rng(seed).random((users, items)))


@pytest.mark.parametrize("name", ["leave-one-out", "random"])
def test_evaluate_gives_oracle_perfect_figures(name):
    split = _split(name, held_out=1 if name == "leave-one-out" else 4)
    figures = _run(_oracle(split), split)
    lists = ["recall@10", "ndcg@10", "ndcg@10_full", "hr@10", "hr@10_full", "hr@10_rating_only"]
    assert [figures[key] for key in [*lists, "rmse", "mae"]] == [1.0] * 6 + [0.0] * 2


def test_evaluate_returns_every_name():
    assert tuple(_run(_noise(), _split())) == NAMES


def test_evaluate_gives_none_where_nothing_applies():
    figures = _run(_noise(), _split(), ranking=False)
    without = {name for name, value in figures.items() if value is None}
    assert without == set(NAMES) - {"rmse", "rmse_se", "mae", "rmse_cold_item", "protocol"}


def test_evaluate_gives_constant_scores_the_rate_of_chance():
    # 400 users, rate 10 in 100: sd .015, so .06 is a false alarm of 1 in 10,000
    split = _split(users=400)
    figures = _run(Table(np.zeros((400, ITEMS))), split)
    assert figures["hr@10"] == pytest.approx(0.1, abs=0.06)
    assert figures["hr@10_rating_only"] == pytest.approx(0.1, abs=0.06)
    assert figures["hr@10_full"] == pytest.approx(10 / (ITEMS - 20), abs=0.04)


def test_evaluate_does_not_favour_low_rows_when_tied():
    split = _split()
    split = dataclasses.replace(
        split, test=_rows(np.arange(USERS), np.zeros(USERS), split.test.ratings)
    )
    keep = split.train.items != 0
    split = dataclasses.replace(split, train=split.train.take(keep))
    assert _run(Table(np.zeros((USERS, ITEMS))), split)["hr@10_full"] < 0.5


def test_evaluate_never_recommends_known_items():
    split = _split("users")
    split = dataclasses.replace(split, train=_rows([0], [0], [3]), history=split.train)
    known = np.zeros((USERS, ITEMS))
    known[split.history.users, split.history.items] = 9.0
    known[split.test.users, split.test.items] = 5.0
    assert _run(Table(known), split)["hr@10"] == 1.0


def test_evaluate_ranks_all_held_out_rows_against_all_items_when_random():
    split = _split("random", held_out=4)
    predictor = _noise()
    scores = predictor.scores.copy()
    scores[split.train.users, split.train.items] = -np.inf
    top = metrics.top_k(scores, 10)
    held_out = split.test.items.reshape(USERS, 4)
    hits = np.stack([np.isin(a, b) for a, b in zip(top, held_out, strict=True)])
    four = np.full(USERS, 4)
    figures = _run(predictor, split)
    assert figures["recall@10"] == pytest.approx(metrics.recall(hits, four).mean())
    assert figures["ndcg@10"] == pytest.approx(metrics.ndcg(hits, four, offset=1).mean())
    assert figures["ndcg@10_lenskit"] == pytest.approx(metrics.ndcg(hits, four).mean())
    assert figures["hr@10"] == figures["hr@10_full"] == pytest.approx(hits.any(axis=1).mean())
    assert figures["coverage@10"] == pytest.approx(len(np.unique(top)) / ITEMS)


def test_evaluate_computes_novelty_from_training_raters():
    split = _split()
    raters = np.bincount(split.train.items, minlength=ITEMS)
    scores = np.tile(np.arange(ITEMS, dtype=float), (USERS, 1))
    bits = -np.log2((raters + 1) / (USERS + 1))
    known = np.zeros((USERS, ITEMS), dtype=bool)
    known[split.train.users, split.train.items] = True
    lists = [np.flatnonzero(~row)[::-1][:10] for row in known]
    expected = np.mean([bits[row].mean() for row in lists])
    assert _run(Table(scores), split)["novelty@10"] == pytest.approx(expected)


def test_sampled_candidates_are_the_held_out_item_and_99_distinct_unknown_ones():
    split = _split()
    for case in module._cases(split, seed=5):
        candidates = case.sampled(ITEMS)
        assert candidates[0] == case.relevant[0]
        assert len(set(candidates.tolist())) == 1 + 99
        assert not np.isin(candidates, split.train.items[split.train.users == case.user]).any()


def test_sampled_candidates_are_all_there_are_when_the_catalogue_is_small():
    case = module._cases(_split(items=30), seed=5)[0]
    assert len(case.sampled(30)) == 30 - 20


def test_evaluate_gives_both_hit_rates_the_same_negatives():
    figures = _run(_noise(), _split())
    assert figures["hr@10"] == figures["hr@10_rating_only"]


def test_evaluate_does_not_depend_on_the_size_of_blocks(monkeypatch):
    split = _split()
    whole = _run(_noise(), split)
    monkeypatch.setattr(
        module, "_blocks", lambda cases, width: (cases[i : i + 7] for i in range(0, len(cases), 7))
    )
    assert _run(_noise(), split) == pytest.approx(whole, nan_ok=True)


def test_evaluate_repeats_with_its_seed_and_differs_with_another():
    tied = Table(np.zeros((USERS, ITEMS)))
    first, again, other = (_run(tied, _split(), seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first["coverage@10"] != other["coverage@10"]


def test_evaluate_accepts_test_rows_in_any_order():
    split = _split("u1", held_out=4)
    shuffled = split.test.take(np.random.default_rng(0).permutation(len(split.test)))
    figures = _run(_noise(), dataclasses.replace(split, test=shuffled))
    assert figures == pytest.approx(_run(_noise(), split))


def test_evaluate_separates_newcomers():
    split = Split(
        "random",
        _rows([0, 0, 1], [0, 1, 0], [3, 3, 3]),
        _rows([0, 1, 2], [2, 1, 0], [5, 4, 1]),
        "made",
        _rows([2], [1], [3]),
    )
    figures = _run(Table(np.full((3, 3), 3.0)), split, items_count=3, categories=((),) * 3)
    assert figures["rmse_cold_item"] == 2.0
    assert figures["rmse_cold_user"] == 2.0
    assert figures["rmse"] == pytest.approx(np.sqrt((4 + 1 + 4) / 3))
    assert figures["intra_list_diversity@10"] is None


def test_evaluate_says_sampling_discount_and_seed_in_the_protocol():
    sampled = str(_run(_noise(), _split())["protocol"])
    full = str(_run(_noise(300, 250), _split("random", 2, users=250), seed=8)["protocol"])
    assert all(word in sampled for word in ("99 uniform negatives", "1/log2(p+1)", "seed 3"))
    assert all(word in full for word in ("all items", "on 200 users", "seed 8"))


def test_evaluate_rates_at_most_200_catalogues():
    asked = []

    class Counting(Table):
        def rate(self, user, items):
            asked.append(len(items))
            return super().rate(user, items)

    split = _split("random", 2, users=250)
    _run(Counting(_noise(users=250).scores), split)
    assert sum(count > 2 for count in asked) == 200


# --- on a village, whose users differ in length and whose rows have times


class Unguarded(Table):
    """Hands out its own tables, not copies of them."""

    def rate(self, user, items):
        return self.stars[user] if len(items) == self.stars.shape[1] else self.stars[user][items]


def _judge(data, name, predictor, **options):
    return evaluate(
        predictor,
        split(data, name, 0.2),
        items_count=len(data.items),
        categories=data.items.categories,
        seed=0,
        **options,
    )


def _knows_all(data):
    table = np.zeros((len(data.users), len(data.items)))
    table[data.interactions.users, data.interactions.items] = data.interactions.ratings
    return Table(table)


@pytest.mark.parametrize("name", ["random", "leave-one-out", "users", "items"])
def test_evaluate_gives_an_oracle_perfect_figures_on_every_split(hamlet, name):
    figures = _judge(hamlet, name, _knows_all(hamlet))
    assert figures["rmse"] == figures["mae"] == figures["rmse_se"] == 0
    lists = ("hr@10", "hr@10_full", "recall@10", "ndcg@10", "ndcg@10_full", "ndcg@10_lenskit")
    assert [figures[key] for key in lists] == pytest.approx([1] * 6)


def test_evaluate_gives_newcomers_all_the_error_where_all_are_new(hamlet):
    guess = _noise(users=len(hamlet.users), items=len(hamlet.items))
    items, users = (_judge(hamlet, name, guess, ranking=False) for name in ("items", "users"))
    assert items["rmse_cold_item"] == pytest.approx(items["rmse"])
    assert users["rmse_cold_user"] == pytest.approx(users["rmse"])
    assert _judge(hamlet, "random", guess, ranking=False)["rmse_cold_user"] is None


def test_evaluate_knows_the_history_of_users_outside_the_federation(hamlet):
    parts = split(hamlet, "users", 0.2)
    for case in module._cases(parts, seed=0):
        mine = parts.history.users == case.user
        assert not case.unknown(len(hamlet.items))[parts.history.items[mine]].any()


def test_evaluate_leaves_the_predictors_tables_as_they_were(hamlet):
    stars, scores = np.random.default_rng(0).random((2, len(hamlet.users), len(hamlet.items)))
    for name in ("random", "leave-one-out"):
        bare = Unguarded(scores.copy(), stars.copy())
        _judge(hamlet, name, bare)
        np.testing.assert_array_equal(bare.stars, stars)
        np.testing.assert_array_equal(bare.scores, scores)


def test_sampled_negatives_may_be_what_others_hold_out():
    parts = _split()
    held_out = set(parts.test.items.tolist())
    found = [set(case.sampled(ITEMS)[1:].tolist()) & held_out for case in module._cases(parts, 5)]
    assert sum(map(len, found)) > USERS


def test_sampled_negatives_are_uniform_over_what_is_not_known():
    # z of each of 278 items over 1,000 seeds: beyond 4.5 in a run of 500
    parts, counts = _split(users=1), np.zeros(ITEMS)
    for seed in range(1000):
        counts[module._cases(parts, seed)[0].sampled(ITEMS)[1:]] += 1
    free = np.setdiff1d(np.arange(ITEMS), [*parts.train.items, *parts.test.items])
    share = 99 / len(free)
    z = (counts[free] / 1000 - share) / np.sqrt(share * (1 - share) / 1000)
    assert np.abs(z).max() < 4.5
    assert counts.sum() == counts[free].sum() == 99_000


def test_clustered_se_agrees_with_the_bootstrap_over_users():
    # 2,000 resamples: relative sd of the bootstrap's own sd is 1.6 %, 10 % is six of them
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(300), rng.integers(1, 30, 300))
    errors = rng.normal(size=300)[users] + rng.normal(size=len(users))
    count, squares = np.bincount(users), np.bincount(users, errors**2)
    draws = rng.integers(0, 300, (2000, 300))
    drawn = np.sqrt(squares[draws].sum(axis=1) / count[draws].sum(axis=1))
    assert clustered_se(errors, users) == pytest.approx(drawn.std(), rel=0.1)


def test_clustered_se_is_undefined_for_one_user():
    assert np.isnan(clustered_se(np.array([1.0, 2.0]), np.array([4, 4])))


@pytest.mark.slow
def test_evaluate_manages_a_million_ratings():
    split = _split(users=6040, items=3706, known=160)
    scores = np.random.default_rng(0).random(3706)

    class Popular:
        def rate(self, user, items):
            return np.full(len(items), 3.0)

        def score(self, user):
            return scores

    figures = _run(Popular(), split, items_count=3706, categories=KINDS + ((),) * (3706 - ITEMS))
    assert 0.08 < figures["hr@10"] < 0.12
