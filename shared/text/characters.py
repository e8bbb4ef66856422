# SPDX-License-Identifier: Apache-2.0
"""Text vectors from characters alone: for languages that the encoder's vocabulary cannot read.

Character 1-grams and 2-grams are hashed into 65,536 buckets with weight 1 + ln(count), and the
sparse vector is carried into D dense dimensions by a fixed public sketch: each bucket adds to
`SPREAD` coordinates with a sign. Nothing is fitted, so nothing about anybody can be learned from
it, and two machines agree without exchanging a thing. Inner products are kept up to noise of
about 1/sqrt(D); against the vectors of a sentence encoder a hashed text scores near zero.

Source: Weinberger et al. (2009), "Feature Hashing for Large Scale Multitask Learning",
https://arxiv.org/abs/0902.2206; Kane and Nelson (2014), "Sparser Johnson-Lindenstrauss
Transforms", https://arxiv.org/abs/1012.1577.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BUCKETS = 65_536
"""Buckets of the sparse vector."""
SPREAD = 4
"""Coordinates of the dense vector that each bucket adds to."""


def sparse_characters(text: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Hash the character 1-grams and 2-grams of a text.

    Returns:
        Bucket numbers, rising, int64 (m,), and weights of L2 norm 1, float64 (m,); both empty for
        a text without a visible character.
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    codes = np.frombuffer(plain.encode("utf-32-le", "replace"), dtype="<u4").astype(np.uint64)
    visible = codes != ord(" ")
    pairs = (codes[:-1] << np.uint64(21)) | codes[1:]
    grams = np.concatenate([codes[visible], pairs[visible[:-1] & visible[1:]]])
    buckets, counts = np.unique(_mix(grams) % np.uint64(BUCKETS), return_counts=True)
    weights = 1.0 + np.log(counts)
    return buckets.astype(np.int64), weights / max(float(np.linalg.norm(weights)), 1e-12)


def character_vectors(texts: Sequence[str], dimension: int) -> npt.NDArray[np.float32]:
    """Return dense character vectors of L2 norm 1, float32 (n, D); zero for an empty text.

    Example:
        >>> a, b, c = character_vectors(["修剪树篱", "树篱修剪", "海上日出"], dimension=384)
        >>> bool(a @ b > 0.5 > a @ c)
        True
    """
    vectors = np.zeros((len(texts), dimension))
    for row, text in enumerate(texts):
        buckets, weights = sparse_characters(text)
        places, signs = _sketch(buckets, dimension)
        vectors[row] = np.bincount(
            places.ravel(), (signs * weights[:, None]).ravel(), minlength=dimension
        )
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def _sketch(
    buckets: npt.NDArray[np.int64], dimension: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return where each bucket adds and with which sign, both (m, SPREAD)."""
    first = buckets.astype(np.uint64) * np.uint64(SPREAD)
    slots = np.add.outer(first, np.arange(SPREAD, dtype=np.uint64))
    bits = _mix(slots + np.uint64(1 << 40))  # apart from the codes of single characters
    places = ((bits >> np.uint64(1)) % np.uint64(dimension)).astype(np.int64)
    return places, 1.0 - 2.0 * (bits & np.uint64(1)).astype(np.float64)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scatter integers over 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = values + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), dtype=np.uint64)
