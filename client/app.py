# SPDX-License-Identifier: Apache-2.0
"""Flower's ClientApp: hands each message to the device that it is for, and catches everything.

The app is the same under our own process (`client.run`), a stock SuperNode and the simulation
engine. The device behind it lives in this process and nowhere else: round secrets never enter
Flower's context. Whatever a handler raised would cross the wire as text, so none may raise.
"""

from collections.abc import Callable
from threading import Lock

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from shared import wire

RECORD = "privet"
"""Name of the one record of a message."""
DEVICE = "device"
"""Key of the node's configuration that names the device."""

Handler = Callable[[wire.Message], wire.Message]

app = ClientApp()
_residents: dict[str, Handler] = {}
_lock = Lock()


def move_in(name: str, handler: Handler) -> None:
    """Make a device of this process answer under a name."""
    with _lock:
        _residents[name] = handler


def move_out(name: str) -> None:
    """Take a device out; questions for it are answered `not ready`."""
    with _lock:
        _residents.pop(name, None)


def read(message: Message) -> wire.Message:
    """Return what a message of Flower's carries.

    Raises:
        DataError: It is not one of the agreed messages.
    """
    return wire.unpack(dict(message.content[RECORD]))  # type: ignore[arg-type]


def wrap(message: wire.Message) -> RecordDict:
    """Return a message as Flower carries it."""
    return RecordDict({RECORD: ConfigRecord(dict(wire.pack(message)))})


def _answer(message: Message, context: Context) -> Message:
    """Answer one question; whatever goes wrong is one agreed word.

    Flower stamps a reply with the instant at which it was made, and so with how long that took.
    Ours bears the stamp of its question.
    """
    try:
        reply = _residents[str(context.node_config[DEVICE])](read(message))
    except Exception:
        reply = wire.Refused("", 0, wire.STAGES[0], 0, "not ready")
    made = Message(wrap(reply), reply_to=message)
    made.metadata.created_at, made.metadata.ttl = message.metadata.created_at, message.metadata.ttl
    return made


for _stage in wire.STAGES:
    app.train(_stage)(_answer)
for _word in ("enrol", "release"):
    app.query(_word)(_answer)
