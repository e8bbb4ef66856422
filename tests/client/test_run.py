# SPDX-License-Identifier: Apache-2.0
"""When a device answers: at set instants, whatever it holds and however long it took."""

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from flwr.app import ConfigRecord, Context, Message, Metadata, RecordDict
from flwr.app.message import make_message

from client.app import app, move_in, move_out, read, wrap
from client.fleet import NodeRefused, Stopping
from client.run import Beat, Resident
from shared import wire
from shared.errors import NetworkError

QUESTION = wire.Question("run", 1, "share", 0, b"question")
BEAT = Beat(answer_after_s=2.0, slow_s=15.0, fast_s=0.5, round_s=100.0, heartbeat_s=30.0)


def received(content: RecordDict) -> Message:
    """A message as it comes off the line."""
    metadata = Metadata(
        run_id=1,
        message_id="1",
        src_node_id=1,
        dst_node_id=7,
        reply_to_message_id="",
        group_id="",
        created_at=time.time(),
        ttl=60.0,
        message_type="train.share",
    )
    return make_message(metadata, content)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Line:
    """A line with questions waiting on it."""

    clock: Clock
    waiting: list[wire.Message] = field(default_factory=list)
    sent: list[tuple[float, wire.Message]] = field(default_factory=list)
    stamps: list[tuple[float, float]] = field(default_factory=list)
    heartbeats: list[float] = field(default_factory=list)
    refusals: int = 0
    closed: bool = False

    def wait_with(self, sleep: object) -> None:
        pass

    def connect(self) -> int:
        if self.refusals:
            self.refusals -= 1
            raise NodeRefused("not yet.")
        return 7

    def receive(self) -> Message | None:
        if not self.waiting:
            return None
        message = received(wrap(self.waiting.pop(0)))
        self.stamps.append((message.metadata.created_at, message.metadata.ttl))
        return message

    def send(self, reply: Message) -> None:
        self.stamps.append((reply.metadata.created_at, reply.metadata.ttl))
        self.sent.append((self.clock(), read(reply)))

    def heartbeat(self) -> None:
        self.heartbeats.append(self.clock())

    def close(self) -> None:
        self.closed = True


@dataclass
class Rounds:
    """Answers that take time."""

    clock: Clock
    work_s: float = 0.0
    book_s: float = 0.0
    since: float = 0.0
    dropped: int = 0
    noted: list[wire.Message] = field(default_factory=list)

    def handle(self, message: wire.Message) -> wire.Message:
        self.since = self.clock()
        self.clock.now += self.work_s
        return wire.Answer("run", 1, "share", 0, b"answer")

    def delivered(self, reply: wire.Message) -> None:
        self.clock.now += self.book_s
        self.noted.append(reply)

    def drop(self) -> None:
        self.clock.now += self.book_s
        self.dropped += 1


def made(line: Line, rounds: Rounds, clock: Clock, **words: Any) -> Resident:
    found = Resident("device", line, rounds, BEAT, clock=clock, **words)  # type: ignore[arg-type]

    def wait(seconds: float) -> bool:
        clock.now += seconds
        return found._stop.is_set()

    found._stop.wait = wait  # type: ignore[method-assign,assignment]
    return found


def step(resident: Resident, rounds: Rounds) -> bool:
    move_in("device", rounds.handle)
    context = Context(0, 7, {"device": "device"}, RecordDict(), {})
    try:
        return resident._step(context)
    finally:
        move_out("device")


@pytest.mark.parametrize("work_s", [0.0, 0.01, 1.2, 1.99])
def test_an_answer_leaves_at_the_same_instant_whatever_it_took(work_s: float) -> None:
    clock = Clock()
    line, rounds = Line(clock, [QUESTION]), Rounds(clock, work_s)
    assert step(made(line, rounds, clock), rounds)
    assert line.sent == [(2.0, wire.Answer("run", 1, "share", 0, b"answer"))]
    assert rounds.noted


