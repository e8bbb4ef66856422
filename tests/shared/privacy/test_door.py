# SPDX-License-Identifier: Apache-2.0
"""No sequence of rounds, however hostile, gets more out of a device than its floor allows."""

import copy
import json
import pickle  # noqa: TID251
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BudgetExceeded, CohortTooSmall, DataError, Refusal
from shared.privacy.canonical import Signed, canonical, digest, parse, sign
from shared.privacy.door import Charge, PolicyRefused, abort, authorise, decide, release
from shared.privacy.encode import encode, from_residues
from shared.privacy.noise import discrete_gaussian
from shared.privacy.plan import Cohort, mechanism_of
from shared.privacy.policy import DeviceState, Floor, Mechanism, Policy, RoundConfig
from shared.privacy.query import Block, SparseVector, SumQuery
from simulation.noise import SimulationRng

OFFICER, SERVER = (Ed25519PrivateKey.from_private_bytes(bytes([b]) * 32) for b in (1, 2))
QUERY = SumQuery("item_sums", (Block("rows", 8, 1.0),), "scale", "Mean of items.")
FLOOR = Floor(
    Fraction(1, 2), Fraction(1, 4), 10, 60, 2, 16, Fraction(2, 3), ("distributed", "central")
)
POLICY = Policy(
    "autumn",
    "Example",
    SERVER.public_key().public_bytes_raw().hex(),
    943,
    Fraction(1, 10**5),
    ("item_sums",),
    FLOOR,
)
STATE = DeviceState(OFFICER.public_key().public_bytes_raw().hex(), digest(POLICY))
MECHANISM = mechanism_of(8, 10**8, Cohort("distributed", 100, Fraction(1, 10)))
CONFIG = RoundConfig(digest(POLICY), "00" * 32, "autumn", 1, QUERY, MECHANISM)
SIGNED = sign(POLICY, OFFICER)


def ask(config: RoundConfig = CONFIG, state: DeviceState = STATE, now: int = 0):
    return authorise(FLOOR, state, SIGNED, sign(config, SERVER), now)


def test_authorise_charges_exactly_rho():
    charge = ask()
    assert isinstance(charge, Charge)
    assert charge.state.spent == MECHANISM.rho
    assert charge.state.participations == 1


REFUSED = [
    (replace(CONFIG, policy_hash="other"), STATE, PolicyRefused),
    (replace(CONFIG, run="spring"), STATE, PolicyRefused),
    (replace(CONFIG, query=replace(QUERY, name="spy")), STATE, Refusal),
    (replace(CONFIG, mechanism=replace(MECHANISM, trust="local")), STATE, Refusal),
    (
        replace(CONFIG, mechanism=replace(MECHANISM, cohort_size=1001, min_survivors=1001)),
        STATE,
        Refusal,
    ),
    (
        replace(CONFIG, mechanism=replace(MECHANISM, max_colluders=75, cohort_size=90)),
        STATE,
        CohortTooSmall,
    ),
    (replace(CONFIG, mechanism=replace(MECHANISM, min_survivors=66)), STATE, CohortTooSmall),
    (
        replace(CONFIG, mechanism=replace(MECHANISM, cohort_size=944, min_survivors=900)),
        STATE,
        Refusal,
    ),
    (CONFIG, replace(ask().state, last_time_s=-1000), Refusal),
    (CONFIG, replace(STATE, last_time_s=-59), Refusal),
    (CONFIG, replace(STATE, last_time_s=1), Refusal),
    (CONFIG, replace(STATE, participations=10), BudgetExceeded),
    (CONFIG, abort(abort(STATE, -2), -1), Refusal),
    (CONFIG, replace(STATE, spent=Fraction(1, 2)), BudgetExceeded),
    (replace(CONFIG, mechanism=replace(MECHANISM, sigma2=25)), STATE, BudgetExceeded),
]


