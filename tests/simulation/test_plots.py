# SPDX-License-Identifier: Apache-2.0
"""Pictures show what the figures say, in grey, and the same bytes every time."""

import re
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from simulation.plots import accuracy_against_diversity, result_bars, rmse_against_epsilon

RUN = {
    "data": "made",
    "split": "random",
    "epsilon": 8.0,
    "rmse": 0.91,
    "releases_without_noise": False,
    "local_only_rmse": 0.99,
    "baseline_user_mean_rmse": 1.0426,
    "baseline_item_user_mean_rmse": 0.9436,
}
FREE = RUN | {"epsilon": None, "rmse": 0.89, "releases_without_noise": True}
RUNS = [RUN, RUN | {"epsilon": 1.0, "rmse": 0.95, "rmse_sd": 0.004}, FREE]

DIVERSE = [
    RUN | {"diversity": value, "hr@10_full": 0.12 - 0.05 * value, "intra_list_diversity@10": 0.6}
    for value in (0.0, 0.3)
]


def _text(picture: bytes) -> str:
    root = ElementTree.fromstring(picture)
    return " | ".join(text for text in root.itertext() if text.strip())


@pytest.mark.parametrize(
    "draw",
    [
        lambda: rmse_against_epsilon(RUNS),
        lambda: result_bars(RUN),
        lambda: accuracy_against_diversity(DIVERSE),
    ],
)
def test_picture_has_the_same_bytes_twice(draw):
    first = draw()
    assert draw() == first
    assert b"<dc:date>" not in first
    assert b"<dc:creator>" not in first
    assert not re.search(rb"20\d\d-\d\d-\d\d", first)


@pytest.mark.parametrize("picture", [rmse_against_epsilon(RUNS), result_bars(RUN)])
def test_picture_is_valid_svg(picture):
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox")


def test_runs_without_noise_share_one_entry_of_the_legend():
    text = _text(rmse_against_epsilon([*RUNS, FREE | {"rmse": 0.9}]))
    assert text.count("without noise") == 1


@pytest.mark.parametrize("picture", [rmse_against_epsilon(RUNS), result_bars(RUN)])
def test_picture_is_grey(picture):
    colours = re.findall(rb"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})\b", picture)
    assert colours
    assert all(red == green == blue for red, green, blue in colours)


def test_rmse_against_epsilon_names_private_free_and_local():
    text = _text(rmse_against_epsilon(RUNS))
    for words in ("private federation", "without noise", "a device alone", "item + user mean"):
        assert words in text


def test_rmse_against_epsilon_does_not_depend_on_the_order_of_runs():
    assert rmse_against_epsilon(RUNS) == rmse_against_epsilon([RUNS[2], RUNS[1], RUNS[0]])


def test_rmse_against_epsilon_draws_one_line_a_split_and_no_level_when_splits_differ():
    text = _text(rmse_against_epsilon([*RUNS, RUN | {"split": "users", "rmse": 1.0}]))
    assert "made, random" in text
    assert "made, users" in text
    assert "without noise" not in text


@pytest.mark.parametrize("runs", [[], [FREE], [{"rmse": 0.9, "epsilon": None}]])
def test_rmse_against_epsilon_draws_without_noisy_runs(runs):
    assert _text(rmse_against_epsilon(runs))


def test_result_bars_prints_every_known_figure():
    text = _text(result_bars(RUN | {"rmse_sd": 0.002}))
    for words in ("1.0426", "0.9436", "0.9900", "0.9100 ± 0.0020", "this run, ε = 8"):
        assert words in text


def test_result_bars_adds_the_run_without_noise_when_compared():
    assert "0.8900" in _text(result_bars(RUN | {"price_of_privacy": 0.02}))


@pytest.mark.parametrize("figures", [{}, RUN | {"local_only_rmse": None}])
def test_result_bars_leaves_missing_figures_out(figures):
    assert "a device alone" not in _text(result_bars(figures))


def test_pictures_leave_matplotlib_as_it_was():
    before = dict(mpl.rcParams)
    result_bars(RUN)
    assert dict(mpl.rcParams) == before


def test_diversity_picture_names_each_lambda_and_the_privacy():
    words = _text(accuracy_against_diversity([*DIVERSE, RUN]))
    assert "λ = 0 |" in words
    assert "λ = 0.3" in words
    assert "ε = 8" in words


def test_diversity_picture_stands_without_any_list():
    assert accuracy_against_diversity([RUN]).startswith(b"<?xml")
