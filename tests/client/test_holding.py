# SPDX-License-Identifier: Apache-2.0
"""Which ratings a device holds out: its own secret, stable, and only where metrics were agreed."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from client.books import unpack_vector
from client.device import Device
from client.holding import FEWEST, hold_out, parts
from shared.errors import Refusal
from shared.model.history import History
from shared.model.queries import METRICS, item_sums_query
from shared.model.released import SharedModel
from shared.model.view import ItemSumsView, MetricsView
from shared.privacy.canonical import digest, sign
from shared.privacy.door import Contribution
from shared.privacy.encode import encode
from shared.privacy.plan import mechanism_for
from shared.privacy.policy import Policy, RoundConfig
from shared.privacy.query import SparseVector, metrics_query
from tests.client.made_store import COHORT, OFFICER, OFFICER_KEY, POLICY, SERVER, joined

IDS = tuple(f"item {row}" for row in range(4000))
MEASURED = replace(POLICY, queries=(*POLICY.queries, "metrics"))
"""A policy that asks for metrics as well."""


def history(rows: int) -> History:
    return History(np.arange(rows), np.linspace(-2, 1.5, rows))


def asked(policy: Policy, round_: int = 1):  # type: ignore[no-untyped-def]
    query = metrics_query(METRICS)
    mechanism = mechanism_for(query, Fraction(1, 50), COHORT)
    return sign(RoundConfig(digest(policy), "00" * 32, "autumn", round_, query, mechanism), SERVER)


@pytest.fixture
def ready(device: Device) -> Device:
    for row in range(20):
        device.rate(row, float(1 + row % 5), now=500)
    device.accept(sign(MEASURED, OFFICER), OFFICER_KEY, now=1000)
    return device


def test_hold_out_takes_about_a_tenth_and_loses_nothing() -> None:
    kept, held = hold_out(history(4000), IDS, b"secret")
    assert 320 < len(held) < 480  # 4 standard deviations of 4,000 draws of a tenth
    assert sorted([*kept.items, *held.items]) == list(range(4000))
    assert np.isin(held.ratings, history(4000).ratings).all()


def test_hold_out_stays_when_ratings_come_and_change() -> None:
    few, many = history(300), history(2000)
    _, held = hold_out(few, IDS, b"secret")
    _, later = hold_out(replace(many, ratings=-many.ratings), IDS, b"secret")
    assert set(held.items) == {row for row in later.items if row < 300}


def test_hold_out_is_the_devices_own_secret() -> None:
    chosen = [set(hold_out(history(300), IDS, key)[1].items) for key in (b"one", b"two")]
    assert chosen[0] != chosen[1]


def test_small_histories_hold_one_rating_out_and_tiny_ones_none() -> None:
    secrets = [bytes([n]) for n in range(60)]
    small = [len(hold_out(history(FEWEST), IDS, key)[1]) for key in secrets]
    assert min(small) == 1
    assert len(hold_out(history(0), IDS, b"x")[1]) == 0
    tiny = [len(hold_out(history(1), IDS, key)[1]) for key in secrets]
    assert min(tiny) == 0


def test_only_a_policy_with_metrics_makes_a_device_hold_out(ready: Device) -> None:
    settings, own, ids = ready._books.settings, ready.history, ready.catalogue.item_ids
    held = parts(settings, own, ids)[1]
    assert 0 < len(held) < len(own) == 20, "the owner's own list uses all"
    membership = replace(
        settings.membership,  # type: ignore[type-var]
        policy=sign(POLICY, OFFICER).payload.decode(),
    )
    assert len(parts(replace(settings, membership=membership), own, ids)[1]) == 0
    assert len(parts(replace(settings, membership=None), own, ids)[1]) == 0


def test_training_answers_leave_out_what_is_held_out(ready: Device) -> None:
    items = len(ready.catalogue)
    query = item_sums_query(items)
    mechanism = mechanism_for(query, Fraction(1, 50), COHORT)
    config = RoundConfig(digest(MEASURED), "00" * 32, "autumn", 1, query, mechanism)
    ready.answer(sign(config, SERVER), ItemSumsView(items), "s", now=2000)
    kept, held = parts(ready._books.settings, ready.history, ready.catalogue.item_ids)
    outbox = ready._books.outbox
    assert outbox is not None
    sealed = unpack_vector(outbox["vector"])
    assert isinstance(sealed, SparseVector)
    assert set(sealed.indices // 2) == set(kept.items)
    assert set(held.items) == set(range(20)) - set(kept.items)
    assert len(held) > 0


def test_a_device_measures_what_it_held_out_and_books_a_metric_upload(ready: Device) -> None:
    view = MetricsView(SharedModel.before_any_release(ready.catalogue))
    given = ready.answer(asked(MEASURED), view, "s", now=2000)
    assert isinstance(given, Contribution)
    (receipt,) = ready.receipts()
    assert (receipt.kind, receipt.query) == ("metric-upload", "metrics")
    (vector,) = ready._owner().answers(view)
    assert vector[-1] == 1
    query = metrics_query(METRICS)
    integers = encode(
        vector, query, mechanism_for(query, Fraction(1, 50), COHORT), np.random.default_rng(0)
    )
    shown = ready.preview()
    assert np.count_nonzero(integers) == shown.touched
    assert "that you held ratings out" in [line.label for line in shown.lines]


def test_a_new_rating_is_measured_or_learnt_from_at_once(ready: Device) -> None:
    before = ready._owner()
    for row in range(20, 60):
        ready.rate(row, 3.0, now=600)
        now = ready._owner()
        assert now.held is not None
        assert len(now.devices[0]) + len(now.held[0]) == row + 1
    assert before is not ready._owner()


def test_a_device_whose_policy_has_no_metrics_refuses(device: Device) -> None:
    joined(device)
    view = MetricsView(SharedModel.before_any_release(device.catalogue))
    refusal = device.answer(asked(POLICY), view, "s", now=2000)
    assert isinstance(refusal, Refusal)
    assert device.spent == 0
