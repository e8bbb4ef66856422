# SPDX-License-Identifier: Apache-2.0
"""The questions that may be asked of devices: what each sum is called, how long it is, its norms.

A `SumQuery` is public and part of what a server signs; what a device answers is in
`client.training`.
"""

from shared.model.interest import NAMES
from shared.model.prior import CLIPPING_NORM
from shared.privacy.query import Block, SumQuery

METRICS = ("squared_error", "absolute_error", "hit", "ndcg", "comment_auc", "comment_auc_known")
"""What each device may be asked about its own held-out events, each in [0, 1]."""
SQUARED_CLAMP, ABSOLUTE_CLAMP = 4.0, 2.0
"""Errors in r' are clamped at what a person can be wrong by on half the scale."""
NETWORK_NORM = 10.0
"""Clipping norm of a person's network gradient; its median on three data sets is 6 to 11."""
WEIGHTS_NORM = 0.6
"""Clipping norm of a person's step of the ranking weights; its median is .5."""
BILINEAR_NORM = 5.0
"""Clipping norm of a person's gradient in M; its median is 5 to 7."""
UNCLIPPED = 1e6
"""A norm that nobody reaches: runs without privacy clip neither moments nor the network."""


def item_sums_query(items: int, *, comments: bool = False) -> SumQuery:
    """Return the one-shot query about all items: how well liked, how often rated.

    Args:
        items: Length of the catalogue.
        comments: Whether comments are declared: then how much they interest is asked as well.
    """
    liked = "how well each item is liked, how often it is rated"
    return SumQuery(
        name="item_sums",
        blocks=(Block("items", (4 if comments else 2) * items, 1.0),),
        clipping="scale",
        purpose=f"Learn {liked}, and how much its comments interest."
        if comments
        else "Learn how well each item is liked, and how often it is rated.",
    )


def population_prior_query(size: int, norm: float = CLIPPING_NORM) -> SumQuery:
    """Return the query of one round about how tastes differ between people.

    Args:
        size: First and second moments asked for, see `shared.model.prior.prior_length`.
        norm: Clipping norm of a person's vector.
    """
    return SumQuery(
        name="population_prior",
        blocks=(Block("moments", size, norm),),
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


def trunk_network_query(size: int, norm: float = NETWORK_NORM) -> SumQuery:
    """Return the query of one round of the trunk's network block.

    Args:
        size: Length of the network's flat parameter vector.
        norm: Clipping norm of a person's gradient.
    """
    return SumQuery(
        name="trunk_network",
        blocks=(Block("network", size, norm),),
        clipping="clip",
        purpose="Improve the network that ratings and comments share.",
    )


def rank_weights_query() -> SumQuery:
    """Return the query of one round about what each ranking score is worth to people."""
    return SumQuery(
        name="rank_weights",
        blocks=(Block("weights", len(NAMES), WEIGHTS_NORM),),
        clipping="clip",
        purpose="Learn what makes people choose an item: its popularity, its kind, its age.",
    )


def rank_bilinear_query(width: int) -> SumQuery:
    """Return the query of one round about which recent taste draws people to which items.

    Args:
        width: p, length of a whitened item vector.
    """
    return SumQuery(
        name="rank_bilinear",
        blocks=(Block("bilinear", width**2, BILINEAR_NORM),),
        clipping="clip",
        purpose="Learn what people choose next, given what they chose lately.",
    )


def rank_items_query(rows: int, factors: int) -> SumQuery:
    """Return the query of one round about what draws people to single items.

    Args:
        rows: Items that have terms of their own.
        factors: k, factors of an item.
    """
    return SumQuery(
        name="rank_items",
        blocks=(Block("items", rows * (1 + factors), 1.0),),
        clipping="scale",
        purpose="Learn which items people choose more than their kind and popularity tell.",
    )
