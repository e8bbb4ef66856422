# SPDX-License-Identifier: Apache-2.0
import numpy as np

from shared.model.kernel import gaussian_process, likeness
from shared.model.statistics import ItemStatistics
from shared.model.tower import build_tower
from tests.shared.model.conftest import made_up_catalogue


def _tower(catalogue):
    items = len(catalogue)
    rng = np.random.default_rng(2)
    statistics = ItemStatistics(rng.normal(size=items), np.ones(items), rng.normal(size=items))
    return build_tower(catalogue, statistics)


def test_likeness_is_one_on_the_diagonal_and_symmetric(catalogue):
    rows = np.arange(40)
    gram = likeness(catalogue, _tower(catalogue), rows, rows)
    np.testing.assert_allclose(np.diag(gram), 1.0)
    np.testing.assert_allclose(gram, gram.T)
    assert np.linalg.eigvalsh(gram).min() > -1e-9


def test_likeness_equals_the_formula(catalogue):
    tower = _tower(catalogue)
    distance = (
        2 * (1 - catalogue.text[3] @ catalogue.text[5])
        + 1.2 * (1 - catalogue.categories[3] @ catalogue.categories[5])
        + 0.5 * (catalogue.log_age[3] - catalogue.log_age[5]) ** 2
        + 0.3 * (tower.offset[3] - tower.offset[5]) ** 2
        + 0.1 * (tower.log_weight[3] - tower.log_weight[5]) ** 2
    )
    got = likeness(catalogue, tower, np.array([3]), np.array([5]))
    np.testing.assert_allclose(got, [[np.exp(-distance)]])


def test_likeness_does_without_text():
    bare = made_up_catalogue(10, text=False)
    assert np.isfinite(likeness(bare, _tower(bare), np.arange(10), np.arange(10))).all()


def test_gaussian_process_interpolates_without_noise():
    gram = np.array([[1.0, 0.3], [0.3, 1.0]])
    target = np.array([0.5, -1.0])
    np.testing.assert_allclose(gaussian_process(gram, gram, target, 1e-12), target, atol=1e-9)
