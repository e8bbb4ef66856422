# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from shared.secagg.messages import Kind
from shared.secagg.refusals import TooFewDevices
from shared.secagg.terms import Terms
from simulation.protocol import secure_sum

TERMS = Terms(bytes(32), 3, cohort_size=12, min_survivors=8, max_colluders=2, dimension=33)


def noised(devices: int) -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    return [rng.integers(-(2**20), 2**20, TERMS.dimension) for _ in range(devices)]


def test_secure_sum_equals_the_plain_sum() -> None:
    vectors = noised(12)
    result = secure_sum(vectors, TERMS)
    np.testing.assert_array_equal(result.total, np.sum(vectors, axis=0))
    assert result.survivors == tuple(range(12))


def test_secure_sum_is_over_the_survivors_when_devices_drop() -> None:
    vectors = noised(12)
    silent = {2: Kind.ADVERT, 5: Kind.SHARES, 9: Kind.MASKED, 11: Kind.CONSENT}
    result = secure_sum(vectors, TERMS, silent_from=silent)
    assert result.survivors == (0, 1, 3, 4, 6, 7, 8, 10, 11)
    np.testing.assert_array_equal(
        result.total, np.sum([vectors[i] for i in result.survivors], axis=0)
    )


def test_secure_sum_refuses_when_too_few_are_left() -> None:
    with pytest.raises(TooFewDevices):
        secure_sum(noised(12), TERMS, silent_from=dict.fromkeys(range(5), Kind.UNMASK))


def test_secure_sum_counts_bytes_by_the_formula_of_the_spec() -> None:
    result = secure_sum(noised(12), TERMS)
    envelopes, n, d = 5 * 113, 12, 33
    assert result.upload_bytes == envelopes + 96 + 80 * (n - 1) + 4 * d + 32 + 32 * n
    assert result.download_bytes == 4 * 113 + 209 * n + 82 * (n - 1) + 2 * n + 66 * n