def test_an_answer_does_not_say_when_it_was_made() -> None:
    """Flower stamps a reply once it is computed; that instant would tell how much was rated."""
    clock = Clock()
    line, rounds = Line(clock, [QUESTION]), Rounds(clock)
    step(made(line, rounds, clock), rounds)
    assert line.stamps[1] == line.stamps[0]


def test_an_answer_of_which_a_part_may_have_left_is_booked_as_sent() -> None:
    clock = Clock()
    line, rounds = Line(clock, [QUESTION]), Rounds(clock)

    def send(reply: Message) -> None:
        raise NetworkError("half of it is there.")

    line.send = send  # type: ignore[method-assign]
    with pytest.raises(NetworkError):
        step(made(line, rounds, clock), rounds)
    assert rounds.noted


def test_an_answer_that_is_late_never_leaves() -> None:
    clock = Clock()
    line, rounds = Line(clock, [QUESTION]), Rounds(clock, 2.01)
    assert step(made(line, rounds, clock), rounds)
    assert line.sent == []
    assert rounds.dropped == 1


@pytest.mark.parametrize("work_s", [0.3, 2.2])
def test_the_next_look_is_at_the_same_instant_whatever_the_booking_took(work_s: float) -> None:
    """To seal a receipt takes as long as the last answer is long, and so as the owner rated."""
    looks = set()
    for book_s in (0.0, 0.01, 0.2):
        clock = Clock()
        line, rounds = Line(clock, [QUESTION]), Rounds(clock, work_s, book_s)
        step(made(line, rounds, clock), rounds)
        looks.add(round(clock.now, 9))
    assert len(looks) == 1


def test_a_device_that_is_not_free_takes_no_message() -> None:
    clock = Clock()
    line, rounds = Line(clock, [QUESTION]), Rounds(clock)
    assert not step(made(line, rounds, clock, free=lambda: False), rounds)
    assert line.waiting


def test_a_device_looks_fast_inside_a_round_and_slowly_outside() -> None:
    clock = Clock()
    line, rounds = Line(clock, [QUESTION]), Rounds(clock)
    resident = made(line, rounds, clock)
    assert 7.5 <= resident._pause() <= 22.5
    step(resident, rounds)
    assert resident._pause() == 0.5
    clock.now += 200
    assert 7.5 <= resident._pause() <= 22.5


def test_a_refused_connection_is_tried_again_and_the_node_is_kept() -> None:
    clock, kept = Clock(), []
    line, rounds = Line(clock, refusals=3), Rounds(clock)
    resident = made(line, rounds, clock, keep_node=kept.append)
    resident.stop()
    resident._stop.clear()
    assert resident._connect() == 7
    assert kept == [7]
    assert clock.now == 7.0


def test_a_device_that_is_told_to_stop_while_it_waits_ends_quietly() -> None:
    clock = Clock()
    line, rounds = Line(clock), Rounds(clock)

    def receive() -> None:
        raise Stopping

    line.receive = receive  # type: ignore[method-assign,assignment]
    resident = made(line, rounds, clock)
    resident.run()
    assert line.closed
    assert rounds.dropped == 1


def test_a_connection_that_stays_refused_ends_the_device() -> None:
    clock = Clock()
    resident = made(Line(clock, refusals=10**6), Rounds(clock), clock)
    with pytest.raises(NodeRefused):
        resident._connect()
    assert clock.now <= BEAT.refused_s


def test_the_app_never_raises_and_never_says_why() -> None:
    def broken(message: wire.Message) -> wire.Message:
        raise ValueError("the owner rated item 42")

    move_in("device", broken)
    context = Context(0, 7, {"device": "device"}, RecordDict(), {})
    for content in (wrap(QUESTION), RecordDict(), RecordDict({"privet": ConfigRecord({"a": 1})})):
        reply = app(received(content), context)
        assert read(reply) == wire.Refused("", 0, "advertise", 0, "not ready")
        assert "42" not in str(reply.content)
    move_out("device")
    assert read(app(received(wrap(QUESTION)), context)).reason == "not ready"  # type: ignore[union-attr]
