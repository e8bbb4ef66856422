# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from shared.model.plan import budget_rule, ranking_rule, shares_of


@pytest.mark.parametrize(
    ("z", "shares", "factors", "rounds"),
    [
        (3.73, (0.95, 0.05, 0.0), 0, 0),
        (1.994, (0.70, 0.05, 0.25), 2, 2),
        (1.081, (0.65, 0.05, 0.30), 2, 2),
        (0.6, (0.45, 0.05, 0.50), 2, 3),
    ],
)
def test_budget_rule_gives_the_measured_rows(z, shares, factors, rounds):
    plan = budget_rule(943, 1682, 1 / z)
    assert (plan.shares, plan.factors, plan.rounds) == (shares, factors, rounds)


def test_budget_rule_grows_rank_and_rounds_with_the_population():
    small, large = budget_rule(943, 1682, 1 / 0.6), budget_rule(60_000, 4000, 1 / 0.6)
    assert large.factors > small.factors
    assert large.rounds > small.rounds


def test_budget_rule_asks_for_more_pairs_where_they_stand_out():
    few, many = budget_rule(943, 1682, 1 / 0.6), budget_rule(6040, 3706, 1 / 0.6)
    assert few.pairs < many.pairs == budget_rule(10, 10, math.inf).pairs


def test_budget_rule_spends_shares_that_sum_to_one():
    for users in (5, 100, 10_000, 1_000_000):
        assert math.isclose(sum(budget_rule(users, 2000, 0.5).shares), 1.0)


def test_budget_rule_without_privacy_runs_everything():
    assert budget_rule(10, 10, math.inf).rounds == 6


@pytest.mark.parametrize("objective", ["ratings", "ranking", "balanced"])
@pytest.mark.parametrize("z", [0.2, 0.6, 1.081, 1.994, 3.73, 10.0])
def test_shares_sum_to_one_under_privacy(objective, z):
    trunk, taste = budget_rule(943, 1682, 1 / z), ranking_rule(943, 1682, 1 / z)
    assert math.isclose(sum(shares_of(objective, trunk, taste).values()), 1.0)
