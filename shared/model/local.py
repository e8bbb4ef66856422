# SPDX-License-Identifier: Apache-2.0
"""What a device shows its owner: the ridge, or the ridge with the likeness kernel."""

import numpy as np

from shared.catalogue import Catalogue
from shared.model.kernel import (
    AMPLITUDE,
    NEWEST,
    NOISE_VARIANCE,
    gaussian_process,
    likeness,
)
from shared.model.prior import Prior
from shared.model.ridge import posterior
from shared.model.tower import Tower
from shared.schema import Floats, Ints


def predict(
    tower: Tower,
    prior: Prior,
    catalogue: Catalogue,
    items: Ints,
    ratings: Floats,
    targets: Ints,
    *,
    kernel: bool = True,
) -> Floats:
    """Predict one owner's ratings from their own history.

    Args:
        tower: Item vectors and offsets, public.
        prior: Population prior, public.
        catalogue: Public text, categories and ages.
        items: Rated items, oldest first, shape (n,); n may be 0. Private.
        ratings: Their ratings in r', shape (n,). Private.
        targets: Items to predict, shape (t,).
        kernel: Whether the likeness kernel joins the linear part, where the catalogue has text or
            categories.

    Returns:
        Predicted r', shape (t,), not clipped. Private.
    """
    if len(items) == 0:
        return tower.offset[targets]
    if not (kernel and catalogue.tells_items_apart):
        # by age, esteem and popularity all items are alike: likeness would widen the prior alone
        residual = ratings - tower.offset[items]
        solved = posterior(tower.features[items], residual, prior.precision)
        return np.asarray(tower.offset[targets] + tower.features[targets] @ solved.mean)
    items, ratings = items[-NEWEST:], ratings[-NEWEST:]
    spread = tower.features[items] @ prior.covariance  # (n, K)
    gram = spread @ tower.features[items].T + AMPLITUDE * likeness(catalogue, tower, items, items)
    cross = tower.features[targets] @ spread.T
    cross += AMPLITUDE * likeness(catalogue, tower, targets, items)
    residual = ratings - tower.offset[items]
    return np.asarray(
        tower.offset[targets] + gaussian_process(gram, cross, residual, NOISE_VARIANCE)
    )
