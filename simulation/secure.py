# SPDX-License-Identifier: Apache-2.0
"""The engine behind `--protocol real`: every device adds its own noise share, then masks.

Slower than drawing the sum's noise at once, and the same integers given the same shares: it shows
that nothing in a run needs more than the sum. Each session is `simulation.protocol.secure_sum`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from client.training import Answer
from server.plan import Release
from shared.errors import UsageError
from shared.ledger.records import canonical
from shared.privacy.encode import decode, encode
from shared.privacy.noise import RandomSource, discrete_gaussian
from shared.privacy.policy import Mechanism
from shared.privacy.query import SparseVector
from shared.schema import Floats, Ints
from shared.secagg.terms import Terms
from simulation.protocol import secure_sum


@dataclass(frozen=True)
class Secure:
    """`cohort_sum` through real secure aggregation, on one machine."""

    rng: np.random.Generator
    """Chance for the rounding; carries no guarantee."""
    source: RandomSource
    """Chance for the noise shares."""

    def cohort_sum(self, release: Release, server_round: int, answers: Iterable[Answer]) -> Floats:
        """Return the sum of all devices' answers, opened from masked shares alone.

        Args:
            release: The query and its mechanism; distributed trust.
            server_round: From 1 to `release.rounds`.
            answers: One vector a device. Private.

        Returns:
            The sum, shape ``(d,)``, float64. Public under the release's ρ.

        Raises:
            UsageError: there is no mechanism, or a session would not fit one secure sum.
        """
        mechanism = release.mechanism
        if mechanism is None or not mechanism.fits_secure_sum:
            raise UsageError(
                "--protocol real must have noise and at most 1,000 devices in a sum, got another.",
                hint="choose --target-epsilon and a smaller --cohort.",
            )
        shares = [self.share(answer, release, mechanism) for answer in answers]
        total: Ints = np.zeros(release.query.dimension, dtype=np.int64)
        size, larger = divmod(len(shares), release.sessions)
        start = 0
        for session in range(release.sessions):
            stop = start + size + (session < larger)
            group = shares[start:stop]
            total += secure_sum(group, _terms(release, mechanism, server_round, len(group))).total
            start = stop
        return decode(total, release.query, mechanism)

    def share(self, answer: Answer, release: Release, mechanism: Mechanism) -> Ints:
        """Encode one device's answer and add its own share of noise; what it would mask."""
        encoded = encode(answer, release.query, mechanism, self.rng)
        noise = discrete_gaussian(mechanism.sigma2, release.query.dimension, self.source)
        if isinstance(encoded, SparseVector):
            noise[encoded.indices] += encoded.values
            return noise
        return noise + encoded


def _terms(release: Release, mechanism: Mechanism, server_round: int, devices: int) -> Terms:
    """Return the numbers of one session; its hash binds query, round and mechanism."""
    bound = {"query": release.query.name, "round": server_round, **vars(mechanism)}
    return Terms(
        hashlib.sha256(canonical(bound)).digest(),
        server_round,
        devices,
        min_survivors=mechanism.min_survivors,
        max_colluders=mechanism.max_colluders,
        dimension=release.query.dimension,
    )
