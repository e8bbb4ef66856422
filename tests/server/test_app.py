# SPDX-License-Identifier: Apache-2.0
"""The ServerApp's way to devices: who is asked when, again, and who is not waited for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from server.app import GridPost
from shared import wire

NAMES = [bytes([n]) * 16 for n in range(3)]
QUESTION = wire.Question("run", 1, "share", 0, b"")
ANSWER = wire.Answer("run", 1, "share", 0, b"answer")


@dataclass
class Table:
    """A grid, devices and a clock on the table."""

    online_from: dict[int, float] = field(default_factory=dict)
    """Node to when it comes online; 0 where it is not named."""
    silent_until: dict[int, int] = field(default_factory=dict)
    """Node to how many questions it lets pass."""
    reply: Any = ANSWER
    now: float = 0.0
    pushed: list[tuple[float, int, int]] = field(default_factory=list)
    """When, to whom, which attempt."""
    rings: int = 0
    _replies: dict[str, Message] = field(default_factory=dict)

    def get_nodes(self) -> list[Any]:
        return [
            SimpleNamespace(public_key=b"key %d" % node, node_id=node)
            for node in range(len(NAMES))
            if self.now >= self.online_from.get(node, 0)
        ]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        ids = []
        for message in messages:
            node = message.metadata.dst_node_id
            message.metadata.__dict__["_message_id"] = f"{len(self.pushed)}"
            self.pushed.append((self.now, node, dict(message.content["privet"])["attempt"]))  # type: ignore[arg-type]
            ids.append(message.metadata.message_id)
            if self.silent_until.get(node, 0) > 0:
                self.silent_until[node] -= 1
                continue
            self._replies[ids[-1]] = self._answer(message)
        return ids

    def _answer(self, message: Message) -> Message:
        if isinstance(self.reply, Error):
            return Message(self.reply, reply_to=message)
        table = self.reply if isinstance(self.reply, dict) else wire.pack(self.reply)
        return Message(RecordDict({"privet": ConfigRecord(table)}), reply_to=message)

    def pull_messages(self, ids: Iterable[str]) -> list[Message]:
        return [self._replies.pop(found) for found in list(ids) if found in self._replies]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ring(self) -> None:
        self.rings += 1

    def post(self) -> GridPost:
        seats = {
            f"key {node}": SimpleNamespace(
                state="enrolled", read=lambda _, name=name: {"device": name.hex()}
            )
            for node, name in enumerate(NAMES)
        }
        return GridPost(
            self,  # type: ignore[arg-type]
            lambda: seats,  # type: ignore[arg-type,return-value]
            self.ring,
            self.sleep,
            lambda: self.now,
        )


@pytest.fixture(autouse=True)
def task() -> None:
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1


def ask(table: Table, action: str = "train.share", question: Any = QUESTION) -> list[bytes]:
    questions = dict.fromkeys(NAMES, question)
    return [name for name, _ in table.post().ask(action, questions, 30.0)]


def test_everybody_answers_once_and_the_bell_rings() -> None:
    table = Table()
    assert sorted(ask(table)) == NAMES
    assert len(table.pushed) == 3
    assert table.rings == 1


def test_who_is_silent_is_asked_again_at_half_of_the_time() -> None:
    table = Table(silent_until={1: 1})
    assert sorted(ask(table)) == NAMES
    (when, node, attempt) = table.pushed[-1]
    assert (node, attempt) == (1, 1)
    assert 15 < when < 16.5


def test_who_stays_silent_is_waited_for_until_the_deadline() -> None:
    table = Table(silent_until={1: 9})
    assert sorted(ask(table)) == [NAMES[0], NAMES[2]]
    assert 30 <= table.now < 31


def test_who_comes_online_within_a_stage_is_asked_then() -> None:
    table = Table(online_from={2: 10.0})
    assert sorted(ask(table)) == NAMES
    assert table.pushed[-1][1] == 2
    assert 10 <= table.pushed[-1][0] < 11


def test_nobody_is_waited_for_to_open_a_round() -> None:
    table = Table(online_from={2: 10.0})
    opening = wire.Opening("run", 1, 0, b"", b"", "")
    assert sorted(ask(table, "train.advertise", opening)) == NAMES[:2]
    assert table.now < 1


@pytest.mark.parametrize(
    "reply", [Error(code=5, reason="away"), {"message": "Nonsense"}, {"loss": 1}], ids=range(3)
)
def test_errors_and_other_messages_are_no_answers(reply: Any) -> None:
    table = Table(reply=reply)
    assert ask(table) == []


def test_online_names_enrolled_devices_alone() -> None:
    table = Table(online_from={0: 5.0})
    assert table.post().online({NAMES[1]: b"", bytes(16): b""}) == {NAMES[1]}
