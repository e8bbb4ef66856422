# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest

from client.training import item_sums_query
from shared.config import RunConfig
from shared.errors import CohortTooSmall, UsageError
from shared.privacy.accountant import epsilon
from simulation.plan import Plan, in_sessions, make_plan


def plan(users: int = 943, items: int = 1682, **options: object) -> Plan:
    queries = [(item_sums_query(items), 1, Fraction(1))]
    return make_plan(RunConfig.model_validate(options), users, queries)


def test_plan_spends_nearly_all_of_the_target_and_no_more() -> None:
    made = plan(target_epsilon=8)
    assert 8 - 1e-3 < epsilon(made.rho, made.delta) <= 8


def test_plan_defaults_to_epsilon_eight_and_a_small_delta() -> None:
    made = plan()
    assert made.delta == 1e-5
    assert made.figures()["epsilon"] == pytest.approx(8, abs=1e-3)
    assert plan(users=100_000).delta == 1e-6


def test_plan_counts_only_the_noise_of_sure_survivors() -> None:
    assert plan(dropout=0.1, colluders=9)["item_sums"].mechanism.noise_shares == 849 - 9  # type: ignore[union-attr]


def test_sessions_multiply_the_noise_of_one_cohort() -> None:
    whole, dealt = plan(users=6000, dropout=0), plan(users=6000, dropout=0, cohort=600)
    ratio = dealt["item_sums"].noise_std / whole["item_sums"].noise_std
    assert ratio == pytest.approx(10**0.5, rel=1e-3)
    assert dealt.figures()["sessions"] == 10
    assert dealt.figures()["rho"] == pytest.approx(whole.figures()["rho"], rel=1e-3)


def test_central_trust_needs_one_share() -> None:
    made = plan(trust="central")
    assert made.figures()["noise_shares"] == 1
    assert made.figures()["epsilon_own_share"] is None


def test_own_share_is_worse_than_the_guarantee() -> None:
    figures = plan().figures()
    assert figures["epsilon_own_share"] > 20 * figures["epsilon"]


def test_local_trust_multiplies_the_noise_by_the_root_of_the_users() -> None:
    ratio = plan(trust="local")["item_sums"].noise_std / plan(dropout=0)["item_sums"].noise_std
    assert ratio == pytest.approx(943**0.5, rel=1e-3)


def test_plan_without_privacy_has_no_mechanism_and_null_epsilon() -> None:
    made = plan(no_privacy=True)
    assert made["item_sums"].mechanism is None
    assert made.figures()["epsilon"] is None


def test_local_only_asks_nothing() -> None:
    assert plan(local_only=True).releases == ()


def test_plan_refuses_one_user() -> None:
    with pytest.raises(CohortTooSmall):
        plan(users=1)


def test_plan_refuses_more_colluders_than_survivors_can_outnumber() -> None:
    with pytest.raises(UsageError, match="outnumber"):
        plan(users=100, dropout=0.4, colluders=30)


def test_in_sessions_deals_only_what_is_larger_than_one_secure_sum() -> None:
    assert in_sessions(RunConfig(), 1000) is None
    dealt = in_sessions(RunConfig(), 6040)
    assert dealt is not None
    assert dealt.cohort == 863
