# SPDX-License-Identifier: Apache-2.0
"""Three public accountants, run here, against the golden figures, each other and ours.

dp-accounting's RDP and PLD and Opacus's PRV account for Poisson subsampled Gaussians; at q = 1 that
is what the kernel's ε is about. Tolerances: 0 <= PRV - PLD <= 0.02, PLD <= RDP + 1e-3, and at q = 1
PLD is the analytic figure to 1e-3, RDP is ours to 3e-3.
"""

import functools
import json
from fractions import Fraction
from pathlib import Path

import pytest

from shared.privacy.accountant import epsilon
from simulation.budget import gaussian_epsilon

dp_accounting = pytest.importorskip("dp_accounting")
opacus_accountants = pytest.importorskip("opacus.accountants")

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "accounting.json").read_text())
ROWS = VECTORS["composed_gaussians"]
FIXED = VECTORS["fixed_cohort"]
PRINTED = 6e-4
"""Golden figures have three decimals."""

pytestmark = pytest.mark.filterwarnings("ignore")


@functools.cache
def figures(q: str, sigma: str, rounds: int, delta: str) -> dict[str, float]:
    """ε of ``rounds`` Gaussians, each over a Poisson sample of rate q, by three accountants."""
    event = dp_accounting.GaussianDpEvent(float(sigma))
    rate = float(Fraction(q))
    if rate < 1:
        event = dp_accounting.PoissonSampledDpEvent(rate, event)
    event = dp_accounting.SelfComposedDpEvent(event, rounds)
    prv = opacus_accountants.PRVAccountant()
    prv.history = [(float(sigma), rate, rounds)]
    return {
        "rdp": dp_accounting.rdp.RdpAccountant().compose(event).get_epsilon(float(delta)),
        "pld": dp_accounting.pld.PLDAccountant().compose(event).get_epsilon(float(delta)),
        "prv": prv.get_epsilon(delta=float(delta)),
    }


def figures_of(row: dict[str, str]) -> dict[str, float]:
    return figures(row["q"], row["sigma"], row["rounds"], row["delta"])


def rho_of_row(row: dict[str, str]) -> Fraction:
    return Fraction(row["rounds"]) / (2 * Fraction(row["sigma"]) ** 2)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("tool", ["rdp", "pld", "prv"])
def test_accountant_prints_the_golden_figure(row, tool):
    assert figures_of(row)[tool] == pytest.approx(float(row[tool]), abs=PRINTED)


@pytest.mark.parametrize("row", [*ROWS, FIXED])
def test_accountants_agree_within_their_tolerances(row):
    by = figures_of(row)
    assert 0 <= by["prv"] - by["pld"] <= 0.02
    assert by["pld"] <= by["rdp"] + 1e-3


@pytest.mark.parametrize("row", [*ROWS, FIXED])
def test_epsilon_is_above_every_tight_figure(row):
    """Sampling only helps, so ours, which claims none, is above each tight figure."""
    assert figures_of(row)["pld"] <= epsilon(rho_of_row(row), float(row["delta"])) + 1e-3


@pytest.mark.parametrize("row", [row for row in ROWS if row["q"] == "1"])
def test_epsilon_is_that_of_rdp_and_the_analytic_figure_that_of_pld(row):
    by, rho, delta = figures_of(row), rho_of_row(row), float(row["delta"])
    assert epsilon(rho, delta) == pytest.approx(by["rdp"], abs=3e-3)
    assert gaussian_epsilon(float(2 * rho) ** 0.5, delta) == pytest.approx(by["pld"], abs=1e-3)


def test_accountants_print_the_golden_figures_of_a_sampled_cohort():
    by = figures_of(FIXED)
    assert by["rdp"] == pytest.approx(float(FIXED["poisson_rdp"]), abs=5e-3)
    assert by["pld"] == pytest.approx(float(FIXED["poisson_pld"]), abs=5e-3)
