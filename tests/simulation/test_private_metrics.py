# SPDX-License-Identifier: Apache-2.0
"""The private evaluation release: through the door, booked, once, and near the full view."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.ledger.replay import replay
from simulation import simulate
from simulation.private_metrics import metric_answers

SHARES = {"item_sums": 0.5, "metrics": 0.5}


def run(folder: Path, out: Path, **options: Any) -> dict[str, Any]:
    return simulate(data=str(folder), encoder="characters", out=str(out), budget=SHARES, **options)


@pytest.fixture(scope="module")
def exact(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("runs") / "exact"
    return out, run(folder, out, no_privacy=True)


def test_released_figures_are_the_users_means_without_noise(
    exact: tuple[Path, dict[str, Any]],
) -> None:
    out, figures = exact
    text = (out / "private" / "per_user.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    mean = np.mean([float(row["hit"]) for row in rows])
    assert figures["released"]["hit_user"] == pytest.approx(mean, abs=1e-9)
    assert 0 < figures["released"]["rmse_user"] < 2
    assert "comment_auc_user" in figures["released"]


def test_released_figures_are_booked_and_leave_the_model_alone(
    folder: Path, tmp_path: Path
) -> None:
    figures = run(folder, tmp_path / "r", target_epsilon=8)
    found = replay(tmp_path / "r")
    assert found.epsilon == pytest.approx(figures["epsilon"], abs=1e-9)
    (booked,) = found.book.metrics
    assert float(booked["figures"]["hit_user"]) == figures["released"]["hit_user"]
    last = json.loads((tmp_path / "r" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["released/hit_user"] == figures["released"]["hit_user"]
    closes = [
        record["body"]
        for line in (tmp_path / "r" / "ledger" / "records.jsonl").read_text().splitlines()
        if (record := json.loads(line))["kind"] == "round_close"
    ]
    assert [body["query"] for body in closes] == ["item_sums", "metrics"]
    assert closes[0]["model"] == closes[1]["model"]


def test_released_figures_near_the_full_view_under_noise(
    folder: Path, tmp_path: Path, exact: tuple[Path, dict[str, Any]]
) -> None:
    # Five standard deviations of the noise: a false alarm in 1.7 million runs.
    noisy = run(folder, tmp_path / "r", target_epsilon=100, noise_seed=4)["released"]
    spread = 5 * noisy["metrics_noise_std"]
    assert noisy["hit_user"] == pytest.approx(exact[1]["released"]["hit_user"], abs=spread + 0.05)


def test_no_budget_for_metrics_releases_none(folder: Path, tmp_path: Path) -> None:
    figures = simulate(data=str(folder), encoder="characters", out=str(tmp_path / "r"))
    assert figures["released"] is None
    assert figures["metrics_private"] is False


def test_answers_lie_in_the_unit_cube_whatever_the_figures() -> None:
    wild = {
        "user": np.array([0.0, 2.0, 3.0]),
        "squared_error": np.array([1e30, np.nan, 4.0]),
        "absolute_error": np.array([np.inf, 1.0, 2.0]),
        "hit": np.array([1.0, -1.0, np.nan]),
        "ndcg": np.array([0.2, 7.0, 0.1]),
        "comment_auc": np.array([np.nan, 0.5, 0.7]),
    }
    sent = np.stack(list(metric_answers(wild, np.arange(4), 1.0)))
    assert ((sent >= 0) & (sent <= 1)).all()
    np.testing.assert_array_equal(sent[1], 0.0)  # nothing held out: zeros, like anybody
    np.testing.assert_array_equal(sent[:, -1], [1, 0, 1, 1])
