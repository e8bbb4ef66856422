# SPDX-License-Identifier: Apache-2.0
"""A device and the simulator are one: same user vector, same answer before noise, same list.

The device here is a real one: its owner's ratings went through a CSV file, the sealed store and
back. The simulator's history of the same user came straight from the data set.
"""

from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from client.recommending import recommend
from client.training import Cohort, answers
from server.plan import Plan, Release, Summed, make_plan
from server.training import train
from shared.config import RunConfig
from shared.model.file import load_model, save_model
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.view import View
from shared.privacy.encode import encode
from shared.privacy.query import SparseVector
from shared.schema import Floats
from simulation.dataset import Dataset
from simulation.devices import DevicePredictor, devices_of
from simulation.layouts import load
from simulation.noise import SimulationRng
from simulation.vectorised import Vectorised
from tests.client.folders import write_files
from tests.client.made import hamlet
from tests.simulation.made import DATA

ML_100K = DATA / "ml-100k"
SAMPLE = 100
"""Users of the real data set that take part here: the sums need not be good, only equal."""


class Trained:
    """One training run of the simulator, with every question and one user's answers."""

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        self.dataset = dataset
        self.files = write_files(folder, dataset)
        everybody = devices_of(dataset, dataset.interactions)
        self.user = self.files.user
        users = sorted({self.user, *range(min(SAMPLE, len(everybody)))})
        self.devices = [everybody[user] for user in users]
        self.place = users.index(self.user)
        self.asked: list[tuple[Release, View, Floats | SparseVector]] = []
        config = RunConfig(target_epsilon=8.0, blocks=("items", "network"), rounds=2)
        self.plan: Plan = make_plan(
            config, len(self.devices), self.files.listed, comments=dataset.comments_declared
        )
        self.model = train(self.files.listed, self.plan, self._ask)

    def _ask(self, release: Release, server_round: int, view: View) -> Summed:
        given = list(Cohort(self.devices).answers(view))
        self.asked.append((release, view, given[self.place]))
        engine = Vectorised(np.random.default_rng(server_round), SimulationRng(server_round))
        return release.summed(engine.cohort_sum(release, server_round, given))


def open_device(trained: Trained, folder: Path) -> Device:
    """Make the device of the user, with the model as it was released."""
    (folder / "trained.safetensors").write_bytes(save_model(trained.model))
    device = Device.create(
        folder / "home",
        trained.files.catalogue,
        folder / "trained.safetensors",
        scale=trained.dataset.scale,
        custody="file",
    )
    device.add(trained.files.mine)
    return device


def check(trained: Trained, folder: Path) -> None:
    """Compare what the device and the simulator make of the same user."""
    simulated = trained.devices[trained.place]
    with open_device(trained, folder) as device:
        _note_acts(device, simulated)
        own = device.history
        assert own.items.tolist() == simulated.items.tolist()
        np.testing.assert_array_equal(own.ratings, simulated.ratings)
        model = device.model
        vector = trained.model.user_vector(simulated)
        np.testing.assert_allclose(model.user_vector(own), vector, rtol=0, atol=1e-12)
        names = set()
        for release, view, theirs in trained.asked:
            (ours,) = answers(view, [own])
            names.add(release.query.name)
            apart = np.abs(_integers(ours, release) - _integers(theirs, release)).max()
            assert apart <= 1, release.query.name
        assert names >= {"item_sums", "population_prior", "trunk_items", "trunk_network"}
        ours_list = [one.item for one in recommend(model, own, 10, diversity=0.0)]
        assert ours_list == _simulated_list(trained, simulated, 10)


def _note_acts(device: Device, simulated: History) -> None:
    """Tell the device what the simulator knows of the owner's acts on comments."""
    if simulated.comment_acts is None:
        return
    for row, act in zip(simulated.items.tolist(), simulated.comment_acts, strict=True):
        if not np.isnan(act):
            device.note(row, "opened" if act else "seen")


def _integers(answer: Floats | SparseVector, release: Release) -> np.ndarray:
    """Clip and round an answer as the door does, with the same chance, before any noise."""
    assert release.mechanism is not None
    coded = encode(answer, release.query, release.mechanism, np.random.default_rng(0))
    if not isinstance(coded, SparseVector):
        return np.asarray(coded)
    dense = np.zeros(release.query.dimension, dtype=np.int64)
    dense[coded.indices] = coded.values
    return dense


def _simulated_list(trained: Trained, simulated: History, k: int) -> list[int]:
    """Rank as the simulator's evaluation does: all items but those rated."""
    predictor = DevicePredictor(trained.model, trained.devices, trained.dataset.scale)
    score = np.array(predictor.score(trained.place))
    score[simulated.items] = -np.inf
    return [int(row) for row in np.argsort(-score, kind="stable")[:k]]


def test_device_and_simulator_agree_on_a_villager(tmp_path: Path) -> None:
    check(Trained(tmp_path, hamlet()), tmp_path)


@pytest.mark.skipif(not ML_100K.is_dir(), reason="needs MovieLens 100K in PRIVET_DATA_DIR")
@pytest.mark.slow
def test_device_and_simulator_agree_on_a_real_user(tmp_path: Path) -> None:
    check(Trained(tmp_path, load(str(ML_100K))), tmp_path)


def test_model_file_gives_the_list_of_the_model_in_memory(tmp_path: Path) -> None:
    files = write_files(tmp_path, hamlet())
    model = load_model(files.model.read_bytes(), files.listed)
    again = load_model(save_model(model), files.listed)
    own = devices_of(hamlet(), hamlet().interactions)[files.user]
    assert recommend(model, own) == recommend(again, own)
    assert isinstance(model, SharedModel)
