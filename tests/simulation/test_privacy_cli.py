# SPDX-License-Identifier: Apache-2.0
"""`privet privacy` and `privet key`, as people call them."""

import json
import stat

import pytest

from privet import main

PLAN = ["privacy", "plan", "--users", "943", "--rounds", "6"]


def figures(capsys, *words):
    assert main([*words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_plan_meets_the_target_and_plans_back_exactly(capsys):
    there = figures(capsys, *PLAN, "--target-epsilon", "8")
    assert 0 <= 8 - there["epsilon"] <= 1e-3
    back = figures(capsys, *PLAN, "--sigma2", str(there["sigma2"]))
    assert back["epsilon"] == there["epsilon"]


def test_plan_from_a_noise_multiplier_spends_its_rho(capsys):
    plan = figures(capsys, *PLAN, "--noise-multiplier", "1")
    assert plan["rho"] == pytest.approx(0.5, rel=1e-4)
    assert plan["noise_multiplier"] >= 1


def test_plan_prints_what_dropout_and_sessions_cost(capsys):
    plan = figures(
        capsys, *PLAN, "--target-epsilon", "8", "--dropout", "1/3", "--cohort", "400",
        "--colluders", "5",
    )  # fmt: skip
    costs = plan["noise_factors"]
    assert costs["dropout"] == pytest.approx(1.5**0.5, rel=1e-2)
    assert costs["sessions"] == 3**0.5
    assert costs["conversion"] == pytest.approx(1.062, abs=2e-3)
    assert costs["rounding"] < 1.001
    assert costs["colluders"] > 1


@pytest.mark.parametrize("trust", ["central", "local", "distributed"])
def test_plan_speaks_of_every_trust(capsys, trust):
    assert main([*PLAN, "--target-epsilon", "1", "--trust", trust]) == 0
    out = capsys.readouterr().out
    assert trust in out
    assert ("no protection" in out) == (trust == "central")


def test_plan_prints_one_cohort_and_sessions_above_1000_users(capsys):
    assert (
        main(["privacy", "plan", "--users", "6040", "--rounds", "6", "--target-epsilon", "8"]) == 0
    )
    out = capsys.readouterr().out
    assert "one cohort of 6040" in out
    assert "7 sessions of 862" in out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["--target-epsilon", "8", "--sigma2", "30"], 2),
        (["--target-epsilon", "nan"], 10),
        (["--target-epsilon", "8", "--dropout", "1"], 10),
        (["--target-epsilon", "8", "--dropout", "x"], 10),
        (["--sigma2", "24"], 10),
        (["--target-epsilon", "8", "--trust", "none"], 2),
    ],
)
def test_plan_refuses_bad_words_in_one_line(capsys, words, code):
    assert main([*PLAN, *words]) == code
    assert capsys.readouterr().err.startswith("error: ")


def test_explain_speaks_in_odds(capsys):
    assert main(["privacy", "explain", "8", "1e-6"]) == 0
    out = capsys.readouterr().out
    assert "77.8%" in out
    assert "99.97%" in out
    assert figures(capsys, "privacy", "explain", "1", "1e-6")["best_guess"] == pytest.approx(
        0.547, abs=1e-3
    )


def test_explain_refuses_an_epsilon_that_is_none(capsys):
    assert main(["privacy", "explain", "--", "-1", "1e-5"]) == 10


def test_key_new_writes_for_the_owner_alone_and_never_over_a_key(capsys, tmp_path):
    file = tmp_path / "key.pem"
    assert main(["key", "new", str(file)]) == 0
    shown = capsys.readouterr().out.strip()
    assert len(bytes.fromhex(shown)) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    assert main(["key", "new", str(file)]) == 10
    assert file.read_bytes() == before
