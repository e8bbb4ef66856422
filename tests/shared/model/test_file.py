# SPDX-License-Identifier: Apache-2.0
"""The model file: what was saved ranks as before, and parts that do not fit are refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from server.interest import widened, with_directions
from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.file import load_model, save_model
from shared.model.released import SharedModel
from shared.schema import Floats


@pytest.fixture
def model(catalogue: Catalogue) -> SharedModel:
    rng = np.random.default_rng(0)
    start = SharedModel.before_any_release(catalogue)
    items = len(catalogue)
    popular = replace(start.interest, popularity=rng.normal(size=items))
    drawn = replace(widened(popular, catalogue, 3), bilinear=rng.normal(size=(3, 3)))
    tilted = with_directions(drawn, catalogue, np.full(items, 1 / items), 2)
    return replace(start, interest=tilted.with_items(rng.normal(size=(items, 3))))


def test_interest_survives_the_file(catalogue: Catalogue, model: SharedModel) -> None:
    read = load_model(save_model(model), catalogue)
    for name, value in vars(model.interest).items():
        np.testing.assert_array_equal(getattr(read.interest, name), value)


def test_interest_that_does_not_fit_together_is_refused(
    catalogue: Catalogue, model: SharedModel
) -> None:
    for name in ("popularity", "weights", "directions", "items"):
        broken = replace(model.interest, **{name: getattr(model.interest, name)[:-1]})
        with pytest.raises(DataError):
            load_model(save_model(replace(model, interest=broken)), catalogue)


@pytest.mark.parametrize("name", ["mean", "weight", "log_weight"])
@pytest.mark.parametrize("spoil", [lambda a: a[:-1], lambda a: a * np.nan], ids=["short", "nan"])
def test_statistics_that_no_device_could_use_are_refused(
    catalogue: Catalogue, model: SharedModel, name: str, spoil: Callable[[Floats], Floats]
) -> None:
    """A device pins what it takes: a model that fails later would leave it without any."""
    broken = replace(model.statistics, **{name: spoil(getattr(model.statistics, name))})
    with pytest.raises(DataError):
        load_model(save_model(replace(model, statistics=broken)), catalogue)


def test_a_tower_prior_or_comments_that_do_not_fit_are_refused(
    catalogue: Catalogue, model: SharedModel
) -> None:
    width = model.tower.features.shape[1]
    broken = [
        replace(model, tower=replace(model.tower, offset=model.tower.offset[:-1])),
        replace(model, tower=replace(model.tower, features=model.tower.features * np.inf)),
        replace(model, prior=replace(model.prior, covariance=np.eye(width + 1))),
        replace(model, prior=replace(model.prior, mean=np.full(width, np.nan))),
        replace(model, comment_mean=np.zeros(3)),
    ]
    for each in broken:
        with pytest.raises(DataError):
            load_model(save_model(each), catalogue)
