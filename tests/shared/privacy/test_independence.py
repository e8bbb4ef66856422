# SPDX-License-Identifier: Apache-2.0
"""No two draws share chance: not calls, not threads, not forked nor spawned processes.

Two equal words among n of 64 bits come by chance with probability n²/2^65; for the 4,096 words here
that is 5e-13. Correlations are judged at 6 standard deviations: false alarm 2e-9 a pair.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from shared.privacy.noise import OsRandom, discrete_gaussian

pytestmark = pytest.mark.statistical

SOURCE = OsRandom()
"""Made once, before any thread or process, as a careless caller would."""
WORDS = 256


def fork() -> np.ndarray:
    """Draw in a forked process that inherits the source."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, SOURCE.words(WORDS).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    drawn = np.frombuffer(os.read(read, 8 * WORDS), dtype=np.uint64)
    os.close(read)
    os.close(write)
    return drawn


def spawn() -> np.ndarray:
    """Draw in a fresh interpreter; every one is started alike."""
    code = (
        "import sys\nfrom shared.privacy.noise import OsRandom\n"
        f"sys.stdout.buffer.write(OsRandom().words({WORDS}).tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return np.frombuffer(done.stdout, dtype=np.uint64)


def in_threads(count: int, work) -> list:
    """Run ``work`` in threads that all begin at one moment, on one source."""
    ready = Barrier(count)

    def start(_):
        ready.wait()
        return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def distinct(drawn: list[np.ndarray]) -> bool:
    together = np.concatenate(drawn)
    return np.unique(together).size == together.size


def test_every_request_has_a_key_of_its_own_so_calls_threads_and_forks_are_independent():
    """every request has a key of its own, so calls, threads and forks are independent."""
    drawn = [SOURCE.words(WORDS) for _ in range(4)]
    drawn += in_threads(4, lambda: SOURCE.words(WORDS))
    drawn += [fork() for _ in range(4)]
    assert distinct([*drawn, SOURCE.words(WORDS)])


def test_spawned_processes_are_independent():
    assert distinct([spawn(), spawn(), SOURCE.words(WORDS)])


def test_noise_of_threads_is_uncorrelated():
    """8 threads, 20,000 draws each, 28 pairs: false alarm 6e-8."""
    draws = in_threads(8, lambda: discrete_gaussian(10**6, 20_000, SOURCE))
    pairs = np.corrcoef(draws)[np.triu_indices(8, 1)]
    assert np.abs(pairs).max() < 6 / 20_000**0.5


def test_noise_of_rounds_is_uncorrelated():
    """8 calls one after the other, 28 pairs: false alarm 6e-8."""
    draws = [discrete_gaussian(10**6, 20_000, SOURCE) for _ in range(8)]
    assert np.abs(np.corrcoef(draws)[np.triu_indices(8, 1)]).max() < 6 / 20_000**0.5