@pytest.mark.parametrize(("config", "state", "kind"), REFUSED)
def test_authorise_refuses_with_three_lines(config, state, kind):
    refusal = ask(config, state)
    assert isinstance(refusal, kind)
    assert [w.split(":")[0] for w in refusal.message.splitlines()] == ["requested", "remaining"]
    assert refusal.hint


def test_no_charge_counts_on_more_shares_of_noise_than_the_policy_has_devices():
    """no charge counts on more shares of noise than the policy has devices."""
    for users, most in ((100, 100), (99, 0)):
        verdict = decide(FLOOR, STATE, replace(POLICY, users=users), CONFIG, 0)
        shares = verdict.config.mechanism.noise_shares if isinstance(verdict, Charge) else 0
        assert shares <= min(most, users)
        assert isinstance(verdict, Charge) == (users >= CONFIG.mechanism.cohort_size)


@pytest.mark.parametrize("which", ["policy", "round"])
def test_authorise_refuses_a_wrong_signature(which):
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    policy = sign(POLICY, stranger) if which == "policy" else SIGNED
    config = sign(CONFIG, stranger if which == "round" else SERVER)
    assert isinstance(authorise(FLOOR, STATE, policy, config, 0), PolicyRefused)


def test_authorise_refuses_another_policy_of_the_same_officer():
    other = sign(replace(POLICY, operator="Other"), OFFICER)
    assert isinstance(authorise(FLOOR, STATE, other, sign(CONFIG, SERVER), 0), PolicyRefused)


@given(st.binary(max_size=200), st.binary(max_size=70))
def test_no_bytes_make_it_raise(payload, signature):
    """no bytes make it raise."""
    for policy, config in ((Signed(payload, signature), SIGNED), (SIGNED, Signed(payload, b""))):
        assert isinstance(authorise(FLOOR, STATE, policy, config, 0), Refusal)
    label = b"privet/v1/RoundConfig\n"
    honest = Signed(payload, SERVER.sign(label + payload))
    assert isinstance(authorise(FLOOR, STATE, SIGNED, honest, 0), Refusal)


def test_no_round_is_answered_twice_in_whatever_session():
    """no round is answered twice, in whatever session."""
    after = ask().state
    other = replace(CONFIG, model_hash="11" * 32)
    assert isinstance(ask(other, after, now=10**6), Refusal)
    assert isinstance(ask(replace(other, round=2), after, now=10**6), Charge)


def hostile_mechanism(rng: np.random.Generator) -> dict[str, object]:
    """Fields around every limit, most of them just inside, some absurd."""
    n = int(rng.choice([0, 1, 15, 16, 100, 999, 1000, 1001, 2**31]))
    c = int(rng.choice([4095, 4096, 8192, 16384, 16385]))
    odd = [10**40, -1, True, "5", None]
    fields: dict[str, object] = {
        "trust": str(rng.choice(["distributed", "central", "local", "none"])),
        "cohort_size": n,
        "min_survivors": max(0, int(n * rng.choice([0.4, 0.5, 0.66, 0.67, 0.9, 1.0, 1.1]))),
        "max_colluders": int(rng.choice([0, 0, 1, 20, 10**6])),
        "dimension": int(rng.choice([8, 8, 8, 7, 0, 2**20])),
        "scaled_norm": c,
        "delta2_squared": c * c + int(rng.choice([0, c + 4, c + 5, 2 * c, 2**31])),
        "sigma2": int(rng.choice([0, 24, 25, 10**6, 10**8, 2**42, 2**42 + 1])),
    }
    if rng.random() < 0.1:
        fields[str(rng.choice(list(fields)))] = odd[int(rng.integers(len(odd)))]
    return fields


LARGE = replace(POLICY, users=1000)


