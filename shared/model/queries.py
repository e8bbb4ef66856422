# SPDX-License-Identifier: Apache-2.0
"""The questions that may be asked of devices: what each sum is called, how long it is, its norms.

A `SumQuery` is public and part of what a server signs; what a device answers is in
`client.training`.
"""

from shared.model.prior import CLIPPING_NORM
from shared.privacy.query import Block, SumQuery


def item_sums_query(items: int) -> SumQuery:
    """Return the one-shot query about all items: how well liked, how often rated.

    Args:
        items: Length of the catalogue.
    """
    return SumQuery(
        name="item_sums",
        blocks=(Block("items", 2 * items, 1.0),),
        clipping="scale",
        purpose="Learn how well each item is liked, and how often it is rated.",
    )


def population_prior_query(size: int) -> SumQuery:
    """Return the query about how tastes differ between people.

    Args:
        size: First and second moments asked for, see `shared.model.prior.prior_size`.
    """
    return SumQuery(
        name="population_prior",
        blocks=(Block("moments", size, CLIPPING_NORM),),
        clipping="clip",
        purpose="Learn in which ways tastes differ between people, and how much.",
    )


def trunk_items_query(rows: int, factors: int) -> SumQuery:
    """Return the query of one round of the trunk's item block.

    Args:
        rows: Items M that have factors.
        factors: k, factors of an item.
    """
    return SumQuery(
        name="trunk_items",
        blocks=(Block("items", rows * (1 + factors), 1.0),),
        clipping="scale",
        purpose="Improve each item's place in the shared model.",
    )
