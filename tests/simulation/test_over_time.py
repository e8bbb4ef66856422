# SPDX-License-Identifier: Apache-2.0
"""People followed through time: learning at once pays, and forgetting leaves no trace."""

import numpy as np
import pytest

from server.plan import make_plan
from shared.config import RunConfig
from shared.features import build_catalogue, item_text
from shared.model.history import History
from shared.model.profile import RATED_ALPHA, profile_of
from shared.text.encoder import load_encoder
from simulation.devices import devices_of
from simulation.federation import federate
from simulation.over_time import EVENTS, follow, latest, profile_drift
from simulation.run import _engine
from simulation.village import village


@pytest.fixture(scope="module")
def walked():
    data = village(260, 120, seed=9)
    vectors = load_encoder("characters").encode(item_text(data.items))
    catalogue, _ = build_catalogue(data.items, np.asarray(vectors))
    parts = latest(data)
    devices = devices_of(data, parts.known)
    config = RunConfig(no_privacy=True, blocks=("items",))
    model = federate(
        devices, catalogue, make_plan(config, len(devices), catalogue), _engine(config)
    )
    return data, parts, devices, model


def test_latest_holds_out_the_last_ratings_of_each_user(walked):
    data, parts, _, _ = walked
    rows = data.interactions
    for user in np.unique(parts.test.users)[:20]:
        mine = rows.timestamps[rows.users == user]
        held = parts.test.timestamps[parts.test.users == user]
        assert len(held) == EVENTS
        np.testing.assert_array_equal(held, mine[-EVENTS:])
    assert len(parts.train) + len(parts.test) == len(rows)


def test_users_with_little_history_keep_it(walked):
    data, parts, _, _ = walked
    counts = np.bincount(data.interactions.users)
    assert not set(np.flatnonzero(counts < 2 * EVENTS)) & set(parts.test.users.tolist())


def test_updated_devices_predict_and_rank_better_than_frozen_ones(walked):
    data, parts, devices, model = walked
    some = parts.test.take(parts.test.users < 60)
    figures = follow(model, devices, some, data.scale, seed=0)
    assert figures["events"] > 250
    assert figures["updated_auc"] > figures["frozen_auc"]
    assert figures["updated_rmse"] < figures["frozen_rmse"]
    assert 0 < figures["profile_drift"] < 1


def test_a_deleted_rating_leaves_no_trace(walked):
    _, _, devices, model = walked
    whole = max(devices, key=len)
    gone = len(whole) // 2
    without = History(np.delete(whole.items, gone), np.delete(whole.ratings, gone))
    order = [*range(gone), *range(gone + 1, len(whole)), gone]  # added last, then deleted
    longer = History(whole.items[order], whole.ratings[order])
    after = History(longer.items[:-1], longer.ratings[:-1])
    np.testing.assert_array_equal(model.user_vector(after), model.user_vector(without))
    targets = np.arange(len(model.catalogue))
    np.testing.assert_array_equal(model.rate(after, targets), model.rate(without, targets))
    profiles = [profile_of(model.catalogue.text[h.items], RATED_ALPHA) for h in (after, without)]
    np.testing.assert_array_equal(profiles[0].vector, profiles[1].vector)


def test_nobody_to_follow_gives_no_figure(walked):
    data, parts, devices, model = walked
    nobody = parts.test.take(np.zeros(0, dtype=np.intp))
    figures = follow(model, devices, nobody, data.scale, seed=0)
    assert figures["events"] == 0
    assert np.isnan(figures["updated_hr@10"])


def test_profiles_that_see_nothing_new_do_not_drift(walked):
    _, _, devices, model = walked
    items = [device.items for device in devices[:20]]
    assert profile_drift(model.catalogue, items, items) == pytest.approx(0.0, abs=1e-12)
    halves = [one[: len(one) // 2] for one in items]
    assert profile_drift(model.catalogue, halves, items) > 0.01
