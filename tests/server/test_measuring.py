# SPDX-License-Identifier: Apache-2.0
"""Released figures: finite for any sum, with the standard error that the noise gives."""

import numpy as np
import pytest

from server.card import figures_words
from server.measuring import released_figures

TRUE = np.array([180.0, 150.0, 90.0, 60.0, 50.0, 80.0, 300.0])
"""A sum over 300 devices."""


def test_figures_are_averages_over_users_in_stars() -> None:
    figures = released_figures(TRUE, 0.0, 2.0)
    assert figures["rmse_user"] == pytest.approx(2 * (4 * 0.6) ** 0.5)
    assert figures["mae_user"] == pytest.approx(2 * 2 * 0.5)
    assert figures["hit_user"] == pytest.approx(0.3)
    assert figures["comment_auc_user"] == pytest.approx(50 / 80)
    assert not any(value for name, value in figures.items() if name.endswith("_se"))


def test_figures_are_finite_for_a_sum_of_pure_noise() -> None:
    for total in (np.full(7, -5.0), np.full(7, 9.0), np.zeros(7)):
        figures = released_figures(total, 3.0, 1.0)
        assert np.isfinite(list(figures.values())).all()


def test_standard_errors_are_the_spread_over_the_noise() -> None:
    rng, noise = np.random.default_rng(4), 2.0
    drawn = [released_figures(TRUE + rng.normal(0, noise, 7), noise, 1.0) for _ in range(4000)]
    stated = released_figures(TRUE, noise, 1.0)
    for name in ("rmse_user", "mae_user", "hit_user", "ndcg_user", "comment_auc_user"):
        spread = np.std([figures[name] for figures in drawn])
        # The sample's spread is known to 1.1 %; 6 % is more than five times that.
        assert stated[f"{name}_se"] == pytest.approx(spread, rel=0.06), name


def test_words_put_each_standard_error_beside_its_figure() -> None:
    booked = {"rmse_user": "0.9123", "rmse_user_se": "0.0211", "metrics_noise_std": "0.01"}
    assert figures_words(booked) == "rmse_user 0.9123 ± 0.021, metrics_noise_std 0.01"
