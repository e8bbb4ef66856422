# SPDX-License-Identifier: Apache-2.0
"""The released model as a file: safetensors, nothing that runs, everything that a device needs."""

from dataclasses import fields, replace

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.interest import NAMES, InterestModel
from shared.model.network import Network, NetworkShape
from shared.model.prior import Prior
from shared.model.released import SharedModel
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower
from shared.model.view import profile_texts
from shared.schema import Floats

FORMAT = "privet-model-1"
INTEREST = fields(InterestModel)
"""Arrays of what ranks, in the order of its fields."""


def save_model(model: SharedModel) -> bytes:
    """Write statistics, prior, and the tower's item vectors and offsets."""
    arrays = {name: getattr(model.statistics, name) for name in ("mean", "weight", "log_weight")}
    arrays |= {"prior_covariance": model.prior.covariance, "prior_mean": model.prior.mean}
    arrays |= {"features": model.tower.features, "offset": model.tower.offset}
    if model.comment_mean is not None:
        arrays["comment_mean"] = model.comment_mean
    if model.network is not None:
        arrays["network_directions"] = model.network.directions
        arrays["network_parameters"] = model.network.parameters
    arrays |= {f"interest_{part.name}": getattr(model.interest, part.name) for part in INTEREST}
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
        _fit(read, len(catalogue), start.features.shape[1])
        network = _network(read, catalogue)
        interest = _interest(read, catalogue)
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
    return SharedModel(
        catalogue, statistics, tower, prior, interest, read.get("comment_mean"), network
    )


def _fit(read: dict[str, Floats], items: int, width: int) -> None:
    """Refuse numbers that are not finite, and parts that do not fit the catalogue."""
    wanted = dict.fromkeys(("mean", "weight", "log_weight", "offset", "comment_mean"), (items,))
    shapes = {**wanted, "prior_covariance": (width, width), "prior_mean": (width,)}
    if any(read[name].shape != shape for name, shape in shapes.items() if name in read):
        raise ValueError("the parts do not fit together")
    if not all(np.isfinite(part).all() for part in read.values()):
        raise ValueError("a number is not finite")


def _interest(read: dict[str, Floats], catalogue: Catalogue) -> InterestModel:
    """Read what ranks; its arrays must fit together."""
    model = InterestModel(*(read[f"interest_{part.name}"] for part in INTEREST))
    items, columns = len(catalogue), catalogue.features.shape[1] + 2
    width, factors = len(model.bilinear), model.items.shape[1] - 1
    wanted = (
        (items,),
        (items,),
        (columns, width),
        (len(NAMES),),
        (width, width),
        (width, factors),
        (width,),
        (items, 1 + factors),
        (1,),
    )
    if wanted != tuple(getattr(model, part.name).shape for part in INTEREST):
        raise ValueError("the arrays of interest do not fit together")
    return model


def _network(read: dict[str, Floats], catalogue: Catalogue) -> Network | None:
    """Read the network, where the model has one."""
    if "network_parameters" not in read:
        return None
    directions = read["network_directions"]
    shape = NetworkShape(
        directions.shape[1], profile_texts(catalogue).shape[1], directions.shape[0]
    )
    shape.split(read["network_parameters"])
    return Network(shape, directions, read["network_parameters"])
