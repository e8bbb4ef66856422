# SPDX-License-Identifier: Apache-2.0
"""What Flower adds to a reply says nothing about how long the answer took."""

from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import Message

from client import fleet
from client.app import wrap
from client.fleet import Fleet, Line
from shared import wire
from tests.client.test_run import received

ASKED_AT, LEFT_AT = 1_000_000.0, 1_000_002.0


class Client:
    """Takes what is pushed."""

    def __init__(self) -> None:
        self.pushed: list[bytes] = []

    def PushMessages(self, request: Any) -> Any:
        self.pushed.append(request.SerializeToString(deterministic=True))
        return SimpleNamespace(objects_to_push=[], session_id="")


@pytest.fixture
def question() -> Message:
    found = received(wrap(wire.Question("run", 1, "share", 0, b"question")))
    found.metadata.created_at = ASKED_AT
    return found


def pushed(question: Message, ready_at: float, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The request by which a reply leaves that was ready at some instant before."""
    reply = Message(wrap(wire.Answer("run", 1, "share", 0, b"answer")), reply_to=question)
    reply.metadata.created_at = ready_at
    reply.metadata.ttl = question.metadata.ttl - (ready_at - ASKED_AT)
    line, client = Fleet.__new__(Fleet), Client()
    line.node_id, line._client, line._line = 7, client, Line()  # type: ignore[assignment]
    monkeypatch.setattr(fleet.time, "time", lambda: LEFT_AT)
    line.send(reply)
    return client.pushed[0]


def test_a_reply_says_when_it_left_and_not_when_it_was_ready(
    question: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = (ASKED_AT + 0.001, ASKED_AT + 0.5, ASKED_AT + 1.999)
    assert len({pushed(question, at, monkeypatch) for at in ready}) == 1
