# SPDX-License-Identifier: Apache-2.0
"""Run folders: what a run leaves behind, the part that may be published apart from the rest.

    config.toml, policy.json, metrics.jsonl, env.json, releases/, model.safetensors,
    catalogue.safetensors
    private/ (0700) with result.json: figures computed with the researcher's full view

Sums are stored as soon as they exist, so that a killed run resumes without drawing anything twice.
Without privacy, or with seeded noise, sums and model are private too.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from client.training import Answer
from server.plan import Release
from shared.atomic import replace_file
from shared.errors import DataError, EnvironmentFault, UsageError
from shared.schema import Floats
from simulation.federation import CohortSum

RESULT = Path("private") / "result.json"


class RunFolder:
    """The folder of one run; leaves nothing behind when a run fails before its first release."""

    def __init__(self, path: Path, *, publishable: bool, resume: bool = False) -> None:
        self.path = path
        self.shared = path if publishable else path / "private"
        self._fresh = not path.exists()
        if not resume and path.exists() and any(path.iterdir()):
            raise UsageError(
                f"--out must name a new or empty folder, got {path}.",
                hint="choose another name, or continue that run with --resume.",
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "private").mkdir(mode=0o700, exist_ok=True)
        except OSError as wrong:
            raise EnvironmentFault(
                f"the run folder must be writable, got {path} ({wrong.strerror}).",
                hint="name another folder with --out.",
            ) from None

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._fresh and not (self.shared / "releases").exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name: str | Path, data: str | bytes) -> None:
        """Write one file in one step."""
        replace_file(self.path / name, data.encode() if isinstance(data, str) else data)

    def write_json(self, name: str | Path, value: object) -> None:
        """Write a value as readable JSON."""
        self.write(name, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def remembered(
        self, cohort_sum: CohortSum, variant: str = "", *, hidden: bool = False
    ) -> CohortSum:
        """Wrap an engine: a sum that was stored is read back, never drawn again.

        Sums that no ledger holds are hidden: published, they would cost more than the run says.
        """
        root = self.path / "private" if hidden else self.shared

        def stored(release: Release, server_round: int, answers: Iterable[Answer]) -> Floats:
            name = f"{variant}{release.query.name}-{server_round:04d}.safetensors"
            file = root / "releases" / name
            if file.exists():
                return _read_sum(file)
            total = cohort_sum(release, server_round, answers)
            replace_file(file, save_tensors({"sum": total}))
            return total

        return stored


def _read_sum(file: Path) -> Floats:
    """Read one stored sum."""
    try:
        return np.asarray(load_tensors(file.read_bytes())["sum"], dtype=np.float64)
    except (OSError, SafetensorError, KeyError):
        raise DataError(
            f"a stored sum must be readable, got {file}.",
            hint="the run cannot be continued; start a new one.",
        ) from None


def per_user_csv(columns: Mapping[str, Floats], names: Sequence[str]) -> str:
    """Lay the researcher's figures of each user out as CSV, users by name. Private."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        user, *rest = (value.item() for value in row)
        writer.writerow([names[int(user)], *rest])
    return out.getvalue()


def default_path(root: Path, name: str, now: datetime) -> Path:
    """Name a new run folder: what it ran on, and when."""
    stem = f"{name}-{now:%Y%m%d-%H%M%S}"
    taken = {path.name for path in root.glob(f"{stem}*")} if root.is_dir() else set()
    return root / next(n for n in [stem, *(f"{stem}-{i}" for i in range(2, 999))] if n not in taken)


def read_result(path: Path) -> dict[str, Any]:
    """Return the figures of a finished run.

    Raises:
        DataError: there is no run, it has not finished, or its figures cannot be read.
    """
    try:
        result = json.loads((path / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        unfinished = (path / "config.toml").exists()
        raise DataError(
            f"RUN must be the folder of a finished run, got {path}"
            f"{', which has not finished' if unfinished else ''}.",
            hint=f"`privet simulate --resume {path}` goes on with it."
            if unfinished
            else "`privet runs list` names the runs of this folder.",
        ) from None
    except (OSError, ValueError):
        raise DataError(
            f"{path / RESULT} must be readable JSON.", hint="run it again with --out."
        ) from None
    if not isinstance(result, dict):
        raise DataError(f"{path / RESULT} must hold one JSON object.", hint="run it again.")
    return result


def list_runs(root: Path) -> list[tuple[Path, dict[str, Any] | None]]:
    """Return the runs below a folder, oldest first; None for the figures of an unfinished one."""
    found: list[tuple[Path, dict[str, Any] | None]] = []
    for config in sorted(root.glob("*/config.toml"), key=os.path.getmtime):
        finished = (config.parent / RESULT).exists()
        found.append((config.parent, read_result(config.parent) if finished else None))
    return found
