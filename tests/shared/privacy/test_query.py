# SPDX-License-Identifier: Apache-2.0
"""What may be asked: the ends of every range are allowed, and the metrics query is as written."""

import numpy as np
import pytest

from shared.errors import DataError
from shared.privacy.query import Block, SparseVector, metrics_query


@pytest.mark.parametrize("norm", [1e-100, 1e100])
def test_block_allows_the_ends_of_the_range_of_norms(norm):
    assert Block("a", 1, norm).clipping_norm == norm


@pytest.mark.parametrize("size", [1, 2**31 - 1])
def test_block_allows_the_ends_of_the_range_of_sizes(size):
    assert Block("a", size, 1.0).size == size


@pytest.mark.parametrize("indices", [[0], [6], [0, 6], [6, 0, 3]])
def test_sparse_vector_allows_the_first_and_the_last_coordinate(indices):
    assert SparseVector(7, np.array(indices), np.ones(len(indices))).dimension == 7


@pytest.mark.parametrize("indices", [[0, 5, 5], [5, 0, 5], [1, 2, 3, 4, 4], [3, 0, 1, 2, 3]])
def test_sparse_vector_refuses_a_repeated_coordinate_wherever_it_is(indices):
    with pytest.raises(DataError, match="repeated"):
        SparseVector(7, np.array(indices), np.ones(len(indices)))


def test_metrics_query_is_one_block_of_m_plus_1_figures():
    query = metrics_query(("rmse_user", "hit"))
    assert query.name == "metrics"
    assert query.blocks == (Block("metrics", 3, 3**0.5),)
    assert query.clipping == "clip"
    assert query.purpose == "How well the shared model serves people, on average: rmse_user, hit."
