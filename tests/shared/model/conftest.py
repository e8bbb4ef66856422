# SPDX-License-Identifier: Apache-2.0
"""Small made-up catalogues and people."""

import numpy as np
import pytest

from shared.catalogue import Catalogue, FeatureBlock


def made_up_catalogue(items: int, *, text: bool = True, seed: int = 0) -> Catalogue:
    """Catalogue of random categories, ages and, if wanted, texts."""
    rng = np.random.default_rng(seed)
    blocks, parts = [], []
    for kind, width in [("category", 4), ("time", 3)] + [("text", 6)] * text:
        part = rng.normal(size=(items, width)) / np.sqrt(width)
        start = sum(block.stop - block.start for block in blocks)
        blocks.append(FeatureBlock(kind, start, start + width))
        parts.append(part - part.mean(axis=0))
    vectors = rng.normal(size=(items, 12 if text else 0))
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    categories = np.eye(4)[rng.integers(4, size=items)]
    names = tuple(f"item{j}" for j in range(items))
    log_age = rng.uniform(0.0, 4.0, items)
    return Catalogue(names, names, np.hstack(parts), tuple(blocks), vectors, categories, log_age)


@pytest.fixture
def catalogue() -> Catalogue:
    return made_up_catalogue(40)
