# SPDX-License-Identifier: Apache-2.0
"""Flower's ServerApp: one life of the operator's run over Flower's Grid.

Messages and answers are matched by message id, never by who sent them, because errors come from
the SuperLink itself. A device that has not answered at half of a stage's time is asked again; it
repeats the very same bytes.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from server.asking import Questions
from server.bell import ring
from server.folder import STOPPED, OperatorFolder, Seat
from server.operate import names_of, operate
from shared import wire
from shared.atomic import replace_file
from shared.errors import BudgetExceeded, DataError, PolicyError, PrivetError, UsageError
from shared.logs import log_to_file

RECORD = "privet"
FOR_GOOD = (BudgetExceeded, PolicyError, DataError, UsageError)
"""What trying again does not mend."""
POLL_S = 0.5
log = logging.getLogger("privet.server")
ONLY_WHO_IS_HERE = ("train.advertise", "query.release")
"""Questions that nobody is waited for with: who is not online now is left out."""
Key = TypeVar("Key")

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Operate the folder that the run was submitted for."""
    folder = OperatorFolder(Path(str(context.run_config["folder"])))
    with log_to_file(folder.path / "server.log", log):
        live(folder, GridPost(grid, lambda: names_of(folder), lambda: ring(folder.flower.bell)))


def live(folder: OperatorFolder, post: "GridPost") -> None:
    """Operate; leave word where trying again would not mend what went wrong."""
    try:
        operate(folder, post)
    except PrivetError as wrong:
        log.error("%s %s", wrong.message, wrong.hint)
        if isinstance(wrong, FOR_GOOD):
            words = {"kind": type(wrong).__name__, "message": wrong.message, "hint": wrong.hint}
            replace_file(folder.path / STOPPED, json.dumps(words).encode())
        raise


@dataclass
class GridPost:
    """The way to devices over Flower's Grid."""

    grid: Grid
    seats: Callable[[], Mapping[str, Seat]]
    """Transport keys and their seats, as they are now."""
    ring: Callable[[], None]
    """Tells the guard that there is something for devices."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def online(self, cohort: Mapping[bytes, bytes]) -> set[bytes]:
        """Return the devices of the cohort that can be reached now."""
        return set(self._nodes()) & cohort.keys()

    def ask(
        self, action: str, questions: Questions, deadline_s: float
    ) -> Iterator[tuple[bytes, wire.Message]]:
        """Send, and yield replies as they come, until all have answered or the time is over."""
        nodes = self._nodes()
        if action in ONLY_WHO_IS_HERE:
            questions = {name: asked for name, asked in questions.items() if name in nodes}
        yield from self._exchange(action, questions, self._nodes, deadline_s)

    def enrol(
        self, seats: Sequence[Seat], question: wire.EnrolQuestion, deadline_s: float
    ) -> Iterator[tuple[Seat, wire.Message]]:
        """Ask who took these seats; yield the answers of those that are online."""
        online = self._online()
        nodes = {
            seat: online[key]
            for seat in seats
            if (key := seat.read("invited")["transport_key"]) in online
        }
        questions = dict.fromkeys(nodes, question)
        yield from self._exchange("query.enrol", questions, lambda: nodes, deadline_s)

    def _exchange(
        self,
        action: str,
        questions: Mapping[Key, wire.Message],
        nodes: Callable[[], Mapping[Key, int]],
        deadline_s: float,
    ) -> Iterator[tuple[Key, wire.Message]]:
        """Push, pull until the deadline, push once more at half of it.

        Who is not online yet gets the question as soon as it is.
        """
        began, again = self.clock(), True
        waiting, unsent, sent = dict(questions), dict(questions), dict[str, Key]()
        while waiting and (spent := self.clock() - began) < deadline_s:
            if again and spent > deadline_s / 2:
                again = False
                unsent |= {name: _repeated(question) for name, question in waiting.items()}
            if unsent:
                sent |= self._push(action, unsent, nodes(), deadline_s - spent)
            for name, reply in self._pull(sent):
                if waiting.pop(name, None) is not None:
                    unsent.pop(name, None)
                    yield name, reply
            if waiting:
                self.sleep(POLL_S)

    def _pull(self, sent: dict[str, Key]) -> Iterator[tuple[Key, wire.Message]]:
        """Yield what came in answer to these messages."""
        for reply in self.grid.pull_messages(sent) if sent else ():
            name = sent.pop(reply.metadata.reply_to_message_id, None)
            if name is None or not reply.has_content():
                continue
            with suppress(DataError, KeyError, TypeError):
                yield name, wire.unpack(dict(reply.content[RECORD]))  # type: ignore[arg-type]

    def _push(
        self,
        action: str,
        unsent: dict[Key, wire.Message],
        nodes: Mapping[Key, int],
        ttl_s: float,
    ) -> dict[str, Key]:
        """Send what can be sent, take it off the list; return message ids and for whom they are."""
        names = [name for name in unsent if name in nodes]
        messages = [
            Message(_record(unsent.pop(name)), nodes[name], action, ttl=max(ttl_s, 1.0))
            for name in names
        ]
        if not messages:
            return {}
        ids = self.grid.push_messages(messages)
        self.ring()
        return {found: name for found, name in zip(ids, names, strict=True) if found}

    def _online(self) -> dict[str, int]:
        """Return transport keys and node ids of what is online."""
        return {spelled(node.public_key): node.node_id for node in self.grid.get_nodes()}

    def _nodes(self) -> dict[bytes, int]:
        """Return device ids and node ids of what is online and enrolled."""
        seats, found = self.seats(), {}
        for key, node_id in self._online().items():
            seat = seats.get(key)
            if seat is not None and seat.state == "enrolled":
                found[bytes.fromhex(seat.read("enrolled")["device"])] = node_id
        return found


def spelled(key: bytes) -> str:
    """Return a node's key as text; the simulation engine's nodes have bytes that are no text."""
    return bytes(key).decode(errors="backslashreplace")


def _repeated(question: wire.Message) -> wire.Message:
    """Return a question as it is put again."""
    if isinstance(question, wire.Opening | wire.Question):
        return replace(question, attempt=question.attempt + 1)
    return question


def _record(message: wire.Message) -> RecordDict:
    """Return a message as Flower carries it."""
    return RecordDict({RECORD: ConfigRecord(dict(wire.pack(message)))})