def attack(count: int, seed: int) -> int:
    """Send random configurations, keep every charge, and check the floor after each."""
    rng, state, accepted = np.random.default_rng(seed), STATE, 0
    for step in range(count):
        if step % 50 == 0:
            state = STATE  # a fresh device, else its budget is soon gone
        try:
            mechanism = Mechanism(**hostile_mechanism(rng))  # type: ignore[arg-type]
            config = replace(
                CONFIG, mechanism=mechanism, round=int(rng.choice([-1, 0, 1, 2, step + 1]))
            )
        except DataError:
            continue
        verdict = decide(FLOOR, state, LARGE, config, int(rng.integers(0, 100 * step + 1)))
        if isinstance(verdict, Refusal):
            continue
        accepted += 1
        m = mechanism
        assert verdict.state.spent == state.spent + m.rho <= FLOOR.rho_cap
        assert m.rho <= FLOOR.rho_round_max
        assert m.trust in FLOOR.trusts
        assert m.sigma2 >= 25
        assert m.cohort_size <= LARGE.users
        assert m.trust == "central" or m.noise_shares >= 16
        assert 3 * m.min_survivors > 2 * m.cohort_size
        assert verdict.state.last_rounds != state.last_rounds
        state = verdict.state
    return accepted


def test_whatever_a_hostile_server_sends_the_sum_of_rho_never_passes_the_cap():
    """whatever a hostile server sends, the sum of rho never passes the cap."""
    assert attack(20_000, seed=1) > 10


@pytest.mark.slow
def test_a_million_hostile_configs_neither_crash_nor_pass_the_floor():
    assert attack(1_000_000, seed=2) > 500


def test_a_charge_cannot_be_built_outside_authorise():
    """a charge cannot be built outside authorise."""
    with pytest.raises(Refusal):
        Charge(object(), CONFIG, STATE)
    with pytest.raises(Refusal):
        pickle.dumps(ask())


@pytest.mark.parametrize("copier", [lambda c: c, copy.copy, copy.deepcopy])
def test_a_charge_releases_once_copies_included(copier):
    """a charge releases once, copies included."""
    charge = ask()
    release(np.ones(8), QUERY, charge, np.random.default_rng(0))
    twin = copier(charge)
    with pytest.raises(Refusal, match="once"):
        release(np.ones(8), QUERY, twin, np.random.default_rng(0))


@pytest.mark.parametrize("bad", [None, STATE])
def test_release_accepts_nothing_but_a_charge(bad):
    with pytest.raises(Refusal):
        release(np.ones(8), QUERY, bad, np.random.default_rng(0))


def test_release_refuses_another_query():
    charge = ask()
    with pytest.raises(Refusal):
        release(np.ones(8), replace(QUERY, purpose="Else."), charge, np.random.default_rng(0))


@pytest.mark.parametrize("sparse", [False, True])
def test_neighbours_with_identical_randomness_differ_by_at_most_delta2(sparse):
    """Zero-out: same rng, same noise, same number of words drawn whatever the data."""
    sent, drawn = [], []
    for vector in (np.linspace(-1, 1, 8), np.zeros(8), np.full(8, np.nan)):
        source = CountingRng(3)
        given_vector = SparseVector(8, np.arange(8), vector) if sparse else vector
        sent.append(
            from_residues(
                release(given_vector, QUERY, ask(), np.random.default_rng(0), source).residues
            )
        )
        drawn.append(source.count)
    assert int(((sent[0] - sent[1]) ** 2).sum()) <= MECHANISM.delta2_squared
    assert (sent[1] == sent[2]).all()
    assert len(set(drawn)) == 1


class CountingRng(SimulationRng):
    count = 0

    def words(self, count: int) -> np.ndarray:
        self.count += count
        return super().words(count)


def test_release_adds_no_noise_under_central_trust():
    central = mechanism_of(8, 10**12, Cohort("central", 100))
    charge = ask(replace(CONFIG, mechanism=central))
    sent = release(np.ones(8), QUERY, charge, np.random.default_rng(0)).residues
    expected = encode(np.ones(8), QUERY, central, np.random.default_rng(0))
    assert (from_residues(sent) == expected).all()


