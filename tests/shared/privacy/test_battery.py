# SPDX-License-Identifier: Apache-2.0
"""Seeded bugs: each is put into the kernel, one by one, and the battery turns red."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from shared.privacy import clip as clip_module
from shared.privacy import door, encode
from shared.privacy.noise import OsRandom, discrete_gaussian
from shared.privacy.plan import Cohort, mechanism_of
from shared.privacy.policy import Mechanism
from shared.privacy.query import Block, SparseVector, SumQuery
from simulation.noise import SimulationRng
from tests.shared.privacy.test_door import CONFIG, FLOOR, POLICY, STATE

pytestmark = pytest.mark.statistical

QUERY = SumQuery("item_sums", (Block("a", 8, 0.6), Block("b", 8, 0.8)), "clip", "A test.")
MECHANISM = mechanism_of(16, 10**8, Cohort("distributed", 100, Fraction(1, 10)))
ROUND = replace(CONFIG, query=QUERY, mechanism=MECHANISM)
RELEASES = 400


def send(vector, source) -> np.ndarray:
    charge = door.decide(FLOOR, STATE, POLICY, ROUND, 0)
    sent = door.release(vector, QUERY, charge, np.random.default_rng(0), source)
    return encode.from_residues(sent.residues)


def battery() -> list[str]:
    """Return the checks that fail; none on a clean build but with probability 1e-5."""
    failed = []
    with np.errstate(all="ignore"):
        base = send(np.zeros(16), SimulationRng(1))
        wild = [np.linspace(-9, 9, 16), np.full(16, np.nan), np.full(16, 1e30), np.full(16, 1e308)]
        wild += [np.eye(16)[3] * np.inf, np.full(16, 5e-324), np.repeat([9.0, 0.0], 8)]
        for vector in wild:
            moved = send(vector, SimulationRng(1)) - base
            if sum(int(x) ** 2 for x in moved) > MECHANISM.delta2_squared:
                failed.append("sensitivity")
    tame = np.full(16, 0.01)
    try:
        repeated = SparseVector(16, np.zeros(1000, dtype=np.int64), np.full(1000, 1.0))
        send(repeated, SimulationRng(1))
        failed.append("a repeated item is accepted")
    except encode.DataError:
        pass
    some = SparseVector(16, np.arange(0, 16, 2), tame[:8])
    for vector in (np.zeros(16), tame, tame * 50, some):
        centre = encode.encode(vector, QUERY, MECHANISM, np.random.default_rng(0))
        if isinstance(centre, SparseVector):
            centre = np.bincount(centre.indices, centre.values, 16).astype(np.int64)
        noise = np.array([send(vector, OsRandom()) for _ in range(RELEASES)]) - centre
        for block in (noise[:, :8], noise[:, 8:]):
            spread = (block.astype(float) ** 2).sum() / MECHANISM.sigma2
            if not 1e-7 < stats.chi2.cdf(spread, block.size) < 1 - 1e-7:
                failed.append("sigma")
        if stats.kstest(noise.ravel() / MECHANISM.sigma2**0.5, "norm").pvalue < 1e-7:
            failed.append("goodness of fit")
        coordinates = np.corrcoef(noise.T + 1e-9 * np.arange(RELEASES))
        if np.abs(coordinates[np.triu_indices(16, 1)]).max() > 6 / RELEASES**0.5:
            failed.append("whiteness")
        if np.unique(noise, axis=0).shape[0] < RELEASES:
            failed.append("independence of rounds")
    if MECHANISM.rho < Fraction(MECHANISM.delta2_squared, 2 * 90 * MECHANISM.sigma2):
        failed.append("rho")
    return failed


def test_a_clean_build_raises_no_alarm():
    assert battery() == []


def _clip_with(scale):
    def mutant(values, norm, how):
        return values * scale(values, norm)

    return mutant


def _noise_with(change):
    return lambda variance, size, source: change(variance, size, source)


def _draw(variance, size, source):
    return discrete_gaussian(variance, size, source)


def _rounded(scaled, delta2_squared, rng):
    return np.floor(np.nan_to_num(scaled, posinf=1e9, neginf=-1e9)).astype(np.int64)


UNCHECKED = [(encode, "round_within", _rounded)]
BUGS = {
    "no check of the integers and no clip": [
        *UNCHECKED, (clip_module, "_clip_block", _clip_with(lambda v, c: 1.0)),
    ],
    "L-infinity for L2": [
        *UNCHECKED,
        (clip_module, "_clip_block", _clip_with(lambda v, c: min(1, c / (abs(v).max() or 1)))),
    ],
    "every block has the whole norm": [
        *UNCHECKED,
        (clip_module, "_clip_block", _clip_with(lambda v, c: 1 / max(1, np.hypot.reduce(v)))),
    ],
    "no NaN guard": [
        *UNCHECKED, (clip_module, "_clip_parts", lambda v, q, p: np.where(np.isnan(v), 1e9, 0)),
    ],
    "clip on gathered rows with a repeated item": [(SparseVector, "__post_init__", lambda s: None)],
    "variance as standard deviation": [
        (door, "discrete_gaussian", _noise_with(lambda v, n, s: _draw(int(v**0.5), n, s))),
    ],
    "half the variance": [
        (door, "discrete_gaussian", _noise_with(lambda v, n, s: _draw(v // 2, n, s))),
    ],
    "divided by the shares twice": [
        (door, "discrete_gaussian", _noise_with(lambda v, n, s: _draw(v // 90, n, s))),
    ],
    "no noise": [
        (door, "discrete_gaussian", _noise_with(lambda v, n, s: np.zeros(n, dtype=np.int64))),
    ],
    "last block without noise": [
        (
            door,
            "discrete_gaussian",
            _noise_with(lambda v, n, s: _draw(v, n, s) * (np.arange(n) < n // 2)),
        ),
    ],
    "one draw for all coordinates": [
        (door, "discrete_gaussian", _noise_with(lambda v, n, s: np.repeat(_draw(v, 1, s), n))),
    ],
    "seed reuse": [
        (
            door,
            "discrete_gaussian",
            _noise_with(lambda v, n, s: _draw(v, n, SimulationRng(5))),
        ),
    ],
    "uniform noise": [
        (
            door,
            "discrete_gaussian",
            _noise_with(
                lambda v, n, s: (
                    (s.words(n) / 2.0**64 - 0.5) * (12 * v) ** 0.5
                ).astype(np.int64)
            ),
        ),
    ],
    "rho of all invited": [
        (
            Mechanism,
            "rho",
            property(lambda m: Fraction(m.delta2_squared, 2 * m.cohort_size * m.sigma2)),
        ),
    ],
}  # fmt: skip


def test_the_battery_catches_noise_that_a_sparse_vector_overwrites(monkeypatch):
    honest = door.release

    def mutant(vector, query, charge, rng, source):
        sent = honest(vector, query, charge, rng, source)
        if isinstance(vector, SparseVector):
            encoded = encode.encode(vector, query, MECHANISM, rng)
            sent.residues[encoded.indices] = encode.to_residues(encoded.values)
        return sent

    monkeypatch.setattr(door, "release", mutant)
    assert battery()


@pytest.mark.parametrize("bug", BUGS)
def test_the_battery_catches(bug, monkeypatch):
    for place, name, mutant in BUGS[bug]:
        monkeypatch.setattr(place, name, mutant)
    assert battery()


def test_the_battery_catches_noise_that_depends_on_the_data(monkeypatch):
    honest = door.release

    def mutant(vector, query, charge, rng, source):
        scale = 4 if isinstance(vector, SparseVector) or np.any(vector) else 1
        monkeypatch.setattr(
            door, "discrete_gaussian", lambda v, n, s: discrete_gaussian(v // scale, n, s)
        )
        return honest(vector, query, charge, rng, source)

    monkeypatch.setattr(door, "release", mutant)
    assert battery()
