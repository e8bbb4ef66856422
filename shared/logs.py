# SPDX-License-Identifier: Apache-2.0
"""Log lines of services: for people, or one JSON object a line.

Only released or public quantities are logged, under agreed names; a field of another name raises
where it is logged, so that none slips out in an operator's logs. Files are rotated; what goes to
stderr is journald's, which rotates by itself.

Source: UX.md, section 4.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

LogStyle = Literal["text", "json"]
VARIABLE = "PRIVET_LOG_FORMAT"
"""Environment variable that tells the processes of a service how to log."""
FIELDS = frozenset(
    {
        "round",
        "query",
        "stage",
        "invited",
        "survivors",
        "rho_percent",
        "seconds",
        "why",
        "refused",
        "answer",
        "enrolled",
        "users",
        "taken",
        "rounds",
        "model",
        "process",
        "code",
        "address",
        "run",
    }
)
"""Every field that a line may have beside `at`, `level`, `room` and `text`; all public."""
ALWAYS = ("at", "level", "room", "text")
FILE_BYTES, FILES = 2**22, 5
"""A log file is begun anew at this size, and so many old ones are kept."""


def fields(**values: str | int | float | dict[str, int]) -> dict[str, Any]:
    """Return what `logging` takes as `extra`.

    Raises:
        ValueError: A field is not among the agreed ones.

    Example:
        >>> fields(round=3, survivors=24)
        {'fields': {'round': 3, 'survivors': 24}}
    """
    unknown = sorted(set(values) - FIELDS)
    if unknown:
        raise ValueError(f"a log line must have agreed fields, got {', '.join(unknown)}.")
    return {"fields": values}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Spell a record; no traceback, whose values nobody has looked at."""
        named: dict[str, Any] = getattr(record, "fields", {})
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "at": when,
            "level": record.levelname,
            "room": record.name.removeprefix("privet."),
            "text": record.getMessage(),
        }
        return json.dumps(line | fields(**named)["fields"], ensure_ascii=False)


def formatter(style: LogStyle | None = None) -> logging.Formatter:
    """Return the formatter of a style, that of the environment where none is given."""
    if (style or os.environ.get(VARIABLE)) == "json":
        return JsonLines()
    return logging.Formatter("%(asctime)s %(levelname)-5s %(message)s", "%H:%M:%S")


def log_to_stderr(style: LogStyle) -> None:
    """Log this service to stderr, and let the processes that it starts log alike."""
    os.environ[VARIABLE] = style
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(style))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("privet").setLevel(logging.INFO)


@contextmanager
def log_to_file(file: Path, log: logging.Logger) -> Iterator[None]:
    """Log to a file that is rotated, while this lasts."""
    handler = RotatingFileHandler(
        file, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8", delay=True
    )
    handler.setFormatter(formatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
