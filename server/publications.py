# SPDX-License-Identifier: Apache-2.0
"""What devices published, on the server's side: asked for between rounds, one file each.

    publications/<device>/<hash of the item>.json    the newest statement of a device on an item

A withdrawal takes the place of the statement before it: the text is deleted, number and signature
stay, so that a copy of the old statement has no effect. A file is replaced whole and flushed, and
statements are taken in the order of their numbers, so after a kill the highest number that is
there says exactly what the device need not send again.
"""

import json
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from server.asking import Exchange
from server.folder import OperatorFolder
from server.rounds import sync_folder
from shared import wire
from shared.atomic import replace_file
from shared.errors import DataError
from shared.publication import MOST, Statement, question_statement, read

log = logging.getLogger("privet.server")
ASKS_MAX = 64
"""How often one device may fill a message in one gathering."""


@dataclass
class Taken:
    """What one gathering brought."""

    published: int = 0
    withdrawn: int = 0
    refused: int = 0


class Publications:
    """All statements, by device."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, device: str) -> Iterator[Statement]:
        """Yield the newest statements of one device, withdrawals with an empty text."""
        folder = self._path / device
        for path in sorted(folder.glob("*.json")) if folder.exists() else ():
            plain = json.loads(path.read_bytes())
            yield Statement(
                plain["number"], plain["item"], plain["text"], bytes.fromhex(plain["signature"])
            )

    def held(self, device: str) -> int:
        """Return the number of the newest statement of a device, 0 before the first."""
        return max((one.number for one in self.of(device)), default=0)

    def keep(self, device: str, statement: Statement) -> None:
        """Put a statement in the place of what there is on its item; flushed when it returns."""
        folder = self._path / device
        name = sha256(statement.item.encode()).hexdigest()[:32]
        words = {
            "item": statement.item,
            "number": statement.number,
            "signature": statement.signature.hex(),
            "text": statement.text,
        }
        replace_file(folder / f"{name}.json", json.dumps(words, ensure_ascii=False).encode())
        sync_folder(folder)
        sync_folder(self._path)

    def take(
        self, device: str, key: bytes, message: wire.Publication, run: str, items: Collection[str]
    ) -> list[Statement]:
        """Check a message and keep what is new in it.

        Args:
            device: Its id, hexadecimal.
            key: Its enrolled Ed25519 key.
            message: What it sent.
            run: The federation.
            items: Ids of the catalogue.

        Returns:
            The statements of the message; those that were known before are in it too.

        Raises:
            DataError: The message is refused as a whole, nothing of it is kept.
        """
        found = read(message.body, run, key)
        if message.run != run or not {one.item for one in found} <= set(items):
            raise DataError("a publication must be about items of this federation's catalogue.")
        held = self.held(device)
        for one in found:
            if one.number > held:
                self.keep(device, one)
        return list(found)


def gather(
    folder: OperatorFolder,
    exchange: Exchange,
    directory: Mapping[bytes, bytes],
    *,
    deadline_s: float | None = None,
) -> Taken:
    """Ask every enrolled device that is here what its owner published; never inside a round.

    Args:
        folder: The operator's.
        exchange: The way to devices.
        directory: Device id to Ed25519 key, of the devices that are not revoked.
        deadline_s: How long it is waited for; as for any stage where left out. Who is late is
            asked again the next time.
    """
    shelf, config = Publications(folder.publications), folder.config
    items = frozenset(folder.newest_catalogue[0].item_ids)
    sum_, left = Taken(), exchange.online(directory)
    for _ in range(ASKS_MAX):
        questions = {name: _question(folder, shelf, config.run, name) for name in left}
        left = set()
        for name, reply in exchange.ask("query.publish", questions, deadline_s or config.stage_s):
            try:
                found = (
                    shelf.take(name.hex(), directory[name], reply, config.run, items)
                    if isinstance(reply, wire.Publication)
                    else []
                )
            except DataError:
                sum_.refused += 1
                continue
            sum_.published += sum(bool(one.text) for one in found)
            sum_.withdrawn += sum(not one.text for one in found)
            if len(found) == MOST:
                left.add(name)
        if not left:
            break
    if sum_ != Taken():
        log.info(
            "publications: %d comments, %d withdrawals, %d messages refused",
            sum_.published,
            sum_.withdrawn,
            sum_.refused,
        )
    return sum_


def _question(
    folder: OperatorFolder, shelf: Publications, run: str, name: bytes
) -> wire.PublishQuestion:
    """Return the question for one device."""
    held = shelf.held(name.hex())
    statement = question_statement(run, name.hex(), held)
    return wire.PublishQuestion(run, held, folder.server_key.sign(statement))
