# SPDX-License-Identifier: Apache-2.0
"""What `privet doctor` and `privet version` print, and how they fail."""

import json

import pytest

import privet
from shared.errors import EnvironmentFault
from simulation import doctor


def run(capsys, *words):
    code = privet.main(list(words))
    return code, *capsys.readouterr()


def test_version_prints_one_json_object(capsys):
    code, out, err = run(capsys, "version", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["privet"] == doctor.privet_version()


def test_version_names_python_in_text(capsys):
    code, out, _ = run(capsys, "version")
    assert code == 0
    assert "python" in out


def test_doctor_exits_11_with_one_hint_a_failure(capsys, monkeypatch):
    checks = [
        doctor.Check("disk", False, "0.1 GiB free", "free some."),
        doctor.Check("encoder", False, "missing", "install it."),
        doctor.Check("python", True, "3.11"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: checks)
    code, out, err = run(capsys, "doctor")
    assert code == 11
    assert out.count("FAILED") == 2
    assert err.count("hint: ") == err.count("error: ") == 2


def test_doctor_json_says_each_check(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Check("python", True, "3.11")])
    code, out, err = run(capsys, "doctor", "--format", "json")
    assert (code, err) == (0, "")
    expected = {"name": "python", "ok": True, "detail": "3.11", "hint": "", "state": "ok"}
    assert json.loads(out) == {"ok": True, "checks": [expected]}


def test_examine_gives_a_hint_exactly_where_a_check_fails():
    assert all(check.ok == (check.hint == "") for check in doctor.examine())


def test_check_telemetry_fails_when_a_variable_is_changed(monkeypatch):
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")
    found = doctor.check_telemetry()
    assert not found.ok
    assert "FLWR_TELEMETRY_ENABLED=0" in found.hint


def test_check_encoder_fails_when_weights_are_missing(monkeypatch):
    def missing():
        raise EnvironmentFault("no weights.", hint="install them.")

    monkeypatch.setattr(doctor, "default_weights", missing)
    assert doctor.check_encoder() == doctor.Check("encoder", False, "no weights.", "install them.")


@pytest.mark.parametrize("floor", ["DISK_FLOOR", "MEMORY_FLOOR"])
def test_check_fails_below_a_floor(monkeypatch, tmp_path, floor):
    monkeypatch.setattr(doctor, floor, 2**70)
    check = doctor.check_disk(tmp_path) if floor == "DISK_FLOOR" else doctor.check_machine()
    assert not check.ok
    assert check.hint
