# SPDX-License-Identifier: Apache-2.0
import stat
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from server.plan import Release
from shared.errors import DataError, EnvironmentFault, UsageError
from shared.model.queries import item_sums_query
from simulation.runs import RESULT, RunFolder, default_path, list_runs, read_result


def release() -> Release:
    return Release(item_sums_query(4), 1, Fraction(1), None, 1, 50)


def test_private_part_is_closed_to_others(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", publishable=True)
    assert stat.S_IMODE((tmp_path / "run" / "private").stat().st_mode) == 0o700


def test_remembered_sum_is_never_drawn_again(tmp_path: Path) -> None:
    draws = []

    def engine(asked: Release, server_round: int, answers: object) -> np.ndarray:
        draws.append(server_round)
        return np.full(8, len(draws), dtype=np.float64)

    for resume in (False, True):
        folder = RunFolder(tmp_path / "run", publishable=True, resume=resume)
        total = folder.remembered(engine)(release(), 1, [])
    assert draws == [1]
    assert (total == 1).all()


def test_sums_without_privacy_are_kept_private(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", publishable=False)
    folder.remembered(lambda *_: np.zeros(8))(release(), 1, [])
    assert not (tmp_path / "run" / "releases").exists()
    assert (tmp_path / "run" / "private" / "releases").is_dir()


def test_folder_vanishes_when_a_run_fails_before_its_first_release(tmp_path: Path) -> None:
    with pytest.raises(DataError), RunFolder(tmp_path / "run", publishable=True):
        raise DataError("must be, got not.")
    assert not (tmp_path / "run").exists()


def test_folder_refuses_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="new or empty"):
        RunFolder(tmp_path, publishable=True)


def test_folder_refuses_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(EnvironmentFault, match="writable"):
        RunFolder(tmp_path / "file" / "run", publishable=True)


def test_default_path_never_names_a_folder_twice(tmp_path: Path) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first = default_path(tmp_path, "village", now)
    first.mkdir()
    assert first.name == "village-20260102-030405"
    assert default_path(tmp_path, "village", now).name == "village-20260102-030405-2"


def test_read_result_says_that_a_run_has_not_finished(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(DataError, match="has not finished") as wrong:
        read_result(tmp_path)
    assert "--resume" in wrong.value.hint


def test_list_runs_names_finished_and_unfinished(tmp_path: Path) -> None:
    done = RunFolder(tmp_path / "a", publishable=True)
    done.write("config.toml", "")
    done.write_json(RESULT, {"rmse": 1.0})
    RunFolder(tmp_path / "b", publishable=True).write("config.toml", "")
    assert dict(list_runs(tmp_path)) == {tmp_path / "a": {"rmse": 1.0}, tmp_path / "b": None}
