# SPDX-License-Identifier: Apache-2.0
"""What a device measures is what the simulator measures on the same held-out ratings."""

from dataclasses import replace

import numpy as np
import pytest

from client.measuring import figures_vector
from client.training import Cohort
from server.plan import make_plan
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.model.queries import METRICS
from shared.model.released import SharedModel
from shared.model.view import MetricsView
from simulation.comments import comment_figures
from simulation.dataset import Dataset
from simulation.devices import DevicePredictor, devices_of
from simulation.evaluate import evaluate
from simulation.federation import federate
from simulation.noise import SimulationRng
from simulation.private_metrics import metric_answers
from simulation.splits import Split, split
from simulation.vectorised import Vectorised


@pytest.fixture(scope="module")
def parts(hamlet: Dataset) -> Split:
    return split(hamlet, "random", 0.3, 3)


@pytest.fixture(scope="module")
def model(hamlet: Dataset, parts: Split, catalogue: Catalogue) -> SharedModel:
    devices = devices_of(hamlet, parts.known)
    config = RunConfig(no_privacy=True, rounds=1, blocks=("items",))
    plan = make_plan(config, len(devices), catalogue, comments=hamlet.comments_declared)
    engine = Vectorised(np.random.default_rng(0), SimulationRng(0))
    return federate(devices, catalogue, plan, engine.cohort_sum)


def test_devices_measure_what_the_simulator_measures(
    hamlet: Dataset, parts: Split, model: SharedModel
) -> None:
    devices, held = devices_of(hamlet, parts.known), devices_of(hamlet, parts.test)
    columns: dict[str, np.ndarray] = {}
    predictor = DevicePredictor(model, devices, hamlet.scale)
    evaluate(
        predictor,
        parts,
        items_count=len(model.catalogue),
        categories=hamlet.items.categories,
        seed=1,
        per_user=columns,
    )
    comment_figures(model, devices, parts, hamlet, columns)
    unit = 1 / hamlet.scale.unit
    expected = np.stack(list(metric_answers(columns, np.arange(len(devices)), unit)))
    found = np.stack(list(Cohort(devices, held).answers(MetricsView(model))))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert expected[:, METRICS.index("comment_auc_known")].any()
    assert expected[:, METRICS.index("hit")].any()


def test_a_device_that_held_nothing_out_answers_with_zeros(
    hamlet: Dataset, parts: Split, model: SharedModel
) -> None:
    devices = devices_of(hamlet, parts.known)[:3]
    none = [device.take(np.zeros(0, dtype=np.int64)) for device in devices]
    for cohort in (Cohort(devices), Cohort(devices, none)):
        found = np.stack(list(cohort.answers(MetricsView(model))))
        np.testing.assert_array_equal(found, np.zeros((3, len(METRICS) + 1)))


def test_no_comments_declared_no_comment_figures(
    hamlet: Dataset, parts: Split, model: SharedModel
) -> None:
    devices, held = devices_of(hamlet, parts.known), devices_of(hamlet, parts.test)
    plain = MetricsView(replace(model, comment_mean=None))
    found = np.stack(list(Cohort(devices, held).answers(plain)))
    assert not found[:, -3:-1].any()


def test_figures_lie_in_the_unit_cube_whatever_they_are() -> None:
    wild = {"squared_error": 1e30, "absolute_error": float("nan"), "hit": -1.0, "ndcg": 7.0}
    np.testing.assert_array_equal(figures_vector(wild), [1, 0, 0, 1, 0, 0, 1])
