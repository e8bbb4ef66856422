# SPDX-License-Identifier: Apache-2.0
"""The tables say what the figures say, and nothing that they do not."""

from pathlib import Path

import pytest

from simulation.report import compared, print_comparison, print_result, print_runs

RUN = {
    "data": "made",
    "split": "random",
    "seed": 0,
    "protocol": "random 10% of each user's ratings, seed 0; ranking: all items",
    "run_dir": "runs/one",
    "rmse": 0.91,
    "rmse_sd": 0.0042,
    "local_only_rmse": 0.99,
    "baseline_item_user_mean_rmse": 0.94,
    "baseline_user_mean_rmse": None,
    "hr@10": 0.25,
    "epsilon": 8.0,
    "delta": 1e-5,
    "sessions": 1,
    "cohort_size": 943,
    "neighboring_relation": "zero-out",
    "trust": "distributed",
    "noise_shares": 849,
    "noise": "os",
    "releases_without_noise": False,
}
FREE = RUN | {
    "run_dir": "runs/free", "rmse": 0.89, "epsilon": None, "releases_without_noise": True
}  # fmt: skip
LOCAL = RUN | {"run_dir": "runs/local", "rmse": 0.99, "epsilon": None}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def printed(capsys, figures):
    """Print one result; return its lines by their first words."""
    print_result(figures)
    return capsys.readouterr().out


def test_result_shows_figures_gains_and_spread(capsys):
    shown = printed(capsys, RUN)
    assert "0.9100 ± 0.0042" in shown
    assert "+0.0800" in shown
    assert "+0.0300" in shown


def test_result_leaves_a_dash_where_a_figure_is_missing(capsys):
    row = next(line for line in printed(capsys, RUN).splitlines() if "user mean" in line[:12])
    assert row.split() == ["user", "mean", "–"]


def test_result_says_what_epsilon_protects_and_where_the_run_is(capsys):
    shown = printed(capsys, RUN)
    assert "ε = 8 at δ = 1e-05 for a person's whole history" in shown
    assert "zero-out, distributed trust, one cohort, 849 noise shares" in shown
    assert "runs/one" in shown
    assert RUN["protocol"] in shown
    assert "seeded" not in shown


def test_result_shows_comments_newcomers_and_the_note_where_there_are_some(capsys):
    more = {
        "comment_mrr": 0.49,
        "note": "Not medical advice.",
        "cold_start": [{"of": "user", "ratings": 3, "users": 9, "rmse": 1.01, "hr@10": 0.5}],
    }
    shown, plain = printed(capsys, RUN | more), printed(capsys, RUN)
    for words in ("0.4900", "note      Not medical", "user after 3 ratings: RMSE 1.0100"):
        assert words in shown
        assert words not in plain
    assert "own comment" not in plain


def test_result_names_sessions_where_there_are_several(capsys):
    assert "3 sessions of 943" in printed(capsys, RUN | {"sessions": 3})


def test_result_says_that_seeded_noise_is_no_privacy(capsys):
    assert "seeded, no privacy" in printed(capsys, RUN | {"noise": "seeded, tests only"})


@pytest.mark.parametrize(("run", "words"), [(FREE, "a control only"), (LOCAL, "local only")])
def test_result_of_a_control_claims_no_epsilon(capsys, run, words):
    shown = printed(capsys, run)
    assert words in shown
    assert "ε" not in shown


def test_result_prints_brackets_and_colons_of_paths_as_they_are(capsys):
    assert "runs/[red] :smile:" in printed(capsys, RUN | {"run_dir": "runs/[red] :smile:"})


def test_runs_are_one_line_each(capsys):
    print_runs([(Path("runs/one"), RUN), (Path("runs/free"), FREE), (Path("runs/two"), None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["runs/one", "made", "random", "8"]
    assert lines[2].split()[3] == "none"
    assert lines[3].split() == ["runs/two", "unfinished"]


def test_no_runs_say_how_to_make_one(capsys):
    print_runs([])
    assert "privet simulate" in capsys.readouterr().out


def test_compared_adds_the_price_against_the_run_without_noise():
    prices = [row["price_of_privacy"] for row in compared([RUN, FREE, LOCAL])]
    assert prices == pytest.approx([0.02, 0.0, 0.1])


@pytest.mark.parametrize(
    "other",
    [
        {"data": "other"},
        {"split": "users"},
        {"seed": 1},
        {"protocol": "random 20% of each user's ratings, seed 0; ranking: all items"},
    ],
)
def test_compared_finds_no_price_across_different_held_out_rows(other):
    assert compared([RUN, FREE | other])[0]["price_of_privacy"] is None


def test_comparison_shows_price_and_gain(capsys):
    print_comparison(compared([RUN, FREE, LOCAL]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["runs/one", "8", "0.9100", "±", "0.0042", "+0.0200", "+0.0800",
                                "0.2500"]  # fmt: skip
    assert lines[2].split()[1] == "none"
    assert lines[3].split()[1] == "local"
