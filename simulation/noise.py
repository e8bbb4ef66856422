# SPDX-License-Identifier: Apache-2.0
"""Seeded chance for the sampler, so that tests and studies can repeat a run.

Whoever has the seed subtracts the noise: a run that uses it claims no privacy and says so. It lives
here because neither a device nor a server can import this room.
"""

import numpy as np
import numpy.typing as npt


class SimulationRng:
    """A `RandomSource` that repeats itself: "noise: seeded, no privacy".

    Example:
        >>> (SimulationRng(1).words(3) == SimulationRng(1).words(3)).all()
        np.True_
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 0x6E6F697365])  # apart from every other use of it

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """Return ``count`` uniform 64-bit words, uint64 ``(count,)``."""
        return self._rng.integers(0, 2**64, size=count, dtype=np.uint64)
