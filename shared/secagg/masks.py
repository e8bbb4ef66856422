# SPDX-License-Identifier: Apache-2.0
"""Masks: the AES-256-CTR key stream of a full-entropy key, added modulo 2^32.

The stream is made and added block by block, so that a block never leaves the processor's cache;
the cost over the bare key stream is about a tenth. A key makes one stream in one session, which is
why the counter starts at zero.

Source: NIST SP 800-38A (CTR); Bonawitz et al. (2017), "Practical Secure Aggregation for
Privacy-Preserving Machine Learning", section 4.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

WORD = np.dtype("<u4")
_BLOCK = 2**14
_ZEROS = memoryview(bytes(_BLOCK * WORD.itemsize))


def add_mask(total: NDArray[np.uint32], key: bytes, *, negative: bool = False) -> None:
    """Add the mask of ``key`` to ``total`` in place (or take it off), modulo 2^32.

    Args:
        total: Shape ``(d,)``, little-endian uint32.
        key: 32 bytes, used for one mask in one session. Private.
        negative: Subtract instead.
    """
    stream = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    raw = bytearray(min(_ZEROS.nbytes, total.nbytes))
    words = np.frombuffer(raw, WORD)
    combine = np.subtract if negative else np.add
    for start in range(0, total.size, _BLOCK):
        part = total[start : start + _BLOCK]
        stream.update_into(_ZEROS[: part.nbytes], raw)
        combine(part, words[: part.size], out=part)
