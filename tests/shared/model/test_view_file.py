# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.file import save_model
from shared.model.interest import InterestModel
from shared.model.network import NetworkShape
from shared.model.prior import Prior
from shared.model.released import SharedModel
from shared.model.tower import Tower
from shared.model.view import (
    InterestView,
    ItemSumsView,
    MetricsView,
    NetworkView,
    PriorView,
    TrunkView,
    View,
    query_of,
)
from shared.model.view_file import load_view, save_view


def views() -> list[View]:
    rng = np.random.default_rng(3)
    tower = Tower(rng.normal(size=(5, 4)), rng.normal(size=5), rng.normal(size=5), (0, 2))
    prior = Prior(np.eye(4), rng.normal(size=4))
    place = np.array([0, -1, 1, 2, 3])
    return [
        ItemSumsView(7),
        PriorView(tower, rng.normal(size=(4, 2))),
        TrunkView(tower, prior, rng.normal(size=(4, 2)), 1.5, place),
        TrunkView(tower, prior, rng.normal(size=(4, 2)), 1.5, place, rng.normal(size=5)),
        NetworkView(
            tower,
            prior,
            rng.normal(size=(4, 2)),
            rng.normal(size=(5, 0)),
            None,
            NetworkShape(2, 3, 4),
            rng.normal(size=17),
            weights=(0.25, 1 / 3),
            reconstruction="split",
        ),
    ]


@pytest.mark.parametrize("view", views(), ids=range(5))
def test_view_file_reads_what_it_wrote(view: View) -> None:
    data = save_view(view)
    again = load_view(data)
    assert type(again) is type(view)
    assert save_view(again) == data


def test_view_file_keeps_every_number() -> None:
    view = views()[2]
    again = load_view(save_view(view))
    assert isinstance(view, TrunkView)
    assert isinstance(again, TrunkView)
    np.testing.assert_array_equal(again.tower.features, view.tower.features)
    np.testing.assert_array_equal(again.place, view.place)
    assert again.preference == 1.5
    assert again.tower.axes == (0, 2)


@pytest.mark.parametrize(
    "data", [b"", b"x" * 100, b"\xff" * 16, save_view(ItemSumsView(7))[:-1]], ids=range(4)
)
def test_view_file_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(DataError, match="a public view must be"):
        load_view(data)


def test_view_file_keeps_words_and_shapes() -> None:
    view = views()[4]
    again = load_view(save_view(view))
    assert isinstance(view, NetworkView)
    assert isinstance(again, NetworkView)
    assert again.shape == view.shape
    assert again.weights == view.weights
    assert again.reconstruction == "split"
    assert again.texts.shape == (5, 0)
    assert again.comment_mean is None


def test_view_file_refuses_a_word_that_is_not_agreed() -> None:
    with pytest.raises(DataError):
        load_view(save_view(views()[4]).replace(b"split", b"spilt"))


def test_view_file_refuses_an_unknown_kind() -> None:
    data = save_view(ItemSumsView(7)).replace(b"ItemSumsView", b"ItemSumsOpen")
    with pytest.raises(DataError):
        load_view(data)


def interest_view(catalogue: Catalogue) -> InterestView:
    rng = np.random.default_rng(2)
    model = InterestModel.untrained(catalogue, rng.normal(size=40), rng.normal(size=40))
    return InterestView("rank_weights", catalogue, model)


def test_view_file_names_the_catalogue_and_takes_the_one_at_hand(catalogue: Catalogue) -> None:
    view = interest_view(catalogue)
    data = save_view(view)
    again = load_view(data, lambda: catalogue)
    assert isinstance(again, InterestView)
    assert again.catalogue is catalogue
    assert again.query == "rank_weights"
    np.testing.assert_array_equal(again.interest.weights, view.interest.weights)
    assert save_view(again) == data


def test_view_file_refuses_another_catalogue(catalogue: Catalogue) -> None:
    data = save_view(interest_view(catalogue))
    other = replace(catalogue, titles=tuple(title + "?" for title in catalogue.titles))
    for held in (None, lambda: other):
        with pytest.raises(DataError, match="a public view must be"):
            load_view(data, held)


def test_view_file_refuses_steps_that_would_keep_a_device_busy_for_ever() -> None:
    data, marked = save_view(views()[4]), b'local_steps\\":1'
    assert marked in data
    with pytest.raises(DataError, match="local steps"):
        load_view(data.replace(marked, marked[:-1] + b"0"))
    with pytest.raises(DataError, match="local steps"):
        NetworkView(**{**vars(views()[4]), "local_steps": 10**9})


def test_view_of_the_metrics_is_the_model_file(catalogue: Catalogue) -> None:
    model = SharedModel.before_any_release(catalogue)
    view = MetricsView(model)
    data = save_view(view)
    assert data == save_model(model)
    again = load_view(data, lambda: catalogue)
    assert isinstance(again, MetricsView)
    assert query_of(again) == "metrics"
    assert again.catalogue is catalogue
    assert save_view(again) == data


def test_view_of_the_metrics_needs_its_own_catalogue(catalogue: Catalogue) -> None:
    data = save_view(MetricsView(SharedModel.before_any_release(catalogue)))
    fewer = replace(
        catalogue,
        item_ids=catalogue.item_ids[:-1],
        titles=catalogue.titles[:-1],
        features=catalogue.features[:-1],
        text=catalogue.text[:-1],
        categories=catalogue.categories[:-1],
        log_age=catalogue.log_age[:-1],
    )
    for held in (lambda: None, lambda: fewer):
        with pytest.raises(DataError):
            load_view(data, held)
    with pytest.raises(DataError):
        load_view(data)
