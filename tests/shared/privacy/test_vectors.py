# SPDX-License-Identifier: Apache-2.0
"""The vectors of docs/spec/mechanism.md: what a second implementation must reproduce."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from shared.privacy.accountant import epsilon
from shared.privacy.canonical import canonical, digest, parse
from shared.privacy.noise import _tables
from shared.privacy.policy import Mechanism

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "mechanism.json").read_text())


@pytest.mark.parametrize("row", VECTORS["mechanisms"])
def test_mechanism_vectors(row):
    mechanism = Mechanism(**row["mechanism"])
    assert canonical(mechanism).decode() == row["canonical"]
    assert parse(Mechanism, row["canonical"].encode()) == mechanism
    assert digest(mechanism) == row["digest"]
    assert mechanism.rho == Fraction(row["rho"]) <= Fraction(row["rho_asked"])
    assert f"{epsilon(mechanism.rho, 1e-5):.9f}" == row["epsilon_at_delta_1e-5"]


@pytest.mark.parametrize("row", VECTORS["sampler"])
def test_sampler_vectors(row):
    tables = _tables(row["variance"])
    assert tables.shift == row["shift"]
    assert len(tables.coarse.exact) == row["coarse_length"]
    assert f"{tables.coarse.exact[0]:064x}" == row["coarse_0"]
    assert f"{tables.coarse.exact[9]:064x}" == row["coarse_9"]
    assert len(tables.digits) == row["digit_tables"]
    if tables.digits:
        assert f"{tables.digits[0].exact[9]:064x}" == row["coin_0_9"]
