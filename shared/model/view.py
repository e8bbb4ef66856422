# SPDX-License-Identifier: Apache-2.0
"""What the server sends with each question: all that a device needs beside its owner; public."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from shared.catalogue import Catalogue
from shared.errors import DataError
from shared.model.interest import InterestModel
from shared.model.network import NetworkShape
from shared.model.prior import Prior
from shared.model.statistics import COUNT_SCALE
from shared.model.tasks import TASK_WEIGHTS
from shared.model.tower import Tower
from shared.schema import Floats, Ints

if TYPE_CHECKING:
    from shared.model.released import SharedModel

Reconstruction = Literal["leave-one-out", "split"]
"""How a user vector is kept from seeing what it explains: exactly, or by halves of the events."""
MAX_LOCAL_STEPS = 100
"""Most steps of descent on a device in one round."""
MAX_COORDINATES = 2**15
"""Coordinates of a round under privacy: items with little weight get no factors."""


@dataclass(frozen=True)
class ItemSumsView:
    """What goes with `item_sums`: nothing but the shape of the question."""

    items: int
    comments: bool = False
    """Whether the policy declares comments, so that their columns are asked for as well."""
    count_scale: float = COUNT_SCALE
    """α, how much of a row's norm says that the item was rated; the rest says how."""


@dataclass(frozen=True)
class PriorView:
    """What goes with one round of `population_prior`."""

    tower: Tower
    """Before any trunk round; its offset holds the mean person as known so far."""
    basis: Floats
    """B, (K, K): the coordinates of the round, see `shared.model.prior.Frame`."""
    pairs: int = 0
    """Coordinates, the first ones, whose second moments are asked for."""


@dataclass(frozen=True)
class TrunkView:
    """The trunk as devices see it in one round of `trunk_items`."""

    tower: Tower
    """As moved by earlier rounds."""
    prior: Prior
    directions: Floats
    """U, (K, k): computed once by the server, because eigenvectors differ between machines."""
    preference: float
    """b, weight of the offset beside the factors."""
    place: Ints
    """Row of each item in the round's vector, (I,); -1 where the item has no factors."""
    comment_mean: Floats | None = None
    """c'_j of each item, (I,); None where no comments are declared: then the task is left out."""
    weights: tuple[float, float] = TASK_WEIGHTS
    """Weights of the rating and the comment task in the loss."""
    reconstruction: Reconstruction = "leave-one-out"

    @property
    def rows(self) -> int:
        """Items M that have factors."""
        return int(self.place.max(initial=-1)) + 1


@dataclass(frozen=True)
class NetworkView:
    """The network as devices see it in one round of `trunk_network`.

    Everything but `parameters` stays the same over the rounds, so a device solves its tasks once.
    """

    tower: Tower
    """After the last round of the item block."""
    prior: Prior
    directions: Floats
    """U, (K, k)."""
    texts: Floats
    """Public text features that profiles are made of, (I, P); (I, 0) where there is no text."""
    comment_mean: Floats | None
    """c'_j of each item, (I,), or None."""
    shape: NetworkShape
    parameters: Floats
    """Flat, (d,): last iterate."""
    weights: tuple[float, float] = TASK_WEIGHTS
    """Weights of the rating and the comment task in the loss."""
    reconstruction: Reconstruction = "leave-one-out"
    local_steps: int = 1
    """E: gradients of so many steps of descent on the device are summed, then clipped once."""
    local_rate: float = 0.0
    """Step size of that descent."""

    def __post_init__(self) -> None:
        if not 1 <= self.local_steps <= MAX_LOCAL_STEPS:  # a device must come to an end
            raise DataError(f"local steps must be 1 to {MAX_LOCAL_STEPS}, got {self.local_steps}.")


InterestQuery = Literal["rank_weights", "rank_bilinear", "rank_items"]


@dataclass(frozen=True)
class InterestView:
    """Interest as devices see it in one round of one of its queries."""

    query: InterestQuery
    catalogue: Catalogue
    """What every device holds already; a deployment sends its version alone."""
    interest: InterestModel
    """As moved by earlier rounds."""
    place: Ints | None = None
    """Row of each item in the vector of `rank_items`, (I,); -1 where the item has no term of its
    own; None with the other queries."""


@dataclass(frozen=True)
class MetricsView:
    """The trained model, whole: what each device measures on the ratings that it held out.

    Its bytes are the model file itself, so the figures are booked for the very file that is
    released after them.
    """

    model: "SharedModel"

    @property
    def catalogue(self) -> Catalogue:
        """What every device holds already."""
        return self.model.catalogue


View = ItemSumsView | PriorView | TrunkView | NetworkView | InterestView | MetricsView


def query_of(view: View) -> str:
    """Return the name of the query that a view goes with: no other question may come with it."""
    match view:
        case ItemSumsView():
            return "item_sums"
        case PriorView():
            return "population_prior"
        case TrunkView():
            return "trunk_items"
        case NetworkView():
            return "trunk_network"
        case InterestView():
            return view.query
        case MetricsView():
            return "metrics"


def profile_texts(catalogue: Catalogue) -> Floats:
    """Return the public text features that profiles are made of, (I, P); (I, 0) without text."""
    for block in catalogue.blocks:
        if block.kind == "text":
            return catalogue.features[:, block.start : block.stop]
    return np.zeros((len(catalogue), 0))


def row_count(items: int, factors: int) -> int:
    """Return M, the number of items that get factors."""
    return min(items, MAX_COORDINATES // (1 + factors))


def heaviest(weight: Floats, rows: int) -> Ints:
    """Return the `rows` items of the largest weight, in catalogue order.

    Example:
        >>> heaviest(np.array([1.0, 5.0, 2.0]), 2)
        array([1, 2])
    """
    return np.sort(np.argsort(-weight, kind="stable")[:rows])
