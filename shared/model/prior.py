# SPDX-License-Identifier: Apache-2.0
"""The population prior: how tastes differ between people, learnt by one release."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shared.schema import Floats


@dataclass(frozen=True)
class Prior:
    """Distribution N(0, S) of user vectors; their mean is in the tower's offset; public."""

    covariance: Floats
    """Prior covariance S, (K, K)."""
    directions: Floats
    """Directions U in which people differ most, (K, k)."""

    @classmethod
    def standard(cls, size: int) -> "Prior":
        """Return N(0, I) over `size` features: before anything was learnt about people."""
        return cls(np.eye(size), np.zeros((size, 0)))

    @cached_property
    def precision(self) -> Floats:
        """Inverse covariance, (K, K)."""
        return np.asarray(np.linalg.inv(self.covariance))
