# SPDX-License-Identifier: Apache-2.0
"""`--engine flower` and `flwr run .`: what they refuse, and both as they are run."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.street import free_port
from shared.config import RunConfig
from shared.errors import EnvironmentFault, UsageError
from shared.flower import FLOWER_QUIET
from simulation.cli import simulate as command
from simulation.flower import DEVICES_MAX, as_deployed, check_ray, deployment, settled
from simulation.run import simulate
from simulation.runs import read_result

ROOT = Path(__file__).resolve().parents[2]
with_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs privet[flower], which brings Ray"
)


def test_engine_says_what_to_install_when_ray_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(EnvironmentFault, match="Ray") as wrong:
        check_ray()

    assert "privet[flower]" in wrong.value.hint
    with pytest.raises(EnvironmentFault):
        simulate(RunConfig(engine="flower"))


@pytest.mark.parametrize(
    "changes",
    [
        {"no_privacy": True},
        {"trust": "central"},
        {"cohort": 100},
        {"objective": "ratings"},
        {"blocks": ("items",)},
    ],
)
def test_deployment_refuses_what_no_server_does(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="--engine flower"):
        deployment(RunConfig(**changes), 20, comments=False)  # type: ignore[arg-type]


def test_deployment_refuses_too_many_devices_and_says_how_many() -> None:
    with pytest.raises(UsageError, match=str(DEVICES_MAX)):
        deployment(RunConfig(), DEVICES_MAX + 1, comments=False)


def test_plan_of_a_simulation_is_the_plan_of_its_deployment() -> None:
    asked = as_deployed(RunConfig(noise_multiplier=1.5), 20, comments=False)

    assert asked.noise_multiplier == pytest.approx(1.5, rel=1e-3)
    planned = deployment(RunConfig(noise_multiplier=1.5), 20, comments=False).plan_config
    assert (planned.noise_multiplier, planned.target_delta) == (
        asked.noise_multiplier,
        asked.target_delta,
    )


class SlowGrid:
    """Nodes come one by one."""

    def __init__(self, last: int) -> None:
        self.last, self.here = last, 0

    def get_nodes(self) -> range:
        self.here = min(self.here + 1, self.last)
        return range(self.here)


@pytest.mark.parametrize("count", [3, 0])
def test_server_waits_until_all_nodes_are_there(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    assert len(settled(SlowGrid(3), count)) == 3
    with pytest.raises(EnvironmentFault, match="nodes"):
        settled(SlowGrid(3), 4)


def test_engine_ray_is_reserved() -> None:
    with pytest.raises(UsageError, match="reserved"):
        command(engine="ray")


@with_ray
@pytest.mark.slow
def test_engine_flower_runs_the_deployments_apps_and_leaves_a_finished_run(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        'engine = "flower"\nencoder = "characters"\nrounds = 1\nnoise-seed = 3\n'
        "[budget]\nitem_sums = 0.6\ntrunk_items = 0.3\nmetrics = 0.1\n"
    )
    data, out = tmp_path / "data", tmp_path / "out"
    privet(["data", "generate", str(data), "--users", "8", "--items", "30"])
    told = privet(["simulate", str(data), "--config", str(config), "--out", str(out)])

    assert "over Flower: round 2  trunk_items  invited 8  survivors 8" in told
    figures = read_result(out)
    assert "over Flower: round 3  metrics  invited 8  survivors 8" in told
    assert (figures["secure_aggregation"], figures["rounds"]) == ("real", 3)
    assert figures["released"]["rmse_user_se"] > 0
    assert not (out / "private" / "flower").exists()


def privet(words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "privet", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@with_ray
@pytest.mark.slow
def test_flwr_run_in_the_repository_prints_a_result(tmp_path: Path) -> None:
    home = tmp_path / "flower"
    environment = {**os.environ, **FLOWER_QUIET, "FLWR_HOME": str(home), "PYTHONPATH": str(ROOT)}
    for name in ("HTTP", "CONTROL"):
        environment[f"FLWR_LOCAL_{'SUPERLINK_HTTP' if name == 'HTTP' else name}_API_PORT"] = str(
            free_port()
        )
    programs = Path(sys.executable).parent
    environment["PATH"] = os.pathsep.join((str(programs), environment["PATH"]))
    try:
        done = subprocess.run(
            [programs / "flwr", "run", ".", "--stream"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        said = done.stdout + done.stderr
        assert "2 devices, 60 items, 2 rounds released, 0 discarded; the ledger replays" in said
        bundles = [path for path in home.rglob("*") if path.is_file() and "apps" in path.parts]
        assert {path.suffix for path in bundles} <= {".toml", ""}
    finally:
        end_daemon(home)


def end_daemon(home: Path) -> None:
    """End the SuperLink that `flwr run` left behind: ours by its folder, by its process id."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"flower-superlink" in words and str(home).encode() in words:
                os.kill(int(entry.name), signal.SIGTERM)
                time.sleep(1)
