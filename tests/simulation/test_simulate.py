# SPDX-License-Identifier: Apache-2.0
"""The main job from its command, and every bad input: one error, one hint, nothing left behind."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import privet
from simulation import simulate

FIGURES = [
    "rmse", "mae", "baseline_user_mean_rmse", "baseline_item_user_mean_rmse", "local_only_rmse",
    "recall@10", "ndcg@10", "hr@10", "hr@10_rating_only", "coverage@10",
    "intra_list_diversity@10", "novelty@10", "comment_auc", "comment_auc_item_mean",
    "comment_rule", "rmse_cold_item", "rmse_cold_user", "epsilon", "epsilon_amplified",
    "epsilon_own_share", "delta", "rho", "noise_multiplier", "noise_shares", "queries", "blocks",
    "trust", "neighboring_relation", "sessions", "cohort_size", "participations_max", "rounds",
    "users", "items", "ratings", "comments", "trunk_parameters", "seconds_training",
    "seconds_encoding", "users_per_second", "peak_rss_mb", "upload_bytes_per_user_round",
    "metrics_private", "tuning", "protocol", "run_dir", "seed",
]  # fmt: skip
"""The contract of `privet simulate --format json`."""


def run(folder: Path, out: Path, **options: Any) -> dict[str, Any]:
    return simulate(data=str(folder), encoder="characters", out=str(out), **options)


def test_simulate_prints_every_figure_of_the_contract(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", str(folder), "--encoder", "characters", "--out", str(tmp_path / "r")]
    assert privet.main([*words, "--format", "json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [name for name in FIGURES if name not in figures] == []
    assert figures["epsilon"] == pytest.approx(8, abs=1e-3)
    assert figures["metrics_private"] is False


def test_simulate_text_names_epsilon_and_run_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    words = ["simulate", str(folder), "--encoder", "characters", "--out", str(out)]
    assert privet.main(words) == 0
    shown = capsys.readouterr().out
    assert "ε = 8" in shown
    assert str(out) in shown


def test_run_folder_publishes_no_private_figure(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "r")
    shared = [p for p in (tmp_path / "r").rglob("*") if p.is_file() and "private" not in p.parts]
    assert {p.name for p in shared} >= {"config.toml", "policy.json", "env.json", "metrics.jsonl"}
    text = b"".join(p.read_bytes() for p in shared if p.suffix != ".safetensors")
    assert b"rmse" not in text
    assert b"ratings" not in text


def test_run_without_privacy_keeps_sums_and_model_private(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "r", no_privacy=True)
    public = [p.name for p in (tmp_path / "r").iterdir()]
    assert "releases" not in public
    assert "model.safetensors" not in public


def test_seeded_noise_repeats_and_is_marked(folder: Path, tmp_path: Path) -> None:
    first, second = (run(folder, tmp_path / name, noise_seed=4) for name in "ab")
    assert first["rmse"] == second["rmse"]
    assert first["noise"] == "seeded, no privacy"


def test_seed_never_seeds_the_noise(folder: Path, tmp_path: Path) -> None:
    first, second = (run(folder, tmp_path / name, seed=4) for name in "ab")
    assert first["rmse"] != second["rmse"]
    assert first["local_only_rmse"] == second["local_only_rmse"]


def test_seeds_give_means_and_spreads(folder: Path, tmp_path: Path) -> None:
    figures = run(folder, tmp_path / "r", seeds=3)
    assert figures["rmse_sd"] > 0
    assert figures["seeds"] == 3


def test_resume_draws_nothing_again(folder: Path, tmp_path: Path) -> None:
    first = run(folder, tmp_path / "r")
    again = simulate(data=str(folder), encoder="characters", resume=str(tmp_path / "r"))
    assert again["rmse"] == first["rmse"]


def test_local_only_asks_nothing(folder: Path, tmp_path: Path) -> None:
    figures = run(folder, tmp_path / "r", local_only=True)
    assert figures["epsilon"] is None
    assert figures["upload_bytes_per_user_round"] == 0
    assert figures["rmse"] == figures["local_only_rmse"]


@pytest.mark.parametrize("name", ["random", "leave-one-out", "users", "items"])
def test_every_split_runs(folder: Path, tmp_path: Path, name: str) -> None:
    figures = run(folder, tmp_path / "r", split=name)
    assert figures["rmse"] > 0
    assert figures["protocol"]
    assert figures["rmse_cold_user"] is not None or name != "users"
    assert figures["rmse_cold_item"] is not None or name != "items"


BAD_ROWS = {
    "rating out of scale": "u1,i1,9,0\n",
    "NaN": "u1,i1,nan,0\n",
    "empty user": ",i1,3,0\n",
    "empty rating": "u1,i1,,0\n",
    "text rating": "u1,i1,good,0\n",
}


@pytest.mark.parametrize("kind", list(BAD_ROWS))
def test_bad_row_is_refused_by_line_and_column_without_its_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    head = "user_id,item_id,rating,timestamp\nu1,i2,3,0\nu2,i2,4,0\n"
    (data / "interactions.csv").write_text(head + BAD_ROWS[kind])
    error = refused(["simulate", str(data), "--out", str(tmp_path / "r")], 10, capsys)
    assert "line 4" in error
    assert "good" not in error
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("user_id,item,rating\nu,i,3\n", "item_id"),
        ("user_id,item_id,rating\nu1,i1,3\n", "2 users"),
        ("user_id,item_id,rating\n", "got none"),
    ],
)
def test_bad_table_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, word: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "interactions.csv").write_text(content)
    assert word in refused(["simulate", str(data)], 10, capsys)


def test_invalid_utf8_names_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "interactions.csv").write_bytes(b"user_id,item_id,rating\nu\xff,i,3\n")
    assert "line 2" in refused(["simulate", str(data)], 10, capsys)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["simulate", "no/such/folder"], 10),
        (["simulate", "{tmp}"], 10),
        (["simulate", "village", "--split", "u1"], 2),
        (["simulate", "village", "--split", "sideways"], 2),
        (["simulate", "village", "--target-epsilon", "-1"], 2),
        (["simulate", "village", "--target-epsilon", "1", "--no-privacy"], 2),
        (["simulate", "village", "--engine", "ray"], 2),
        (["simulate", "village", "--diversity", "1.3"], 2),
        (["simulate", "village", "--public-comments", "2"], 2),
        (["simulate", "village", "--budget", "item_sums"], 2),
        (["simulate", "village", "--budget", "item_sums=.5"], 2),
        (["simulate", "village", "--cohort", "none"], 2),
        (["simulate", "village", "--encoder", "no/such/encoder"], 11),
        (["simulate", "--config", "no/such/file"], 10),
        (["simulate", "--resume", "no/such/run"], 10),
        (["runs", "show", "no/such/run"], 10),
        (["runs", "compare", "one"], 2),
    ],
)
def test_wrong_words_give_one_error_and_one_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    out = ["--out", str(tmp_path / "run")] if words[0] == "simulate" else []
    refused([word.format(tmp=tmp_path) for word in words] + out, code, capsys)
    assert not (tmp_path / "run").exists()


def test_unwritable_folder_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = ["simulate", str(folder), "--encoder", "characters"]
    refused([*words, "--out", str(tmp_path / "file" / "r")], 11, capsys)


def test_full_disk_is_refused_and_leaves_nothing(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    words = ["simulate", str(folder), "--encoder", "characters", "--out", str(tmp_path / "r")]
    assert "No space left" in refused(words, 11, capsys)
    assert not (tmp_path / "r").exists()


def test_compare_states_the_price_of_privacy(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(tmp_path / name) for name in ("free", "private")]
    run(folder, Path(runs[0]), no_privacy=True)
    run(folder, Path(runs[1]), target_epsilon=1)
    plot = tmp_path / "plot.svg"
    assert privet.main(["runs", "compare", *runs, "--plot", str(plot), "--format", "json"]) == 0
    free, private = json.loads(capsys.readouterr().out)
    assert free["price_of_privacy"] == 0
    assert private["price_of_privacy"] == pytest.approx(private["rmse"] - free["rmse"])
    assert plot.read_bytes().startswith(b"<?xml")


def refused(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused; return what it said."""
    assert privet.main(words) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    errors = [line for line in shown.err.splitlines() if line.startswith(("error:", "hint:"))]
    assert [line.split(":")[0] for line in errors] == ["error", "hint"]
    assert "Traceback" not in shown.err
    return shown.err


