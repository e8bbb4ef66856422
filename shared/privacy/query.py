# SPDX-License-Identifier: Apache-2.0
"""What a server may ask: the sum, over a cohort, of one bounded vector a device.

Everything that leaves devices is an answer to a `SumQuery`. Its blocks say which coordinates are
bounded together; the bounds of all blocks make up the bound of the whole vector, on which the
integers, the noise and ε rest. The module stands on the standard library (numpy only types it), so
that an auditor can read a query without numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Clipping = Literal["clip", "scale"]


@dataclass(frozen=True)
class Block:
    """Consecutive coordinates of a query's vector that are bounded together."""

    name: str
    size: int
    """Number of coordinates, at least 1."""
    clipping_norm: float
    """Bound of the block's L2 norm, finite and positive, in the units of the vector."""

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 1 <= self.size < 2**31:
            raise DataError(f"size of block {self.name!r} must be an integer in [1, 2^31).")
        norm = self.clipping_norm
        if type(norm) is not float or not 1e-100 <= norm <= 1e100:  # squares stay normal numbers
            raise DataError(
                f"clipping_norm of block {self.name!r} must be a float in [1e-100, 1e100]."
            )


@dataclass(frozen=True)
class SumQuery:
    """The sum of one bounded vector a device: the only thing that a server can ask for."""

    name: str
    blocks: tuple[Block, ...]
    clipping: Clipping
    """`clip` shortens longer blocks to their norm; `scale` gives every block exactly its norm."""
    purpose: str
    """One sentence for the owner of a device."""

    def __post_init__(self) -> None:
        if not self.blocks:
            raise DataError(f"query {self.name!r} must have at least one block.")
        if self.clipping not in ("clip", "scale"):
            raise DataError(f"clipping of query {self.name!r} must be 'clip' or 'scale'.")

    @property
    def dimension(self) -> int:
        """Length d of the vector."""
        return sum(block.size for block in self.blocks)

    @property
    def clipping_norm(self) -> float:
        """Bound C of the L2 norm of the whole vector: C² = Σ C_b²."""
        return math.sqrt(math.fsum(block.clipping_norm**2 for block in self.blocks))


@dataclass(frozen=True)
class SparseVector:
    """A vector of which only some coordinates are given; the others are zero.

    A coordinate given twice would count twice in the sum and once in the norm, and so break the
    bound by the square root of its repetitions. The constructor therefore refuses it.
    """

    dimension: int
    indices: npt.NDArray[np.int64]
    """Coordinates, (m,), each at most once, in any order."""
    values: npt.NDArray[Any]
    """Values at `indices`, (m,), float64 before and int64 after encoding. Private."""

    def __post_init__(self) -> None:
        if self.indices.shape != self.values.shape or self.indices.ndim != 1:
            raise DataError("indices and values of a sparse vector must have one shape (m,).")
        if self.indices.dtype.kind != "i":
            raise DataError("indices of a sparse vector must be signed integers.")
        ordered = self.indices.copy()
        ordered.sort()
        if ordered.size and not 0 <= ordered[0] <= ordered[-1] < self.dimension:
            raise DataError(f"indices of a sparse vector must be in [0, {self.dimension}).")
        if (ordered[1:] == ordered[:-1]).any():
            raise DataError("indices of a sparse vector must be distinct, one is repeated.")


def metrics_query(names: tuple[str, ...]) -> SumQuery:
    """Return the query for evaluation figures: each in [0, 1], and a 1 that counts the device.

    With m figures the vector has m + 1 coordinates in [0, 1], so its norm is at most √(m + 1)
    whatever the figures are. It is asked once, at the end, and never chooses a round.
    """
    size = len(names) + 1
    return SumQuery(
        name="metrics",
        blocks=(Block("metrics", size, math.sqrt(size)),),
        clipping="clip",
        purpose=f"How well the shared model serves people, on average: {', '.join(names)}.",
    )
