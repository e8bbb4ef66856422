# SPDX-License-Identifier: Apache-2.0
"""A made-up catalogue, an interest model with everything in it, and one owner's history."""

import numpy as np
import pytest

from shared.catalogue import Catalogue
from shared.model.interest import NAMES, InterestModel
from shared.ranking.scores import ItemSide
from shared.schema import Ints
from tests.shared.model.conftest import made_up_catalogue

ITEMS, WIDTH, FACTORS = 60, 5, 2


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return made_up_catalogue(ITEMS, seed=4)


@pytest.fixture(scope="session")
def model(catalogue: Catalogue) -> InterestModel:
    rng = np.random.default_rng(5)
    return InterestModel(
        popularity=rng.normal(size=ITEMS),
        liking=rng.normal(size=ITEMS),
        projection=rng.normal(size=(catalogue.features.shape[1] + 2, WIDTH)),
        weights=rng.normal(size=len(NAMES)) * 0.3,
        bilinear=rng.normal(size=(WIDTH, WIDTH)) * 0.1,
        directions=rng.normal(size=(WIDTH, FACTORS)) * 0.2,
        centre=rng.normal(size=WIDTH) * 0.1,
        items=rng.normal(size=(ITEMS, 1 + FACTORS)) * 0.3,
        spread=np.full(1, 0.3),
    )


@pytest.fixture(scope="session")
def side(catalogue: Catalogue, model: InterestModel) -> ItemSide:
    return ItemSide.of(catalogue, model)


@pytest.fixture
def history() -> Ints:
    return np.random.default_rng(6).permutation(ITEMS)[:20]
