# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from shared.secagg.refusals import TermsRefused
from shared.secagg.terms import Terms

GOOD = Terms(bytes(32), 1, cohort_size=10, min_survivors=7, max_colluders=3, dimension=4)


@pytest.mark.parametrize(
    "change",
    [
        {"config_hash": bytes(31)},
        {"server_round": -1},
        {"cohort_size": 1001, "min_survivors": 700},
        {"cohort_size": 1, "min_survivors": 1},
        {"min_survivors": 11},
        {"max_colluders": -1},
        {"dimension": 0},
        {"dimension": 2**24 + 1},
        {"min_survivors": 6},  # two groups of 5 and 3 colluders could both reach it
    ],
)
def test_terms_refuse_numbers_that_are_not_safe(change: dict[str, int]) -> None:
    with pytest.raises(TermsRefused):
        replace(GOOD, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"config_hash": b"\1" * 32},
        {"server_round": 2},
        {"cohort_size": 9},
        {"min_survivors": 8},
        {"max_colluders": 2},
        {"dimension": 5},
    ],
)
def test_digest_changes_with_every_field(change: dict[str, int]) -> None:
    assert replace(GOOD, **change).digest != GOOD.digest
