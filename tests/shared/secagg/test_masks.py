# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy.stats import chi2

from shared.secagg.masks import WORD, add_mask
from tests.shared.secagg.sessions import seeded


@pytest.mark.parametrize("d", [1, 3, 2**14 - 1, 2**14, 2**14 + 1, 50_001])
def test_add_mask_adds_the_bare_key_stream(d: int) -> None:
    key = seeded("mask")(32)
    stream = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * d))
    total = np.arange(d, dtype=WORD) + WORD.type(2**32 - 7)
    expected = total + np.frombuffer(stream, WORD)
    add_mask(total, key)
    np.testing.assert_array_equal(total, expected)


def test_add_mask_is_undone_by_its_negative() -> None:
    total = np.arange(40_000, dtype=WORD)
    add_mask(total, b"k" * 32)
    add_mask(total, b"k" * 32, negative=True)
    np.testing.assert_array_equal(total, np.arange(40_000))


@pytest.mark.statistical
@pytest.mark.parametrize("shift", [0, 8, 16, 20])
def test_mask_is_uniform_over_the_residues(shift: int) -> None:
    """Chi-square of 2^20 words over 4,096 cells at each place of the word; false alarm 1e-6."""
    total = np.zeros(2**20, WORD)
    add_mask(total, seeded("uniform")(32))
    counts = np.bincount((total >> shift) & 4095, minlength=4096)
    assert ((counts - 256) ** 2 / 256).sum() < chi2.isf(1e-6, 4095)


@pytest.mark.statistical
def test_masked_extreme_vector_is_uniform() -> None:
    """The same test on a vector of the largest values: the mask covers the full range."""
    total = np.full(2**20, 2**31 - 1, WORD)
    add_mask(total, seeded("cover")(32))
    counts = np.bincount(total >> 20, minlength=4096)
    assert ((counts - 256) ** 2 / 256).sum() < chi2.isf(1e-6, 4095)
