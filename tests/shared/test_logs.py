# SPDX-License-Identifier: Apache-2.0
"""Log lines of services: parsed, agreed fields alone, files rotated."""

import json
import logging
from pathlib import Path

import pytest

from client.run import _tell
from shared import logs, wire
from shared.logs import ALWAYS, FIELDS, VARIABLE, JsonLines, fields, log_to_file


def test_fields_refuse_a_name_that_was_not_agreed_on() -> None:
    with pytest.raises(ValueError, match="loss"):
        fields(loss=0.5)


def test_formatter_refuses_fields_that_went_past_the_check() -> None:
    record = logging.LogRecord("privet.server", logging.INFO, "", 0, "text", (), None)
    record.fields = {"norm": 1.0}

    with pytest.raises(ValueError, match="norm"):
        JsonLines().format(record)


def test_json_lines_leave_tracebacks_out() -> None:
    log = logging.getLogger("privet.test")
    record = log.makeRecord("privet.test", logging.ERROR, "", 0, "it broke", (), None)
    record.exc_info = (ValueError, ValueError("secret text 4242"), None)

    assert "4242" not in JsonLines().format(record)


@pytest.mark.parametrize("style", ["json", "text"])
def test_file_holds_one_line_an_event_in_the_style_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    monkeypatch.setenv(VARIABLE, style)
    log = logging.getLogger("privet.test")
    with log_to_file(tmp_path / "a.log", log):
        log.info("round %d", 3, extra=fields(round=3))
    line = (tmp_path / "a.log").read_text()

    if style == "json":
        found = json.loads(line)
        assert (found["round"], found["text"], found["room"]) == (3, "round 3", "test")
        assert set(found) == {*ALWAYS, "round"}
    else:
        assert line.rstrip().endswith("INFO  round 3")


def test_file_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    log = logging.getLogger("privet.test")
    with log_to_file(tmp_path / "a.log", log):
        for number in range(1000):
            log.info("round %d", number)

    assert len(list(tmp_path.iterdir())) == logs.FILES + 1


@pytest.mark.parametrize(
    "reply",
    [
        wire.Contribution("run", 3, 0, b"masked"),
        wire.Refused("run", 3, "advertise", 0, "paused"),
        wire.Taken("run", "model"),
    ],
)
def test_device_logs_the_kind_of_its_answer_alone(
    reply: wire.Message, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "privet.client"):
        _tell(reply)

    found = json.loads(JsonLines().format(caplog.records[0]))
    assert set(found) == {*ALWAYS, "round", "answer"} <= {*ALWAYS, *FIELDS}
    assert "masked" not in found["text"]
