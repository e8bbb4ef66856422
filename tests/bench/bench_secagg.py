# SPDX-License-Identifier: Apache-2.0
"""Secure aggregation against its goals; docs/spec/secure-aggregation.md says how to run it.

Each group compares what we do with the floor (the bare key stream) or with Flower's own routine.
"""

import os

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from shared.secagg.masks import WORD, add_mask
from shared.secagg.shamir import SYMBOL, deal, recover
from shared.secagg.terms import Terms
from simulation.protocol import secure_sum

D, PEERS = 120_737, 100
KEYS = [os.urandom(32) for _ in range(PEERS)]


@pytest.mark.benchmark(group="masks of 100 peers, d = 120,737")
def test_masks(benchmark) -> None:
    total = np.zeros(D, WORD)
    benchmark(lambda: [add_mask(total, key) for key in KEYS])


@pytest.mark.benchmark(group="masks of 100 peers, d = 120,737")
def test_bare_key_stream(benchmark) -> None:
    zeros = bytes(4 * D)

    def stream() -> None:
        for key in KEYS:
            Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor().update(zeros)

    benchmark(stream)


@pytest.mark.benchmark(group="masks of 100 peers, d = 120,737")
def test_flower_masks(benchmark) -> None:
    secagg = pytest.importorskip("flwr.common.secure_aggregation.secaggplus_utils")

    def masks() -> None:
        total = [np.zeros(D, np.int64)]
        for key in KEYS:
            mask = secagg.pseudo_rand_gen(key, 2**32, [(D,)])
            total = [a + b for a, b in zip(total, mask, strict=True)]

    benchmark.pedantic(masks, rounds=3)


@pytest.mark.benchmark(group="shamir, n = 1,000, t = 667")
def test_deal_two_secrets(benchmark) -> None:
    benchmark(lambda: deal(bytes(64), shares=1000, threshold=667, random=os.urandom))


@pytest.mark.benchmark(group="shamir, n = 1,000, t = 667")
def test_recover_a_thousand_seeds(benchmark) -> None:
    shares = np.frombuffer(os.urandom(667 * 1000 * 32), SYMBOL).reshape(667, -1)
    benchmark(lambda: recover(np.arange(667), shares))


@pytest.mark.benchmark(group="whole session, one process")
@pytest.mark.parametrize(("n", "d"), [(24, 2**15), (100, 2**15)])
def test_session(benchmark, n: int, d: int) -> None:
    terms = Terms(bytes(32), 1, n, 2 * n // 3 + 1, 0, d)
    vectors = [np.zeros(d, np.int64)] * n
    benchmark.pedantic(lambda: secure_sum(vectors, terms), rounds=1)