def test_diversity_and_published_comments_show_in_the_figures(folder: Path, tmp_path: Path) -> None:
    plain = run(folder, tmp_path / "a", noise_seed=1)
    varied = run(folder, tmp_path / "b", noise_seed=1, diversity=0.6, public_comments=0.5)
    assert varied["intra_list_diversity@10"] > plain["intra_list_diversity@10"] + 0.02
    assert varied["rmse"] == plain["rmse"]
    assert plain["comment_mrr"] is None
    assert varied["comment_mrr"] is not None
    assert varied["comments_public"] > plain["comments_public"]
    assert 0 < plain["profile_drift"] < 1
    assert "lambda = 0.6" in varied["protocol"]
    assert "50% of training comments" in varied["protocol"]


def test_compare_draws_the_price_of_diversity(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(tmp_path / name) for name in "ab"]
    for out, diversity in zip(runs, (0.0, 0.5), strict=True):
        run(folder, Path(out), diversity=diversity)
    plot = tmp_path / "plot.svg"
    assert privet.main(["runs", "compare", *runs, "--plot", str(plot)]) == 0
    assert "λ = 0.5".encode() in plot.read_bytes()


def test_newcomers_are_in_the_figures_of_their_split(folder: Path, tmp_path: Path) -> None:
    figures = run(folder, tmp_path / "r", split="users", test_fraction=0.3)
    assert [row["ratings"] for row in figures["cold_start"]] == [0, 1, 3, 10]
