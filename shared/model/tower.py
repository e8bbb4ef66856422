# SPDX-License-Identifier: Apache-2.0
"""The item tower: the features over which every device solves for its owner's taste.

f_j = [1, x_j, m_j, ζ_j], each block divided by the root of its prior precision, so that a user
vector is N(0, I) before anything was learnt about people. See ARCHITECTURE, "The model".
"""

from dataclasses import dataclass, replace

import numpy as np

from shared.catalogue import Catalogue
from shared.model.statistics import ItemStatistics
from shared.schema import Floats

CONSTANT_PRECISION = 3.0
BLOCK_PRECISION = {"category": 20.0, "time": 14.0, "text": 20.0, "number": 20.0}
MEAN_PRECISION = 6.0
POPULARITY_PRECISION = 50.0


@dataclass(frozen=True)
class Tower:
    """What a device needs of every item to predict its owner's ratings; public."""

    features: Floats
    """Item vectors v_j, scaled by prior precisions, (I, K)."""
    offset: Floats
    """Rating r' of a person whose user vector is zero, (I,)."""
    log_weight: Floats
    """Standardised popularity, (I,); zeros without federation."""
    axes: tuple[int, ...]
    """Columns that mean something by themselves: constant, time, mean, popularity."""

    def shifted(self, mean: Floats) -> "Tower":
        """Move the population's mean user vector (K,) into the offset."""
        return replace(self, offset=self.offset + self.features @ mean)


def build_tower(catalogue: Catalogue, statistics: ItemStatistics) -> Tower:
    """Stack constant, public features and item statistics, scaled by their prior precisions.

    Args:
        catalogue: Public features by block; missing blocks are simply not there.
        statistics: Denoised statistics, or `ItemStatistics.empty`: then the tower has no columns
            for mean and popularity.

    Returns:
        The tower before any trunk round, offset = item means.
    """
    items = len(statistics.mean)
    columns = [np.full((items, 1), 1.0 / np.sqrt(CONSTANT_PRECISION))]
    axes = [0]
    for block in catalogue.blocks:
        part = catalogue.features[:, block.start : block.stop]
        columns.append(part / np.sqrt(BLOCK_PRECISION[block.kind]))
        if block.kind == "time":
            axes += range(1 + block.start, 1 + block.stop)
    if statistics.known:
        axes += [1 + catalogue.features.shape[1], 2 + catalogue.features.shape[1]]
        columns.append(statistics.mean[:, None] / np.sqrt(MEAN_PRECISION))
        columns.append(statistics.log_weight[:, None] / np.sqrt(POPULARITY_PRECISION))
    return Tower(np.hstack(columns), statistics.mean, statistics.log_weight, tuple(axes))
