# SPDX-License-Identifier: Apache-2.0
"""Items that came after the last release: their public features speak for them, at no cost.

What was released of the known items, mean and popularity, is regressed on public features, as
`item_sums` does itself, and the regression speaks for a new item. That nobody has rated it yet
tells nothing: it is new, not unloved. Only what is public enters, so this is post-processing, and
every device does it alike.

Source: Fay and Herriot (1979): the synthetic estimate of an area without a sample.
"""

from dataclasses import replace

import numpy as np

from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.interest import InterestModel
from shared.model.released import SharedModel
from shared.model.statistics import (
    MEAN_PRECISION,
    RATING_VARIANCE,
    ROW_SCALE,
    ItemStatistics,
    mean_sd,
)
from shared.model.tower import build_tower
from shared.schema import Floats, Ints


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
    known, new = len(model.catalogue), len(catalogue) - len(model.catalogue)
    if catalogue.item_ids[:known] != model.catalogue.item_ids:
        raise DataError(
            "a longer catalogue must begin with the items of the model, got others.",
            hint="add new items with shared.renewal.extend.",
        )
    width = model.tower.features.shape[1]
    longer = replace(
        model,
        catalogue=catalogue,
        statistics=ItemStatistics(*(_pad(part, new) for part in vars(model.statistics).values())),
        tower=replace(
            model.tower,
            features=np.vstack([model.tower.features, np.zeros((new, width))]),
            offset=_pad(model.tower.offset, new),
            log_weight=_pad(model.tower.log_weight, new),
        ),
        interest=replace(
            model.interest,
            popularity=_pad(model.interest.popularity, new),
            liking=_pad(model.interest.liking, new),
            items=np.vstack([model.interest.items, np.zeros((new, model.interest.items.shape[1]))]),
        ),
        comment_mean=None if model.comment_mean is None else _pad(model.comment_mean, new),
    )
    return as_new(longer, np.arange(known, known + new))


def renewed(model: SharedModel, catalogue: Catalogue) -> SharedModel:
    """Carry a released model to a newer version of its catalogue: changed texts, then new items.

    Where the features of a known item moved, its vector and offset move by what the tower makes of
    them; what was learnt of it in sums stays.

    Args:
        model: The released model of I items.
        catalogue: The same items on the same basis, some of them changed, then new ones.

    Returns:
        A model of all items; what it says of items that did not change is unchanged. Public.

    Raises:
        DataError: The first items of the catalogue are not those of the model.
    """
    known = len(model.catalogue)
    longer = extended(model, catalogue)
    before = build_tower(model.catalogue, model.statistics)
    after = build_tower(longer.catalogue, longer.statistics)
    moved = after.features[:known] - before.features
    rows = np.flatnonzero(moved.any(axis=1))
    tower, moved = longer.tower, moved[rows]
    return replace(
        longer,
        tower=replace(
            tower,
            features=_with(tower.features, rows, tower.features[rows] + moved),
            offset=_with(tower.offset, rows, tower.offset[rows] + moved @ model.prior.mean),
        ),
    )


def as_new(model: SharedModel, rows: Ints) -> SharedModel:
    """Let public features alone speak for some items, whatever was released of them.

    Args:
        model: A released model.
        rows: The items that are new, distinct, fewer than all, (n,).

    Returns:
        The model, unchanged for all other items. Public.
    """
    old = np.setdiff1d(np.arange(len(model.catalogue)), rows)
    statistics = _informed(model.statistics, model.catalogue, old, rows)
    plain = build_tower(model.catalogue, statistics)
    shifted = plain.shifted(model.prior.mean)
    tower = replace(
        model.tower,
        features=_with(model.tower.features, rows, plain.features[rows]),
        offset=_with(model.tower.offset, rows, shifted.offset[rows]),
        log_weight=_with(model.tower.log_weight, rows, statistics.log_weight[rows]),
    )
    comments = model.comment_mean
    if comments is not None:
        comments = _with(comments, rows, np.full(len(rows), comments[old].mean()))
    return replace(
        model,
        statistics=statistics,
        tower=tower,
        interest=_interest(model.interest, statistics, old, rows),
        comment_mean=comments,
    )


def _informed(
    statistics: ItemStatistics, catalogue: Catalogue, old: Ints, rows: Ints
) -> ItemStatistics:
    """Regress popularity on features, mean on features and popularity; apply both to new rows."""
    if not statistics.known:
        return statistics
    weight = statistics.weight[old]
    reliable = 1.0 / (
        mean_sd(catalogue) ** 2 + RATING_VARIANCE * ROW_SCALE / np.maximum(weight, 1e-9)
    )
    precision = np.empty(catalogue.features.shape[1])
    for block in catalogue.blocks:
        precision[block.start : block.stop] = MEAN_PRECISION[block.kind]
    popularity = statistics.log_weight.copy()
    popularity[rows] = _regressed(
        catalogue.features, popularity[old], np.ones(len(old)), precision, (old, rows)
    )
    design = np.column_stack([popularity, popularity**2, catalogue.features])
    fitted = _regressed(
        design, statistics.mean[old], reliable, np.append([1.0, 4.0], precision), (old, rows)
    )
    return ItemStatistics(
        _with(statistics.mean, rows, fitted),
        _with(statistics.weight, rows, np.full(len(rows), weight.min())),
        popularity,
    )


def _regressed(
    features: Floats, target: Floats, reliable: Floats, precision: Floats, parts: tuple[Ints, Ints]
) -> Floats:
    """Fit a weighted ridge with a free constant on the old rows; predict the new ones."""
    old, rows = parts
    design = np.column_stack([np.ones(len(features)), features])
    weighted = design[old] * reliable[:, None]
    penalty = np.diag(np.append(0.01, precision))
    beta = np.linalg.solve(weighted.T @ design[old] + penalty, weighted.T @ target)
    return np.asarray(design[rows] @ beta)


def _interest(
    interest: InterestModel, statistics: ItemStatistics, old: Ints, rows: Ints
) -> InterestModel:
    """Give new items the popularity and liking of their statistics, and no term of their own."""
    spread = max(float(statistics.mean[old].std()), 1e-9)
    liking = (statistics.mean[rows] - statistics.mean[old].mean()) / spread
    nothing = np.zeros((len(rows), interest.items.shape[1]))
    return replace(
        interest,
        popularity=_with(interest.popularity, rows, statistics.log_weight[rows]),
        liking=_with(interest.liking, rows, liking),
        items=_with(interest.items, rows, nothing),
    )


def _pad(values: Floats, count: int) -> Floats:
    """Append zeros."""
    return np.append(values, np.zeros(count))


def _with(values: Floats, rows: Ints, new: Floats) -> Floats:
    """Return a copy with other values at some rows."""
    changed = values.copy()
    changed[rows] = new
    return changed
