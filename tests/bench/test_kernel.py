# SPDX-License-Identifier: Apache-2.0
"""Cost of the kernel's two hot paths. Goals: <= 1 µs a draw, <= 100 µs a sparse vector."""

from fractions import Fraction

import numpy as np
import pytest

from shared.privacy.encode import encode
from shared.privacy.noise import OsRandom, discrete_gaussian
from shared.privacy.plan import Cohort, mechanism_for
from shared.privacy.query import Block, SparseVector, SumQuery


@pytest.mark.parametrize("variance", [25, 10**6, 2**42])
def test_bench_discrete_gaussian(benchmark, variance):
    discrete_gaussian(variance, 1, OsRandom())
    benchmark(discrete_gaussian, variance, 100_000, OsRandom())


def test_bench_encode_sparse(benchmark):
    query = SumQuery("item_sums", (Block("rows", 3364, 1.0),), "scale", "A benchmark.")
    mechanism = mechanism_for(query, Fraction(1, 10), Cohort("distributed", 943))
    rng = np.random.default_rng(0)
    vector = SparseVector(3364, rng.choice(3364, 300, replace=False), rng.standard_normal(300))
    benchmark(encode, vector, query, mechanism, rng)
