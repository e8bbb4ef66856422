# SPDX-License-Identifier: Apache-2.0
"""What devices answer about interest: alone as together, zero where there is nothing to say."""

from dataclasses import replace

import numpy as np
import pytest

from client.training import answers
from server.interest import widened, with_directions
from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.history import History
from shared.model.interest import InterestModel
from shared.model.queries import rank_bilinear_query, rank_items_query, rank_weights_query
from shared.model.view import InterestView
from shared.privacy.clip import clip

OWNERS = [
    History(np.array([1, 4, 9, 20, 33, 7]), np.zeros(6)),
    History(np.array([5]), np.zeros(1)),
    History(np.zeros(0, np.int64), np.zeros(0)),
]


@pytest.fixture
def model(catalogue: Catalogue) -> InterestModel:
    rng = np.random.default_rng(0)
    items = len(catalogue)
    start = InterestModel.untrained(catalogue, rng.normal(size=items), rng.normal(size=items))
    wide = replace(widened(start, catalogue, 4), bilinear=rng.normal(size=(4, 4)) * 0.1)
    return with_directions(wide, catalogue, np.full(items, 1 / items), 2)


def test_answers_are_the_same_alone_and_together(
    catalogue: Catalogue, model: InterestModel
) -> None:
    queries = (rank_weights_query(), rank_bilinear_query(4), rank_items_query(len(catalogue), 2))
    for query in queries:
        place = np.arange(len(catalogue))
        view = InterestView(query.name, catalogue, model, place)  # type: ignore[arg-type]
        together = list(answers(view, OWNERS))
        for owner, vector in zip(OWNERS, together, strict=True):
            (alone,) = answers(view, [owner])
            clipped, twin = clip(vector, query), clip(alone, query)
            left, right = (getattr(v, "values", v) for v in (clipped, twin))
            np.testing.assert_array_equal(left, right)
            assert np.any(left) == (len(owner) > 3)


def test_rank_items_needs_a_place_for_items(catalogue: Catalogue, model: InterestModel) -> None:
    with pytest.raises(DataError, match="place"):
        list(answers(InterestView("rank_items", catalogue, model), OWNERS))
