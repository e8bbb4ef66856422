# SPDX-License-Identifier: Apache-2.0
"""What `privet privacy plan` says of a budget: sessions, several accounts, own share, factors."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.privacy.accountant import rho_for
from shared.privacy.plan import Cohort, mechanism_for, mechanism_of
from shared.privacy.query import Block, SumQuery
from simulation.budget import Budget, session_sizes

QUERY = SumQuery("q", (Block("all", 90, 1.0),), "clip", "A test.")
GOOD = mechanism_of(90, 10**6, Cohort("distributed", 100, Fraction(1, 10), 10))


@given(st.integers(1, 10**6), st.integers(1, 2000))
def test_session_sizes_deal_every_user_once_into_sessions_that_fit(users, cohort):
    sizes = session_sizes(users, cohort)
    assert sum(sizes) == users
    assert max(sizes) <= cohort
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("users", "cohort"), [(0, None), (5, 0)])
def test_session_sizes_refuses_nobody(users, cohort):
    with pytest.raises(DataError):
        session_sizes(users, cohort)


def test_budget_adds_rho_exactly_and_grows_with_accounts():
    budget = Budget(GOOD, 4, 1e-5)
    assert budget.rho == 4 * GOOD.rho
    assert budget.epsilon(1) < budget.epsilon(2) < budget.epsilon(5)
    assert budget.epsilon(2) == Budget(GOOD, 16, 1e-5).epsilon()


def test_budget_has_no_own_share_under_central_trust():
    assert Budget(mechanism_of(90, 10**9, Cohort("central", 10)), 1, 1e-5).epsilon_own_share is None


@pytest.mark.parametrize(("shares", "wanted"), [(100, 21.8), (900, 103.8)])
def test_budget_own_share_of_a_run_of_epsilon_8_over_20_rounds(shares, wanted):
    """The worst number on the page: 21.8 for one round at 100 shares, 103.8 at 900."""
    m = mechanism_for(QUERY, rho_for(8, 1e-5) / 20, Cohort("distributed", shares))
    assert Budget(m, 20, 1e-5).epsilon_own_share == pytest.approx(wanted, rel=0.06)


def test_budget_noise_factors_of_an_allowance():
    factors = Budget(GOOD, 1, 1e-5, sessions=4).noise_factors()
    assert factors["dropout"] == (100 / 90) ** 0.5
    assert factors["colluders"] == (90 / 80) ** 0.5
    assert factors["sessions"] == 2
    assert factors["local"] == 1


def test_budget_noise_factors_of_local_trust():
    local = mechanism_of(90, 10**9, Cohort("local", 100))
    assert Budget(local, 1, 1e-5).noise_factors()["local"] == 10
