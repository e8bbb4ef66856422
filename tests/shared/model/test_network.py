# SPDX-License-Identifier: Apache-2.0
"""The numpy network: layout, zero start, agreement with torch."""

import numpy as np
import pytest
import torch

from shared.errors import DataError
from shared.model.network import NetworkShape, initial_network, join_inputs, network_forward

SHAPE = NetworkShape(factors=2, profile=32, features=57)


def test_network_shape_split_and_join_are_inverse() -> None:
    flat = np.arange(SHAPE.size, dtype=np.float64)
    np.testing.assert_array_equal(SHAPE.join(SHAPE.split(flat)), flat)


def test_network_shape_refuses_other_length() -> None:
    with pytest.raises(DataError, match="shape"):
        SHAPE.split(np.zeros(SHAPE.size + 1))


def test_initial_network_predicts_zero_and_follows_its_seed() -> None:
    flat = initial_network(SHAPE, 7)
    inputs = np.random.default_rng(0).standard_normal((5, SHAPE.inputs))
    assert not network_forward(SHAPE.split(flat), inputs).any()
    np.testing.assert_array_equal(flat, initial_network(SHAPE, 7))
    assert (flat != initial_network(SHAPE, 8)).any()


def test_network_forward_equals_torch() -> None:
    rng = np.random.default_rng(1)
    weights = SHAPE.split(0.3 * rng.standard_normal(SHAPE.size))
    inputs = rng.standard_normal((9, SHAPE.inputs))
    layers = torch.nn.Sequential(
        torch.nn.Linear(SHAPE.inputs, SHAPE.hidden),
        torch.nn.Tanh(),
        torch.nn.Linear(SHAPE.hidden, 2, bias=False),
    ).double()
    with torch.no_grad():
        for parameter, value in zip(
            layers.parameters(), (weights.hidden, weights.bias, weights.heads), strict=True
        ):
            parameter.copy_(torch.tensor(value))
        want = layers(torch.tensor(inputs)).numpy()
    np.testing.assert_allclose(network_forward(weights, inputs), want, atol=1e-6)


def test_join_inputs_repeats_one_user_over_items() -> None:
    joined = join_inputs(np.ones(2), np.zeros(32), np.full((3, 57), 2.0))
    assert joined.shape == (3, SHAPE.inputs)
    np.testing.assert_array_equal(joined[0], joined[2])
