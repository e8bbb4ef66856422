# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from shared.catalogue import save_catalogue
from shared.features import build_catalogue, item_text
from shared.model.file import save_model
from shared.model.released import SharedModel
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from tests.client.made_store import joined, question, view


@pytest.fixture(scope="session")
def public(hamlet: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hamlet's catalogue and a model of it as files."""
    folder = tmp_path_factory.mktemp("public")
    encoder = load_encoder("characters")
    vectors = np.asarray(encoder.encode(item_text(hamlet.items)))
    catalogue, basis = build_catalogue(hamlet.items, vectors, encoder=encoder.name)
    save_catalogue(folder / "catalogue.safetensors", catalogue, basis)
    model = SharedModel.before_any_release(catalogue)
    (folder / "model.safetensors").write_bytes(save_model(model))
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a device will live."""
    return tmp_path / "home"


@pytest.fixture
def device(public: Path, home: Path) -> Iterator[Device]:
    """A new device, without a model."""
    with Device.create(home, public / "catalogue.safetensors") as made:
        yield made


@pytest.fixture
def start(public: Path, tmp_path: Path) -> Path:
    """A device with ratings and one answered round, closed."""
    home = tmp_path / "start"
    with Device.create(home, public / "catalogue.safetensors") as device:
        for row in range(3, 12):
            device.rate(row, 3, f"note {row}", now=100 + row)
        items = len(device.catalogue)
        joined(device).answer(question(items, 1), view(items), "one", now=1500)
        device.sent("one", 10, now=1501)
    return home