def test_abort_forgets_what_is_older_than_a_week():
    assert abort(abort(STATE, 0), 8 * 24 * 3600).aborts_s == (8 * 24 * 3600,)


@pytest.mark.parametrize("value", [POLICY, CONFIG, STATE, ask().state, MECHANISM, FLOOR])
def test_canonical_bytes_read_back_as_the_value(value):
    assert parse(type(value), canonical(value)) == value


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d + b" ",
        lambda d: d[:-1],
        lambda d: b"[" * 60_000,
        lambda d: b" " * 70_000,
        lambda d: b"\xff",
        lambda d: d.replace(b'"round":1', b'"round":1.0'),
        lambda d: d.replace(b'"round":1', b'"round":NaN'),
        lambda d: d.replace(b'"round":1', b'"round":true'),
        lambda d: d.replace(b'"round":1', b'"round":' + b"9" * 5000),
        lambda d: d.replace(b'"round":1', b'"more":1'),
        lambda d: d.replace(b'"1.0"', b"1"),
        lambda d: d.replace(b'"1.0"', b'"1.00"'),
        lambda d: d.replace(b'"1.0"', b'"nan"'),
        lambda d: json.dumps(json.loads(d) | {"query": {"blocks": 3}}).encode(),
        lambda d: d.replace(b'"blocks":[', b'"blocks":3,"x":['),
        lambda d: d.replace(b"[{", b'{"a":[{').replace(b"}]", b"}]}"),
    ],
)
def test_parse_refuses_what_is_not_canonical(spoil):
    with pytest.raises(DataError):
        parse(RoundConfig, spoil(canonical(CONFIG)))


def test_parse_refuses_a_fraction_that_would_fill_the_memory():
    with pytest.raises(DataError):
        parse(Policy, canonical(POLICY).replace(b'"1/100000"', b'"1e999999999"'))


def test_a_signature_of_one_type_does_not_pass_for_another():
    assert isinstance(authorise(FLOOR, STATE, sign(CONFIG, OFFICER), SIGNED, 0), PolicyRefused)


def test_demo_is_said_below_16_shares():
    assert replace(FLOOR, min_noise_shares=3).demo
    assert not FLOOR.demo


@pytest.mark.parametrize("delta", [Fraction(1, 9430 - 1) * 10, Fraction(0), 1e-6])
def test_policy_refuses_a_delta_that_is_too_large(delta):
    with pytest.raises(DataError, match="delta"):
        replace(POLICY, delta=delta)


@pytest.mark.parametrize("change", [{"rho_cap": -Fraction(1)}, {"rho_cap": 1}, {"aborts_max": -1}])
def test_floor_refuses_what_is_no_floor(change):
    with pytest.raises(DataError):
        replace(FLOOR, **change)


def test_round_config_refuses_two_dimensions():
    with pytest.raises(DataError, match="dimension"):
        replace(CONFIG, mechanism=mechanism_of(9, 100, Cohort("central", 100)))


@pytest.mark.parametrize("sparse", [False, True])
def test_release_sends_the_integers_plus_noise_on_every_coordinate(sparse):
    """A sparse vector's own coordinates carry noise as all others do."""
    dense = np.array([0.0, 0.5, 0, 0, -0.5, 0, 0.1, 0])
    where = np.flatnonzero(dense)
    vector = SparseVector(8, where, dense[where]) if sparse else dense
    noise = discrete_gaussian(MECHANISM.sigma2, 8, SimulationRng(3))
    wanted = encode(vector, QUERY, MECHANISM, np.random.default_rng(0))
    if sparse:
        integers = np.zeros(8, dtype=np.int64)
        integers[where] = wanted.values
    else:
        integers = wanted
    sent = release(vector, QUERY, ask(), np.random.default_rng(0), SimulationRng(3)).residues
    assert (from_residues(sent) == noise + integers).all()
    assert integers.any()
