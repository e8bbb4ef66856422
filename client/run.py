# SPDX-License-Identifier: Apache-2.0
"""A device at work: polls slowly between rounds and fast inside one, answers at set instants.

When an answer leaves must not tell how long it took, and so how much the owner rated: every stage
is answered a fixed time after its question and the public files it names were there, and a device
that is not done by then stays silent and drops out.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from flwr.app import Context, RecordDict

from client.app import DEVICE, app, move_in, move_out, read
from client.files import PublicFiles
from client.fleet import (
    Fleet,
    Line,
    NodeRefused,
    Stopping,
    transport_key,
    transport_public,
)
from client.keeper import DeviceDoor
from client.session import Member, Rounds
from shared import wire
from shared.enrolment import Invitation
from shared.errors import UsageError
from shared.logs import fields
from shared.privacy.canonical import digest, parse
from shared.privacy.policy import Policy

log = logging.getLogger("privet.client")


@dataclass(frozen=True)
class Beat:
    """How a device spends its time, in seconds."""

    answer_after_s: float = 2.0
    """From a question to its answer, agreed on in the invitation."""
    slow_s: float = 15.0
    """Between two looks for a message while no round is under way, give or take a half."""
    fast_s: float = 0.5
    """Between two looks inside a round; the server's guard lets each look wait for a message."""
    round_s: float = 120.0
    """How long after the last message a round counts as under way."""
    heartbeat_s: float = 30.0
    """Between two signs of life."""
    refused_s: float = 180.0
    """How long a refused connection is tried again: an invitation may be younger than the server's
    list, and a device that crashed counts as online for two signs of life."""


class Resident:
    """One device in this process.

    Args:
        name: Its name in this process.
        line: Its connection.
        rounds: Its answers.
        beat: Its pace.
        free: Says whether the owner, the hour, power and network allow a round now.
        keep_node: Remembers the node id for the next start.
        closing: Called at the end.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        name: str,
        line: Fleet,
        rounds: Rounds,
        beat: Beat,
        *,
        free: Callable[[], bool] = lambda: True,
        keep_node: Callable[[int], None] = lambda node: None,
        closing: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._line, self._rounds, self._beat = name, line, rounds, beat
        self._free, self._keep_node, self._clock = free, keep_node, clock
        self._closing = closing
        self._stop = threading.Event()
        line.wait_with(self._stop.wait)
        self._heard = -beat.round_s
        self._alive = clock()

    def run(self) -> None:
        """Connect and answer until `stop` is called.

        Raises:
            NodeRefused: The server does not know this device, or shut it out.
            NetworkError: The server stayed away for too long.
        """
        move_in(self._name, self._rounds.handle)
        try:
            self._live()
        except Stopping:
            return
        finally:
            self._rounds.drop()
            move_out(self._name)
            self._line.close()
            self._closing()

    def _live(self) -> None:
        """Connect, then answer one message after another."""
        context = Context(
            run_id=0,
            node_id=self._connect(),
            node_config={DEVICE: self._name},
            state=RecordDict(),
            run_config={},
        )
        while not self._stop.is_set():
            if not self._step(context):
                self._stop.wait(self._pause())

    def stop(self) -> None:
        """Let `run` return before its next question."""
        self._stop.set()

    def _connect(self) -> int:
        """Connect, and try again for a while where the server refuses."""
        until, wait = self._clock() + self._beat.refused_s, 1.0
        while True:
            try:
                node = self._line.connect()
                self._keep_node(node)
                log.info("connected")
                return node
            except NodeRefused:
                if self._clock() + wait > until or self._stop.wait(wait):
                    raise
                wait = min(2 * wait, 15.0)

    def _step(self, context: Context) -> bool:
        """Answer one message; say whether there was one."""
        now = self._clock()
        if now - self._alive > self._beat.heartbeat_s:
            self._alive = now
            self._line.heartbeat()
        if not self._free():
            return False
        message = self._line.receive()
        if message is None:
            return False
        self._heard = self._clock()
        reply = app(message, context)
        left = self._rounds.since + self._beat.answer_after_s - self._clock()
        if left < 0:
            self._rounds.drop()
            self._settle()
            return True
        self._stop.wait(left)
        try:
            self._line.send(reply)
        finally:  # a part of it may be there, whatever went wrong
            self._rounds.delivered(read(reply))
        _tell(read(reply))
        self._settle()
        return True

    def _settle(self) -> None:
        """Look again at a set instant: what follows an answer may take as long as its owner rated.

        Looks stand on a grid of `fast_s` from the question on; so does that of a late device.
        """
        over = (self._clock() - self._rounds.since) % self._beat.fast_s
        self._stop.wait(self._beat.fast_s - over)

    def _pause(self) -> float:
        """Return how long to wait before the next look."""
        if self._clock() - self._heard < self._beat.round_s:
            return self._beat.fast_s
        return self._beat.slow_s * (500 + secrets.randbelow(1001)) / 1000


def _tell(reply: wire.Message) -> None:
    """Log what was answered: the kind of message alone, never what is in it."""
    answer = reply.reason if isinstance(reply, wire.Refused) else type(reply).__name__
    number = getattr(reply, "round", 0)
    log.info("round %d  %s", number, answer, extra=fields(round=number, answer=answer))


def resident(
    folder: Path,
    *,
    passphrase: str | None = None,
    beat: Beat | None = None,
    line: Line | None = None,
    free: Callable[[], bool] = lambda: True,
) -> Resident:
    """Return the device of a folder, ready to run.

    Raises:
        UsageError: It has joined no federation.
    """
    door = DeviceDoor(folder, passphrase=passphrase)
    known, key = door.act(lambda device: (device.line, device.signing_key))
    if not known:
        raise UsageError(
            "a device that runs must have joined a federation, and has not.",
            hint="`privet client join DIR --invitation FILE` first.",
        )
    node = known.pop("node")
    invitation = Invitation(**known)
    policy = parse(Policy, invitation.policy.encode("ascii"))
    transport = transport_key(invitation.transport_key)
    member = Member(
        run=invitation.run,
        server_key=policy.server_key,
        key=key,
        policy_hash=digest(policy),
        invitation=invitation.id,
        transport_key=transport_public(transport),
    )
    files = PublicFiles(invitation.address, invitation.ca, folder / "files")
    door = DeviceDoor(folder, passphrase=passphrase, server=invitation.address)

    def keep_node(found: int) -> None:
        if found != node:  # so that the next start can end this one's connection
            door.act(lambda device: device.keep_line({**device.line, "node": found}))

    return Resident(
        str(folder.resolve()),
        Fleet(invitation.address, invitation.ca.encode(), transport, node_id=node, line=line),
        Rounds(member, door, files.fetch),
        replace(beat or Beat(), answer_after_s=invitation.answer_after_ms / 1000),
        free=free,
        keep_node=keep_node,
        closing=files.close,
    )
