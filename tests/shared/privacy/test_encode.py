# SPDX-License-Identifier: Apache-2.0
"""The integers of one device are bounded whatever the device holds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shared.errors import DataError
from shared.privacy.encode import decode, encode, from_residues, round_within, to_residues
from shared.privacy.plan import Cohort, mechanism_for
from shared.privacy.policy import Mechanism
from shared.privacy.query import Block, SparseVector, SumQuery

COHORT = Cohort("distributed", 100, Fraction(1, 10))
WILD = st.one_of(
    st.floats(width=64),
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-310, 1e30, 1e308, -1.7e308]),
)


def query_of(*sizes: int, clipping: str = "clip", norm: float = 1.5) -> SumQuery:
    blocks = tuple(Block(f"b{i}", size, norm * (i + 1)) for i, size in enumerate(sizes))
    return SumQuery("q", blocks, clipping, "A test.")  # type: ignore[arg-type]


def mechanism_of_query(query: SumQuery) -> Mechanism:
    return mechanism_for(query, Fraction(1, 10), COHORT)


@given(
    vector=hnp.arrays(np.float64, 12, elements=WILD),
    clipping=st.sampled_from(["clip", "scale"]),
    norm=st.sampled_from([1e-99, 1e-3, 1.0, 1e99]),
)
def test_the_squared_norm_of_the_integers_is_at_most_delta2_squared_for_every_input(
    vector, clipping, norm
):
    """the squared norm of the integers is at most delta2_squared for every input."""
    query = query_of(5, 7, clipping=clipping, norm=norm / 3)
    mechanism = mechanism_of_query(query)
    for given_vector in (vector, SparseVector(12, np.arange(12), vector)):
        encoded = encode(given_vector, query, mechanism, np.random.default_rng(1))
        values = encoded.values if isinstance(encoded, SparseVector) else encoded
        assert values.dtype == np.int64
        assert sum(int(x) ** 2 for x in values) <= mechanism.delta2_squared


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, 1e308, -1e308])
@pytest.mark.parametrize("clipping", ["clip", "scale"])
def test_a_nan_user_an_infinite_user_and_a_1e30_user_change_the_sum_by_no_more_than_delta2(
    bad, clipping
):
    """a NaN user, an infinite user and a 1e30 user change the sum by no more than Δ2."""
    query = query_of(50, clipping=clipping)
    mechanism = mechanism_of_query(query)
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((20, 50))
    total = sum(encode(v, query, mechanism, rng) for v in vectors)
    vectors[7] = bad
    changed = total + encode(vectors[7], query, mechanism, rng)
    assert int(((changed - total) ** 2).sum()) <= mechanism.delta2_squared


def test_rounding_is_right_on_average():
    """rounding is right on average.

    False alarm 1e-6 over 4 coordinates: 5.2 sd of a mean of 20,000 coins.
    """
    query = query_of(4, norm=1.0)
    mechanism = mechanism_of_query(query)
    vector = np.array([0.1234567, -0.7654321, 1e-6, 0.5])
    rng = np.random.default_rng(5)
    draws = np.array([encode(vector, query, mechanism, rng) for _ in range(20_000)])
    expected = vector * mechanism.scaled_norm
    assert np.abs(draws.mean(axis=0) - expected).max() <= 5.2 * 0.5 / np.sqrt(20_000)
    assert (np.abs(draws - expected) < 1).all()


def test_the_zero_vector_becomes_the_zero_vector():
    """the zero vector becomes the zero vector."""
    query = query_of(3, 4, clipping="scale")
    encoded = encode(np.zeros(7), query, mechanism_of_query(query), np.random.default_rng(0))
    assert not encoded.any()


def test_round_within_returns_zeros_when_no_try_fits():
    assert not round_within(np.full(4, 10.5), 399, np.random.default_rng(0)).any()


def test_round_within_tries_again_when_a_try_is_too_long():
    rounded = [round_within(np.full(4, 10.5), 441, np.random.default_rng(i)) for i in range(40)]
    assert all(int(r @ r) <= 441 and r.any() for r in rounded)


def test_encode_sparse_is_encode_dense():
    query = query_of(30, 70, clipping="scale")
    mechanism = mechanism_of_query(query)
    rng = np.random.default_rng(2)
    dense = rng.standard_normal(100)
    where = rng.permutation(100)
    sparse = encode(SparseVector(100, where, dense[where]), query, mechanism, rng)
    back = np.zeros(100, dtype=np.int64)
    back[sparse.indices] = sparse.values
    assert np.abs(back - encode(dense, query, mechanism, rng)).max() <= 1


def test_decode_inverts_encode_within_one_unit():
    query = query_of(10, norm=3.0)
    mechanism = mechanism_of_query(query)
    vector = np.linspace(-0.5, 0.5, 10)
    decoded = decode(encode(vector, query, mechanism, np.random.default_rng(0)), query, mechanism)
    assert np.abs(decoded - vector).max() <= 3.0 / mechanism.scaled_norm


def test_encode_refuses_a_mechanism_of_another_dimension():
    mechanism = mechanism_of_query(query_of(3))
    with pytest.raises(DataError, match="dimension"):
        encode(np.zeros(4), query_of(4), mechanism, np.random.default_rng(0))


@given(hnp.arrays(np.int64, 5, elements=st.integers(-(2**31), 2**31 - 1)))
def test_residues_return_the_integers(integers):
    back = from_residues(to_residues(integers))
    assert back.dtype == np.int64
    assert (back == integers).all()


def test_residues_add_modulo_2_to_the_32():
    assert from_residues(to_residues(np.array([2**31]))) == -(2**31)


def test_round_within_tosses_a_coin_for_every_coordinate():
    """False alarm 1e-18: 64 halves, all rounded one way."""
    rounded = round_within(np.full(64, 10.5), 10**6, np.random.default_rng(0))
    assert set(rounded) == {10, 11}


def test_round_within_never_moves_an_integer():
    class Low(np.random.Generator):
        def random(self, size):
            return np.zeros(size)

    rng = Low(np.random.PCG64(0))
    assert list(round_within(np.array([0.0, -3.0, 0.5]), 100, rng)) == [0, -3, 1]


def test_round_within_allows_the_bound_itself_and_keeps_the_shape():
    rng = np.random.default_rng(0)
    assert list(round_within(np.array([3.0, 4.0]), 25, rng)) == [3, 4]
    assert list(round_within(np.array([3.0, 4.0]), 24, rng)) == [0, 0]
