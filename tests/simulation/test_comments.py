# SPDX-License-Identifier: Apache-2.0
"""Comment interest on the hamlet: declared comments are learnt from, held-out ones never."""

from dataclasses import replace

import numpy as np
import pytest

from server.plan import make_plan
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.model.released import SharedModel
from shared.schema import Interactions
from simulation.comments import comment_figures, held_out
from simulation.dataset import CommentEvents, Dataset
from simulation.devices import acts_at, devices_of
from simulation.federation import federate
from simulation.noise import SimulationRng
from simulation.splits import Split, split
from simulation.vectorised import Vectorised


@pytest.fixture(scope="module")
def parts(hamlet: Dataset) -> Split:
    return split(hamlet, "random", 0.3, 3)


def trained(hamlet: Dataset, parts: Split, catalogue: Catalogue) -> SharedModel:
    devices = devices_of(hamlet, parts.known)
    plan = make_plan(
        RunConfig(no_privacy=True), len(devices), catalogue, comments=hamlet.comments_declared
    )
    engine = Vectorised(np.random.default_rng(0), SimulationRng(0))
    return federate(devices, catalogue, plan, engine.cohort_sum)


def rows(users: list[int], items: list[int]) -> Interactions:
    count = len(users)
    texts = np.array([""] * count, dtype=object)
    numbers = np.zeros(count)
    return Interactions(
        np.array(users), np.array(items), numbers, np.zeros(count, np.int64), texts, numbers
    )


def test_acts_take_the_last_event_of_a_pair_and_know_no_other() -> None:
    events = CommentEvents(
        users=np.array([0, 0, 1]),
        items=np.array([2, 2, 2]),
        interested=np.array([1, 0, 1]),
        opened=np.full(3, -1),
        timestamps=np.array([9, 5, 1]),
    )
    found = acts_at(events, rows([0, 0, 1], [2, 1, 2]), 3)
    np.testing.assert_array_equal(found, [1.0, np.nan, 1.0])
    assert acts_at(None, rows([0], [0]), 3) is None


def test_devices_know_no_comment_that_is_held_out(hamlet: Dataset, parts: Split) -> None:
    for user, device in enumerate(devices_of(hamlet, parts.known)):
        away = parts.test.items[parts.test.users == user]
        assert not np.isin(device.items, away).any()
        assert device.comment_lengths is not None
        assert len(device.comment_lengths) == len(device.items)


def test_devices_keep_comments_out_where_they_are_not_declared(
    hamlet: Dataset, parts: Split
) -> None:
    silent = replace(hamlet, comments_declared=False)
    assert all(d.comment_lengths is None for d in devices_of(silent, parts.known))


def test_comment_figures_name_their_rule_and_beat_chance(
    hamlet: Dataset, parts: Split, catalogue: Catalogue
) -> None:
    model = trained(hamlet, parts, catalogue)
    figures = comment_figures(model, devices_of(hamlet, parts.known), parts, hamlet)
    assert figures["comment_rule"] == "events"
    assert figures["comment_users"] >= 30
    assert figures["comment_auc"] > 0.52
    assert set(figures["comment_auc_by_rule"]) >= {"events"}


def test_comment_figures_are_null_where_no_comments_are_declared(
    hamlet: Dataset, parts: Split, catalogue: Catalogue
) -> None:
    silent = replace(hamlet, comments_declared=False)
    model = trained(silent, parts, catalogue)
    figures = comment_figures(model, devices_of(silent, parts.known), parts, silent)
    assert model.comment_mean is None
    assert figures["comment_auc"] is None
    assert figures["comment_rule"] is None


def test_pairs_have_both_classes(hamlet: Dataset, parts: Split) -> None:
    for pairs in held_out(devices_of(hamlet, parts.known), parts, hamlet):
        assert pairs.interested.any()
        assert not pairs.interested.all()
