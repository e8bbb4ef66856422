# SPDX-License-Identifier: Apache-2.0
"""The shared model: what the server publishes and every device computes with; numpy alone."""

from dataclasses import dataclass

from shared.catalogue import Catalogue
from shared.model.history import History
from shared.model.local import predict
from shared.model.prior import Prior
from shared.model.statistics import ItemStatistics
from shared.model.tower import Tower, build_tower
from shared.schema import Floats, Ints


@dataclass(frozen=True)
class SharedModel:
    """What the server publishes and every device computes with; public."""

    catalogue: Catalogue
    statistics: ItemStatistics
    tower: Tower
    prior: Prior

    @classmethod
    def before_any_release(cls, catalogue: Catalogue) -> "SharedModel":
        """Return what a device has without any federation: text, categories, time."""
        return cls.of_items(catalogue, ItemStatistics.empty(len(catalogue)))

    @classmethod
    def of_items(cls, catalogue: Catalogue, statistics: ItemStatistics) -> "SharedModel":
        """Return the model that knows items but nothing of how people differ."""
        tower = build_tower(catalogue, statistics)
        return cls(catalogue, statistics, tower, Prior.standard(tower.features.shape[1]))

    def rate(self, history: History, targets: Ints, *, kernel: bool = True) -> Floats:
        """Predict one owner's ratings in r', shape (t,), on their device. Private."""
        return predict(
            self.tower,
            self.prior,
            self.catalogue,
            history.items,
            history.ratings,
            targets,
            kernel=kernel,
        )
