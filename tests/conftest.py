# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all rooms, and Hypothesis without a deadline: a busy machine is no fault."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from shared.catalogue import Catalogue
from shared.features import build_catalogue, item_text
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from simulation.generic_writer import write
from simulation.village import village

settings.register_profile("privet", deadline=None)
settings.register_profile("mutation", deadline=None, max_examples=25, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "privet"))


@pytest.fixture(scope="session")
def hamlet() -> Dataset:
    """A small village."""
    return village(120, 60, seed=11)


@pytest.fixture(scope="session")
def folder(hamlet: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hamlet as a folder in the generic layout."""
    path = tmp_path_factory.mktemp("data") / "hamlet"
    write(path, hamlet)
    return path


@pytest.fixture(scope="session")
def catalogue(hamlet: Dataset) -> Catalogue:
    """The hamlet's catalogue, read by characters: no weights, no torch."""
    vectors = load_encoder("characters").encode(item_text(hamlet.items))
    return build_catalogue(hamlet.items, np.asarray(vectors))[0]
