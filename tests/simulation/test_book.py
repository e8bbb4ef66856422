# SPDX-License-Identifier: Apache-2.0
"""Every run keeps a book that replays to the run's own epsilon."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privet
from server import plan
from shared.errors import UsageError
from shared.ledger import chain
from shared.ledger.replay import replay
from shared.model.file import load_model, save_model
from simulation import simulate
from simulation.audit.facts import gather
from simulation.vectorised import Vectorised


def run(folder: Path, out: Path, **options: Any) -> dict[str, Any]:
    return simulate(data=str(folder), encoder="characters", out=str(out), **options)


@pytest.mark.parametrize(
    "options", [{}, {"cohort": 30}, {"trust": "central"}, {"trust": "local"}, {"colluders": 3}]
)
def test_replayed_epsilon_is_the_runs(
    folder: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    figures = run(folder, tmp_path / "r", **options)
    found = replay(tmp_path / "r")
    assert found.epsilon == pytest.approx(figures["epsilon"], abs=1e-9)
    assert found.book.rounds == figures["rounds"]
    assert found.book.releases


@pytest.mark.parametrize("budget", [None, {"item_sums": 0.9, "metrics": 0.1}])
def test_report_of_a_run_verifies(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    budget: dict[str, float] | None,
) -> None:
    run(folder, tmp_path / "r", **({"budget": budget} if budget else {}))
    page = str(tmp_path / "r.html")
    assert privet.main(["audit", "report", str(tmp_path / "r"), "--out", page]) == 0
    assert privet.main(["audit", "verify", page]) == 0
    assert privet.main(["audit", "replay", str(tmp_path / "r"), "--format", "json"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"no_privacy": True}, "No privacy: no noise"),
        ({"noise_seed": 1}, "No privacy: the noise of this run came from a seed"),
        ({"local_only": True}, "nothing left any device"),
    ],
)
def test_report_says_what_a_run_does_not_promise(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, Any],
    words: str,
) -> None:
    run(folder, tmp_path / "r", **options)
    page = tmp_path / "r.html"
    assert privet.main(["audit", "report", str(tmp_path / "r"), "--out", str(page)]) == 0
    capsys.readouterr()
    assert words in page.read_text()


def test_killed_run_goes_on_without_opening_a_round_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop inside each sum in turn: the round is open, its sum is not stored yet."""
    options: dict[str, Any] = {
        "budget": {"item_sums": 0.5, "trunk_items": 0.5},
        "rounds": 2,
        "cohort": 60,
    }
    whole = Vectorised.cohort_sum
    for stop in (1, 2, 3):
        out, calls = tmp_path / f"r{stop}", []

        def dying(self: Vectorised, *args: Any, stop: int = stop, calls: list[int] = calls) -> Any:
            calls.append(1)
            if len(calls) == stop:
                raise KeyboardInterrupt
            return whole(self, *args)

        monkeypatch.setattr(Vectorised, "cohort_sum", dying)
        with pytest.raises(KeyboardInterrupt):
            run(folder, out, **options)
        monkeypatch.setattr(Vectorised, "cohort_sum", whole)
        if not out.exists():
            continue  # nothing was released, so nothing was left behind
        figures = simulate(data=str(folder), encoder="characters", resume=str(out), **options)
        found = replay(out)
        assert found.epsilon == pytest.approx(figures["epsilon"], abs=1e-9)
        assert found.book.sums_opened == found.book.released == 3 * figures["sessions"]


def test_each_seed_keeps_its_own_book(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "r", seeds=2, seed=5)
    for seed in (5, 6):
        assert replay(tmp_path / "r" / f"seed{seed}-ledger").book.released


def test_book_of_exact_sums_is_keyed(folder: Path, tmp_path: Path) -> None:
    """Two runs on the same data without noise have the same sums and different hashes."""
    models = []
    for name in "ab":
        run(folder, tmp_path / name, no_privacy=True)
        lines = (tmp_path / name / "ledger" / chain.RECORDS).read_text().splitlines()
        models.append([json.loads(line)["body"].get("model") for line in lines[2:]])
    assert not set(filter(None, models[0])) & set(filter(None, models[1]))


def test_model_file_predicts_what_the_model_predicts(folder: Path, tmp_path: Path) -> None:
    from shared.catalogue import load_catalogue
    from shared.model.history import History

    run(folder, tmp_path / "r", target_epsilon=20)
    catalogue, _, _ = load_catalogue(tmp_path / "r" / "catalogue.safetensors")
    data = (tmp_path / "r" / "model.safetensors").read_bytes()
    model = load_model(data, catalogue)
    assert save_model(model) == data
    stars = model.rate(History(np.array([1, 5]), np.array([1.0, -1.0])), np.arange(10))
    assert np.isfinite(stars).all()


def test_report_of_one_seed_states_what_all_seeds_cost(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, tmp_path / "r", seeds=2, seed=5)
    ledger, page = tmp_path / "r" / "seed6-ledger", str(tmp_path / "r.html")
    facts = gather(ledger)
    assert "One of 2 seeds" in facts["exceptions"][0]
    assert '"tuning"' in facts["policy"]
    assert facts["model"]["bytes"]
    assert facts["stated"]["sums_compared"] == replay(ledger).book.released
    assert privet.main(["audit", "report", str(ledger), "--out", page]) == 0
    assert privet.main(["audit", "verify", page]) == 0
    assert privet.main(["audit", "replay", str(tmp_path / "r")]) == 2
    assert "seed5-ledger, seed6-ledger" in capsys.readouterr().err


def test_every_published_sum_is_in_the_book(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repetition in sessions draws sums of its own: they would double what a run costs."""
    monkeypatch.setattr(plan, "MAX_SECURE_SUM", 50)
    figures = run(folder, tmp_path / "r")
    assert figures["in_sessions"]
    published = list((tmp_path / "r" / "releases").iterdir())
    assert len(published) == replay(tmp_path / "r").book.released


def test_run_does_not_go_on_with_another_budget(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "r")
    before = {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}
    with pytest.raises(UsageError, match="settings"):
        simulate(
            data=str(folder), encoder="characters", resume=str(tmp_path / "r"), target_epsilon=20
        )
    assert before == {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}
