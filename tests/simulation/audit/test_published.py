# SPDX-License-Identifier: Apache-2.0
"""Sums and metrics that a run publishes are those of its ledger, or the run is refused."""

import json
import shutil
from hashlib import sha256

import numpy as np
import pytest
from safetensors.numpy import save

from privet import main
from shared.errors import DataError
from shared.ledger.beside import locate
from shared.ledger.records import LedgerFault
from shared.ledger.replay import replay
from simulation.audit import published
from tests.shared.ledger import made

SUMS = {f"trunk_items-{n:04d}": np.arange(4.0) + n for n in (1, 2, 3)}


def make(folder, variant="", **opening):
    """A run of three rounds whose model hashes chain over its published sums."""
    model, steps = made.digest("model 0"), [("run_open", made.run_open(**opening))]
    (folder / "releases").mkdir(parents=True, exist_ok=True)
    for number, (name, total) in enumerate(SUMS.items(), 1):
        (folder / "releases" / f"{variant}{name}.safetensors").write_bytes(save({"sum": total}))
        steps.append(("round_open", made.round_open(number, model=model)))
        model = sha256(bytes.fromhex(model) + total.tobytes()).hexdigest()
        steps.append(("round_close", made.round_close(number, model=model)))
    steps.append(("round_open", made.round_open(4, "metrics", model=model)))
    steps.append(("round_close", made.round_close(4, "metrics", model=model)))
    steps.append(("metric_release", metrics()))
    total = save({"sum": np.zeros(7)})
    (folder / "releases" / f"{variant}metrics-0001.safetensors").write_bytes(total)
    made.write(folder / f"{variant}ledger", steps)
    (folder / f"{variant}policy.json").write_bytes(b"policy")
    (folder / f"{variant}metrics.jsonl").write_text('{"step": 1}\n{"released/rmse_user": 0.9}\n')
    return folder


def metrics():
    return {"round": 4, "query": "metrics", "figures": {"rmse_user": "0.9"}}


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "run")


def held(path):
    return published.hold(locate(path), replay(path))


def refused(path, **place):
    with pytest.raises(LedgerFault) as caught:
        held(path)
    assert {name: getattr(caught.value, name) for name in place} == place


def test_every_published_sum_is_hashed_again(run, capsys):
    assert held(run) == 3
    assert main(["audit", "replay", str(run)]) == 0
    assert "Published sums: 3" in capsys.readouterr().out


def test_changed_sum_is_refused_at_its_round(run, capsys):
    file = run / "releases" / "trunk_items-0002.safetensors"
    file.write_bytes(save({"sum": SUMS["trunk_items-0002"] + 1e-9}))
    refused(run, record=4, field="model")
    assert main(["audit", "replay", str(run), "--format", "json"]) == 15
    assert json.loads(capsys.readouterr().out)["record"] == 4


def test_sums_that_change_places_are_refused(run):
    files = [run / "releases" / f"trunk_items-000{n}.safetensors" for n in (1, 2)]
    one, two = (file.read_bytes() for file in files)
    files[0].write_bytes(two)
    files[1].write_bytes(one)
    refused(run, record=2, field="model")


@pytest.mark.parametrize("content", [None, b"", b"not a sum", save({"other": np.zeros(2)})])
def test_missing_or_damaged_sum_is_refused(run, content):
    file = run / "releases" / "trunk_items-0003.safetensors"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    refused(run, record=6, field="model")


def test_sum_that_no_round_released_is_refused(run):
    file = run / "releases" / "trunk_items-0004.safetensors"
    file.write_bytes(save({"sum": np.zeros(4)}))
    refused(run, field="releases/trunk_items-0004.safetensors")


def test_second_sum_of_metrics_is_refused(run):
    file = run / "releases" / "metrics-0002.safetensors"
    file.write_bytes(save({"sum": np.zeros(7)}))
    refused(run, field="releases/metrics-0002.safetensors")


def test_each_seed_is_held_against_its_own_sums(tmp_path):
    run = make(make(tmp_path / "run", "seed5-"), "seed15-")
    assert held(run / "seed5-ledger") == held(run / "seed15-ledger") == 3


def test_nothing_is_compared_without_sums_or_with_keyed_hashes(run, tmp_path):
    shutil.rmtree(run / "releases")
    assert held(run) is None
    assert held(make(tmp_path / "seeded", noise="seeded")) is None


@pytest.mark.parametrize("line", ['{"released/mae_user": 0.5}', '{"released/rmse_user": 0.8}'])
def test_figure_that_no_metric_release_holds_is_refused(run, line):
    (run / "metrics.jsonl").write_text(f"{line}\n")
    name = next(iter(json.loads(line)))
    refused(run, field=f"metrics.jsonl line 1, {name}")


def test_damaged_metrics_are_bad_data(run):
    (run / "metrics.jsonl").write_text("not JSON\n")
    with pytest.raises(DataError, match="line 1"):
        held(run)
