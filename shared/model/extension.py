# SPDX-License-Identifier: Apache-2.0
"""Items that came after the last release: their text speaks for them, at no cost of budget.

The released means of the known items are regressed on their public features, as `item_sums` does
itself, and the regression gives the mean of a new item; its popularity is that of the items nobody
rates yet. Only what is public enters, so this is post-processing, and every device does it alike.

Source: Fay and Herriot (1979): the synthetic estimate of an area without a sample.
"""

from dataclasses import replace

import numpy as np

from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.released import SharedModel
from shared.model.statistics import (
    MEAN_PRECISION,
    MEAN_SD,
    RATING_VARIANCE,
    ROW_SCALE,
    ItemStatistics,
)
from shared.model.tower import build_tower
from shared.schema import Floats

UNKNOWN_QUANTILE = 0.05
"""A new item is as popular as this share of the known ones at most."""


def extended(model: SharedModel, catalogue: Catalogue) -> SharedModel:
    """Carry a released model to a catalogue with new items behind the known ones.

    Args:
        model: The released model of I items.
        catalogue: The same items, then the new ones (`shared.renewal.extend`).

    Returns:
        A model of all items; what it says of the known ones is unchanged. Public.

    Raises:
        DataError: The first items of the catalogue are not those of the model.
    """
    known = len(model.catalogue)
    if catalogue.item_ids[:known] != model.catalogue.item_ids:
        raise DataError(
            "a longer catalogue must begin with the items of the model, got others.",
            hint="add new items with shared.renewal.extend.",
        )
    new = len(catalogue) - known
    statistics = _longer(model.statistics, model.catalogue, catalogue)
    plain = build_tower(catalogue, statistics)
    offset = plain.offset + plain.features @ model.prior.mean
    tower = replace(
        model.tower,
        features=np.vstack([model.tower.features, plain.features[known:]]),
        offset=np.append(model.tower.offset, offset[known:]),
        log_weight=statistics.log_weight,
    )
    comments = model.comment_mean
    if comments is not None:
        comments = np.append(comments, np.full(new, comments.mean()))
    return replace(
        model, catalogue=catalogue, statistics=statistics, tower=tower, comment_mean=comments
    )


def _longer(statistics: ItemStatistics, old: Catalogue, catalogue: Catalogue) -> ItemStatistics:
    """Give new items the statistics that public features tell."""
    new = len(catalogue) - len(old)
    if not statistics.known:
        return ItemStatistics.empty(len(catalogue))
    rare = float(np.quantile(statistics.log_weight, UNKNOWN_QUANTILE))
    popularity = np.append(statistics.log_weight, np.full(new, rare))
    design = np.column_stack(
        [np.ones(len(catalogue)), popularity, popularity**2, catalogue.features]
    )
    fitted = design[len(old) :] @ _regression(design[: len(old)], statistics, catalogue)
    least = float(statistics.weight.min())
    return ItemStatistics(
        np.append(statistics.mean, fitted),
        np.append(statistics.weight, np.full(new, least)),
        popularity,
    )


def _regression(design: Floats, statistics: ItemStatistics, catalogue: Catalogue) -> Floats:
    """Regress released means on public features, each counted by how well it is known."""
    precision = np.concatenate([[0.01, 1.0, 4.0], np.empty(catalogue.features.shape[1])])
    for block in catalogue.blocks:
        precision[3 + block.start : 3 + block.stop] = MEAN_PRECISION[block.kind]
    noise = RATING_VARIANCE * ROW_SCALE / np.maximum(statistics.weight, 1e-9)
    known = 1.0 / (MEAN_SD**2 + noise)
    weighted = design * known[:, None]
    return np.asarray(
        np.linalg.solve(weighted.T @ design + np.diag(precision), weighted.T @ statistics.mean)
    )
