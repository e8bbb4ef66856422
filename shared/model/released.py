# SPDX-License-Identifier: Apache-2.0
"""The shared model: what the server publishes and every device computes with; numpy alone."""

from dataclasses import dataclass, replace

import numpy as np

from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.comment_task import comment_vector, from_unit, interest_of
from shared.model.history import History
from shared.model.interest import InterestModel
from shared.model.local import predict
from shared.model.network import Network, join_inputs, network_forward
from shared.model.prior import Prior
from shared.model.profile import RATED_ALPHA, profile_of
from shared.model.ridge import posterior
from shared.model.statistics import ItemStatistics
from shared.model.tower import Tower, build_tower
from shared.model.view import profile_texts
from shared.schema import Floats, Ints


@dataclass(frozen=True)
class SharedModel:
    """What the server publishes and every device computes with; public."""

    catalogue: Catalogue
    statistics: ItemStatistics
    tower: Tower
    prior: Prior
    interest: InterestModel
    """What people choose next; untrained where no budget was spent on it."""
    comment_mean: Floats | None = None
    """c'_j of each item, (I,); None where no comments are declared."""
    network: Network | None = None

    @classmethod
    def before_any_release(cls, catalogue: Catalogue) -> "SharedModel":
        """Return what a device has without any federation: text, categories, time."""
        return cls.of_items(catalogue, ItemStatistics.empty(len(catalogue)))

    @classmethod
    def of_items(cls, catalogue: Catalogue, statistics: ItemStatistics) -> "SharedModel":
        """Return the model that knows items but nothing of how people differ."""
        tower = build_tower(catalogue, statistics)
        prior = Prior.standard(tower.features.shape[1])
        untrained = InterestModel.untrained(catalogue, statistics.log_weight, statistics.mean)
        return cls(catalogue, statistics, tower, prior, untrained)

    def rate(self, history: History, targets: Ints, *, kernel: bool = True) -> Floats:
        """Predict one owner's ratings in r', shape (t,), on their device. Private."""
        items, ratings = history.items, history.ratings
        closed = predict(
            self.tower, self.prior, self.catalogue, items, ratings, targets, kernel=kernel
        )
        return closed + self.heads(history, targets)[:, 0]

    def comment_interest(self, history: History, targets: Ints) -> Floats:
        """Predict how much comments on items interest an owner, in [0, 1], shape (t,). Private.

        Raises:
            DataError: the model was trained where no comments are declared.
        """
        if self.comment_mean is None:
            raise DataError(
                "comment interest must be asked of a model with comments, got one without.",
                hint="train on data whose dataset.toml declares comments.",
            )
        interest = interest_of(history)
        vector = comment_vector(self.tower, self.prior, self.comment_mean, history, interest)
        closed = self.comment_mean[targets] + self.tower.features[targets] @ vector
        return from_unit(closed + self.heads(history, targets)[:, 1])

    def user_vector(self, history: History) -> Floats:
        """Solve for an owner's user vector w, shape (K,). Private."""
        features = self.tower.features[history.items]
        residual = history.ratings - self.tower.offset[history.items]
        return posterior(features, residual, self.prior.precision).mean

    def heads(self, history: History, targets: Ints) -> Floats:
        """Evaluate the network for an owner, shape (t, 2): rating, comment; zeros without one."""
        if self.network is None:
            return np.zeros((len(targets), 2))
        factors = self.user_vector(history) @ self.network.directions
        texts = profile_texts(self.catalogue)[history.items, : self.network.shape.profile]
        profile = profile_of(texts, RATED_ALPHA).vector
        inputs = join_inputs(factors, profile, self.tower.features[targets])
        return network_forward(self.network.shape.split(self.network.parameters), inputs)

    def stages(self) -> dict[str, "SharedModel"]:
        """Return the model as each of its releases left it, by the query's name, in order."""
        known = SharedModel.of_items(self.catalogue, self.statistics)
        first = replace(known, comment_mean=self.comment_mean)
        second = replace(first, prior=self.prior, tower=first.tower.shifted(self.prior.mean))
        third = replace(self, network=None)
        names = ("item_sums", "population_prior", "trunk_items", "trunk_network")
        return dict(zip(names, (first, second, third, self), strict=True))
