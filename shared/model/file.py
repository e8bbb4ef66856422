# SPDX-License-Identifier: Apache-2.0
"""The released model as a file: safetensors, nothing that runs, everything that a device needs."""

from dataclasses import replace

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.prior import Prior
from shared.model.released import SharedModel
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower

FORMAT = "privet-model-1"


def save_model(model: SharedModel) -> bytes:
    """Write statistics, prior, and the tower's item vectors and offsets."""
    arrays = {name: getattr(model.statistics, name) for name in ("mean", "weight", "log_weight")}
    arrays |= {"prior_covariance": model.prior.covariance, "prior_mean": model.prior.mean}
    arrays |= {"features": model.tower.features, "offset": model.tower.offset}
    plain = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    return bytes(save(plain, metadata={"format": FORMAT}))


def load_model(data: bytes, catalogue: Catalogue) -> SharedModel:
    """Read a model file for its catalogue; it predicts what the saved model predicted.

    Raises:
        DataError: the bytes are not a model file of this format, or of another catalogue.
    """
    try:
        read = load(data)
        statistics = ItemStatistics(read["mean"], read["weight"], read["log_weight"])
        prior = Prior(read["prior_covariance"], read["prior_mean"])
        start = build_tower(catalogue, statistics)
        tower = replace(start, features=read["features"], offset=read["offset"])
    except (SafetensorError, KeyError, ValueError):
        raise DataError(
            "a model must be a safetensors file of Privet for this catalogue, got another.",
            hint="fetch the model and its catalogue again.",
        ) from None
    if start.features.shape != tower.features.shape:
        raise DataError(
            f"a model must have the catalogue's {len(catalogue)} items, got another shape.",
            hint="fetch the model and its catalogue again.",
        )
    return SharedModel(catalogue, statistics, tower, prior)
