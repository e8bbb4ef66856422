# SPDX-License-Identifier: Apache-2.0
"""Every bound of clipping, by Hypothesis; the refusals of queries and sparse vectors."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shared.errors import DataError
from shared.privacy.clip import clip, metric_vector
from shared.privacy.query import Block, SparseVector, SumQuery, metrics_query

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


def query_of(clipping="clip"):
    return SumQuery("q", (Block("a", 3, 0.5), Block("b", 4, 2.0)), clipping, "A test.")


@given(hnp.arrays(np.float64, 7, elements=FINITE), st.sampled_from(["clip", "scale"]))
def test_every_blocks_norm_is_at_most_its_clipping_norm_times_1_plus_2_to_the_minus_40(v, how):
    """every block's norm is at most its clipping norm times 1 + 2**-40."""
    clipped = clip(v, query_of(how))
    assert np.linalg.norm(clipped[:3]) <= 0.5 * (1 + 2**-40)
    assert np.linalg.norm(clipped[3:]) <= 2.0 * (1 + 2**-40)


@given(hnp.arrays(np.float64, 7, elements=FINITE))
def test_clip_scale_gives_every_non_zero_block_its_clipping_norm(v):
    """with clipping "scale" every non-zero block has its clipping norm, to 2**-40 of it."""
    clipped = clip(v, query_of("scale"))
    for part, norm in ((slice(3), 0.5), (slice(3, None), 2.0)):
        wanted = norm if v[part].any() else 0.0
        assert np.linalg.norm(clipped[part]) == pytest.approx(wanted, rel=2**-40, abs=0)


@given(hnp.arrays(np.float64, 7, elements=st.floats(-0.2, 0.2)))
def test_clip_leaves_what_is_short_enough_unchanged(v):
    assert (clip(v, query_of()) == v).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_with_a_nan_or_an_infinity_becomes_zero_everywhere(bad):
    """a vector with a NaN or an infinity becomes zero everywhere."""
    assert not clip(np.array([1.0, 1, 1, 1, 1, 1, bad]), query_of()).any()


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e308])
def test_a_huge_or_denormal_vector_neither_overflows_nor_underflows(size):
    """a huge or denormal vector neither overflows nor underflows."""
    clipped = clip(np.full(7, size), query_of("scale"))
    assert clipped[:3] == pytest.approx(0.5 / 3**0.5)


def test_clip_scale_leaves_a_zero_block_zero():
    clipped = clip(np.array([0.0, 0, 0, 1e-9, 0, 0, 0]), query_of("scale"))
    assert list(clipped) == [0, 0, 0, 2.0, 0, 0, 0]


@given(hnp.arrays(np.float64, 7, elements=FINITE), st.permutations(range(7)))
def test_a_sparse_vector_is_clipped_as_its_dense_form_is(v, order):
    """a sparse vector is clipped as its dense form is."""
    where = np.array(order)
    sparse = clip(SparseVector(7, where, v[where]), query_of())
    np.testing.assert_allclose(sparse.values, clip(v, query_of())[where], rtol=1e-12)


@pytest.mark.parametrize("vector", [np.zeros(6), SparseVector(8, np.array([1]), np.array([1.0]))])
def test_clip_refuses_another_dimension(vector):
    with pytest.raises(DataError, match="vector must have"):
        clip(vector, query_of())


@pytest.mark.parametrize(
    ("indices", "values"),
    [
        ([1, 1], [1.0, 1.0]),
        ([0] * 1000, [1.0] * 1000),
        ([-1], [1.0]),
        ([7], [1.0]),
        ([1, 2], [1.0]),
        ([[1]], [[1.0]]),
        ([1.0], [1.0]),
    ],
)
def test_sparse_vector_refuses(indices, values):
    with pytest.raises(DataError, match="sparse vector"):
        SparseVector(7, np.array(indices), np.array(values))


def test_sparse_vector_may_be_empty():
    assert (
        clip(SparseVector(7, np.array([], dtype=np.int64), np.array([])), query_of()).values.size
        == 0
    )


@pytest.mark.parametrize("size", [0, -1, 1.0, True, 2**31])
def test_block_refuses_a_size(size):
    with pytest.raises(DataError, match="size"):
        Block("a", size, 1.0)


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan"), float("inf"), 1, 1e101])
def test_block_refuses_a_clipping_norm(norm):
    with pytest.raises(DataError, match="clipping_norm"):
        Block("a", 1, norm)


@pytest.mark.parametrize(("blocks", "how"), [((), "clip"), ((Block("a", 1, 1.0),), "none")])
def test_query_refuses(blocks, how):
    with pytest.raises(DataError):
        SumQuery("q", blocks, how, "A test.")


@given(st.dictionaries(st.sampled_from(["rmse", "hit"]), st.floats()))
def test_metric_vector_is_within_its_query_s_norm(figures):
    names = ("rmse", "hit", "auc")
    vector = metric_vector(figures, names)
    assert vector[-1] == 1
    assert ((vector >= 0) & (vector <= 1)).all()
    assert (clip(vector, metrics_query(names)) == vector).all()


def test_policy_and_accountant_load_without_numpy():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import shared.privacy.policy, shared.privacy.accountant, shared.privacy.canonical"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("how", ["clip", "scale"])
def test_clip_cuts_three_blocks_where_they_are(how):
    query = SumQuery("q", tuple(Block(f"b{n}", n, 0.1 * n) for n in (1, 2, 3)), how, "A test.")
    dense = np.array([5.0, 3, 4, 2, 1, 2])
    wanted = [0.1, 0.12, 0.16, 0.2, 0.1, 0.2]
    where = np.array([5, 1, 0, 4, 2, 3])
    assert clip(dense, query) == pytest.approx(wanted)
    assert clip(SparseVector(6, where, dense[where]), query).values == pytest.approx(
        np.array(wanted)[where]
    )


def test_metric_vector_clamps_figures_and_counts_the_missing_as_0():
    figures = {"a": 0.25, "b": np.nan, "c": np.inf, "d": -np.inf, "e": 7.0, "f": -1.0}
    assert list(metric_vector(figures, (*"abcdef", "missing"))) == [0.25, 0, 0, 0, 1, 0, 0, 1]


def test_clip_leaves_a_block_of_exactly_its_norm_to_the_last_bit():
    assert list(clip(np.array([0.3, 0.4, 0, 0, 0, 0, 2.0]), query_of())) == [
        0.3,
        0.4,
        0,
        0,
        0,
        0,
        2,
    ]


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_clip_works_in_float64_whatever_it_is_given(kind):
    given = np.array([3, 4, 0, 0, 0, 0, 9], dtype=kind)
    sparse = clip(SparseVector(7, np.arange(7), given), query_of())
    for clipped in (clip(given, query_of()), sparse.values):
        assert clipped.dtype == np.float64
        assert list(clipped) == list(clip(given.astype(np.float64), query_of()))
