# SPDX-License-Identifier: Apache-2.0
"""The model file: safetensors, nothing that runs."""

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.errors import DataError
from shared.model.statistics import ItemStatistics

FORMAT = "privet-model-1"


def save_model(statistics: ItemStatistics) -> bytes:
    """Write the released statistics as safetensors."""
    arrays = {name: np.ascontiguousarray(value) for name, value in vars(statistics).items()}
    return bytes(save(arrays, metadata={"format": FORMAT}))


def load_model(data: bytes) -> ItemStatistics:
    """Read a model file.

    Raises:
        DataError: the bytes are not a model file of this format.
    """
    try:
        return ItemStatistics(**load(data))
    except (SafetensorError, TypeError):
        raise DataError(
            "a model must be a safetensors file of Privet, got something else.",
            hint="fetch the model again.",
        ) from None
