# SPDX-License-Identifier: Apache-2.0
"""The default engine: every device of a cohort in one process, one noise vector for the sum.

It shares `encode` with the devices, so that each answer becomes the very integers that a device
would send; the noise shares are drawn as their sum, one discrete Gaussian of the same variance
(equal up to a distance below 1e-90, see docs/spec/mechanism.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from client.training import Answer
from server.plan import Release
from shared.privacy.clip import clip
from shared.privacy.encode import decode, encode
from shared.privacy.noise import RandomSource, discrete_gaussian
from shared.privacy.query import SparseVector
from shared.schema import Floats, Ints


@dataclass(frozen=True)
class Vectorised:
    """`cohort_sum` on one machine."""

    rng: np.random.Generator
    """Chance for the rounding; carries no guarantee."""
    source: RandomSource
    """Chance for the noise; the operating system's unless a test seeds it."""

    def cohort_sum(self, release: Release, server_round: int, answers: Iterable[Answer]) -> Floats:
        """Return the sum of all devices' answers as the server sees it: clipped and noised.

        Args:
            release: The query and its mechanism; without a mechanism the sum is clipped only.
            server_round: From 1 to `release.rounds`.
            answers: One vector a device. Private.

        Returns:
            The sum, shape ``(d,)``, float64. Public under the release's ρ.
        """
        if release.mechanism is None:
            return _clipped_sum(release, answers)
        total: Ints = np.zeros(release.query.dimension, dtype=np.int64)
        for answer in answers:
            _add(total, encode(answer, release.query, release.mechanism, self.rng))
        total += discrete_gaussian(release.variance, total.size, self.source)
        return decode(total, release.query, release.mechanism)


def _clipped_sum(release: Release, answers: Iterable[Answer]) -> Floats:
    """Sum clipped answers without noise: the control."""
    total = np.zeros(release.query.dimension)
    for answer in answers:
        _add(total, clip(answer, release.query))
    return total


def _add(total: Floats | Ints, answer: Answer | Ints) -> None:
    """Add one answer to the sum in place; indices of a sparse vector are distinct."""
    if isinstance(answer, SparseVector):
        total[answer.indices] += answer.values
    else:
        total += answer
