# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from server.plan import Plan, in_sessions, make_plan
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.errors import CohortTooSmall, UsageError
from shared.features import build_catalogue
from shared.privacy.accountant import epsilon
from simulation.dataset import Dataset

Make = Callable[..., Plan]


@pytest.fixture
def plan(catalogue: Catalogue) -> Make:
    def make(users: int = 943, **options: object) -> Plan:
        return make_plan(RunConfig.model_validate(options), users, catalogue)

    return make


def test_plan_spends_nearly_all_of_the_target_and_no_more(plan: Make) -> None:
    made = plan(target_epsilon=8)
    assert 8 - 1e-3 < epsilon(made.rho, made.delta) <= 8


def test_plan_defaults_to_epsilon_eight_and_a_small_delta(plan: Make) -> None:
    made = plan()
    assert made.delta == 1e-5
    assert made.figures()["epsilon"] == pytest.approx(8, abs=1e-3)
    assert plan(users=100_000).delta == 1e-6


def test_plan_counts_only_the_noise_of_sure_survivors(plan: Make) -> None:
    assert plan(dropout=0.1, colluders=9)["item_sums"].mechanism.noise_shares == 849 - 9  # type: ignore[union-attr]


def test_sessions_multiply_the_noise_of_one_cohort(plan: Make) -> None:
    whole, dealt = plan(users=6000, dropout=0), plan(users=6000, dropout=0, cohort=600)
    ratio = dealt["item_sums"].noise_std / whole["item_sums"].noise_std
    assert ratio == pytest.approx(10**0.5, rel=1e-3)
    assert dealt.figures()["sessions"] == 10
    assert dealt.figures()["rho"] == pytest.approx(whole.figures()["rho"], rel=1e-3)


def test_central_trust_needs_one_share(plan: Make) -> None:
    made = plan(trust="central")
    assert made.figures()["noise_shares"] == 1
    assert made.figures()["epsilon_own_share"] is None


def test_own_share_is_worse_than_the_guarantee(plan: Make) -> None:
    figures = plan().figures()
    assert figures["epsilon_own_share"] > 20 * figures["epsilon"]


def test_local_trust_multiplies_the_noise_by_the_root_of_the_users(plan: Make) -> None:
    alone = {"item_sums": 1.0}  # one query, so that both runs ask the same
    local, shared = plan(trust="local", budget=alone), plan(dropout=0, budget=alone)
    ratio = local["item_sums"].noise_std / shared["item_sums"].noise_std
    assert ratio == pytest.approx(943**0.5, rel=1e-3)


def test_plan_without_privacy_has_no_mechanism_and_null_epsilon(plan: Make) -> None:
    made = plan(no_privacy=True)
    assert made["item_sums"].mechanism is None
    assert made.figures()["epsilon"] is None


def test_local_only_asks_nothing(plan: Make) -> None:
    assert plan(local_only=True).releases == ()


def test_plan_refuses_one_user(plan: Make) -> None:
    with pytest.raises(CohortTooSmall):
        plan(users=1)


def test_plan_refuses_more_colluders_than_survivors_can_outnumber(plan: Make) -> None:
    with pytest.raises(UsageError, match="outnumber"):
        plan(users=100, dropout=0.4, colluders=30)


def test_in_sessions_deals_only_what_is_larger_than_one_secure_sum() -> None:
    assert in_sessions(RunConfig(), 1000) is None
    dealt = in_sessions(RunConfig(), 6040)
    assert dealt is not None
    assert dealt.cohort == 863


def test_plan_follows_a_given_budget(plan: Make) -> None:
    made = plan(budget={"item_sums": 0.25, "trunk_items": 0.75}, rounds=3)
    assert [release.query.name for release in made.releases] == ["item_sums", "trunk_items"]
    assert made["trunk_items"].rounds == 3
    ratio = float(made["trunk_items"].rho / made["item_sums"].rho)
    assert ratio == pytest.approx(3, rel=1e-3)


def test_plan_refuses_a_query_that_is_not_built(plan: Make) -> None:
    with pytest.raises(UsageError, match="offset_prior"):
        plan(budget={"item_sums": 0.5, "offset_prior": 0.5})


def test_plan_spends_a_small_budget_on_items_and_people_without_rounds(plan: Make) -> None:
    names = [r.query.name for r in plan(users=60, target_epsilon=1).releases]
    assert names == ["item_sums", "population_prior"]
    assert "trunk_items" in plan(users=20_000, target_epsilon=8)


def test_plan_never_asks_more_than_the_target_over_all_rounds(plan: Make) -> None:
    for target in (0.5, 1, 2, 4, 8):
        made = plan(users=5000, target_epsilon=target)
        assert target - 1e-3 < epsilon(made.rho, made.delta) <= target


def test_objective_decides_what_the_budget_serves(plan: Make) -> None:
    ratings, ranking, both = (plan(objective=o) for o in ("ratings", "ranking", "balanced"))
    assert "rank_items" not in ratings
    assert "trunk_items" not in ranking
    assert {"trunk_items", "rank_weights", "rank_bilinear"} <= {r.query.name for r in both.releases}
    assert ratings.count_scale < both.count_scale < ranking.count_scale
    for made in (ratings, ranking, both):
        assert sum(release.share for release in made.releases) == 1
        assert 8 - 1e-3 < epsilon(made.rho, made.delta) <= 8


def test_interest_learns_single_items_only_where_they_stand_out(plan: Make) -> None:
    weak = plan(users=200, objective="ranking", target_epsilon=1)
    strong = plan(users=20_000)
    assert "rank_items" not in weak
    assert "rank_bilinear" in weak
    assert strong.taste_factors > 0
    assert "rank_bilinear" not in plan(users=60, target_epsilon=1)


def test_plan_asks_no_more_factors_than_a_bare_catalogue_has_columns(hamlet: Dataset) -> None:
    count = len(hamlet.items)
    bare = replace(
        hamlet.items,
        titles=("",) * count,
        descriptions=("",) * count,
        categories=((),) * count,
        years=np.full(count, np.nan),
        numbers={},
    )
    made = make_plan(RunConfig(no_privacy=True), 500, build_catalogue(bare, None)[0])
    assert made.shape.factors == made.factors <= 3
    assert made.taste_factors <= made.taste_width == 2
