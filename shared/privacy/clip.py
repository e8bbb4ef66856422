# SPDX-License-Identifier: Apache-2.0
"""Bound a device's vector, block by block, in float64.

Clipping makes the integers that follow small enough to pass the check in `encode`; the guarantee
rests on that check, in integers, and not on the floats here. What clipping decides is utility: that
the check passes, and that one broken or hostile vector does no more than an honest one.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.privacy.query import Clipping, SparseVector, SumQuery

Floats = npt.NDArray[np.float64]
Selector = slice | npt.NDArray[np.bool_]


def clip(vector: Floats | SparseVector, query: SumQuery) -> Floats | SparseVector:
    """Bound every block of ``vector`` by its clipping norm.

    Args:
        vector: One device's vector, dense of shape ``(d,)`` or sparse. Private.
        query: What is asked; its blocks cut the vector, its clipping says how.

    Returns:
        A vector of the same kind, float64. Private.

    Guarantees:
        - every block's norm is at most its clipping norm times 1 + 2**-40
        - a vector with a NaN or an infinity becomes zero everywhere
        - a huge or denormal vector neither overflows nor underflows
        - with clipping "scale" every non-zero block has its clipping norm, to 2**-40 of it
        - a sparse vector is clipped as its dense form is

    Raises:
        DataError: the vector's length is not the query's dimension.

    Example:
        >>> from shared.privacy.query import Block
        >>> query = SumQuery("q", (Block("b", 2, 1.0),), "clip", "An example.")
        >>> clip(np.array([3.0, 4.0]), query)
        array([0.6, 0.8])
    """
    if isinstance(vector, SparseVector):
        if vector.dimension != query.dimension:
            raise DataError(f"vector must have length {query.dimension}, got {vector.dimension}.")
        values = np.asarray(vector.values, dtype=np.float64)
        return replace(vector, values=_clip_parts(values, query, _masks(vector.indices, query)))
    dense = np.asarray(vector, dtype=np.float64)
    if dense.shape != (query.dimension,):
        raise DataError(f"vector must have shape ({query.dimension},), got {dense.shape}.")
    return _clip_parts(dense, query, _slices(query))


def metric_vector(figures: dict[str, float], names: tuple[str, ...]) -> Floats:
    """Return one device's vector for `metrics_query(names)`, shape ``(m + 1,)``. Private.

    Figures are clamped to [0, 1]; one that is missing or not finite counts as 0.
    """
    given = np.array([figures.get(name, 0.0) for name in names] + [1.0], dtype=np.float64)
    return np.clip(np.nan_to_num(given, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)


def _clip_parts(values: Floats, query: SumQuery, parts: Iterator[Selector]) -> Floats:
    """Clip each part of ``values``; all zeros if any value is not finite."""
    clipped = np.zeros_like(values)
    if np.isfinite(values).all():
        for block, part in zip(query.blocks, parts, strict=True):
            clipped[part] = _clip_block(values[part], block.clipping_norm, query.clipping)
    return clipped


def _clip_block(values: Floats, clipping_norm: float, how: Clipping) -> Floats:
    """Clip one block of finite values."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return values
    unit = values / largest  # in [-1, 1]: its squares neither overflow nor all vanish
    norm = np.sqrt(unit @ unit)  # in [1, √size]
    if how == "clip" and norm <= clipping_norm / largest:
        return values
    return np.asarray(unit * (clipping_norm / norm))


def _slices(query: SumQuery) -> Iterator[Selector]:
    """Yield where each block lies in the dense vector."""
    start = 0
    for block in query.blocks:
        yield slice(start, start + block.size)
        start += block.size


def _masks(indices: npt.NDArray[np.int64], query: SumQuery) -> Iterator[Selector]:
    """Yield which of the sparse coordinates lie in each block."""
    start = 0
    for block in query.blocks:
        yield (indices >= start) & (indices < start + block.size)
        start += block.size
