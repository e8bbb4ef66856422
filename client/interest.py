# SPDX-License-Identifier: Apache-2.0
"""What a device answers about interest: one vector about its owner's choices, before the door.

Order in the history is the order of the owner's events, nothing finer; a history that has no order
gives contexts all the same.
"""

from collections.abc import Iterator, Sequence

from shared.errors import DataError
from shared.model.history import History
from shared.model.view import InterestView
from shared.privacy.query import SparseVector
from shared.ranking.contexts import contexts_of
from shared.ranking.scores import ItemSide
from shared.ranking.terms import rank_bilinear_vector, rank_items_vector
from shared.ranking.weights import rank_weights_vector
from shared.schema import Floats


def interest_answers(
    view: InterestView, devices: Sequence[History]
) -> Iterator[Floats | SparseVector]:
    """Compute each device's answer to one round of an interest query.

    Args:
        view: What the server sent. Public.
        devices: What each device knows; a device passes its owner alone. Private.

    Yields:
        One vector a device, in their order, neither clipped nor scaled; zero where a history is
        too short. Private.
    """
    model = view.interest
    side = ItemSide.of(view.catalogue, model)
    for device in devices:
        contexts = contexts_of(side, model, device.items)
        match view.query:
            case "rank_weights":
                yield rank_weights_vector(contexts, model)
            case "rank_bilinear":
                yield rank_bilinear_vector(contexts, side, model)
            case "rank_items":
                if view.place is None:
                    raise DataError(
                        "a round of rank_items must say where items lie, got no place.",
                        hint="ask the operator for the round's model again.",
                    )
                yield rank_items_vector(contexts, model, view.place)
