# SPDX-License-Identifier: Apache-2.0
"""The device's folder as rounds see it: opened for one act, closed again.

A device at work waits for messages most of the time. It must not hold the store meanwhile, or its
owner could neither rate nor look; so each act opens the store, waits a moment if the owner's own
command has it, and closes it.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from client.device import Device
from shared.catalogue import Catalogue
from shared.errors import Refusal, StoreLocked
from shared.model.view import View
from shared.privacy.canonical import Signed
from shared.privacy.door import Contribution
from shared.publication import Statement

T = TypeVar("T")
WAIT_S = 5.0
"""How long the owner's own command is waited for."""


class DeviceDoor:
    """`client.session.Door` over a folder.

    Args:
        folder: The device's.
        passphrase: Opens it, where custody is by passphrase.
        server: Host of the server, for receipts.
        sleep: Waits; a test passes its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        passphrase: str | None = None,
        server: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder, self._passphrase, self._server = folder, passphrase, server
        self._sleep = sleep
        self._catalogue: Catalogue | None = None

    def answer(self, config: Signed, view: View, session: str) -> Contribution | Refusal:
        """Charge, write it down, release; or say why not."""
        return self.act(lambda device: device.answer(config, view, session))

    def refuse(self, config: Signed, why: str) -> None:
        """Record that a question was refused before it came to the door."""
        self.act(lambda device: device.refuse(config, why))

    def closed(self) -> Refusal | None:
        """Return why the device answers nothing at all now, None where it does."""
        return self.act(lambda device: device.closed())

    def catalogue(self) -> Catalogue:
        """Return the catalogue that the device holds; public, read once."""
        if self._catalogue is None:
            self._catalogue = self.act(lambda device: device.catalogue)
        return self._catalogue

    def commitment(self, session: str) -> str:
        """Return the commitment to the receipt of that charge."""
        run, number, _ = session.rsplit("/", 2)

        def find(device: Device) -> str:
            return next(
                receipt.commitment
                for receipt in reversed(device.chain())
                if (receipt.run, receipt.round) == (run, int(number)) and receipt.commitment
            )

        return self.act(find)

    def sent(self, session: str, upload_bytes: int) -> None:
        """Note that the answer was uploaded."""
        self.act(lambda device: device.sent(session, upload_bytes, self._server))

    def abort(self, session: str) -> None:
        """Note that the answer was charged and not used."""
        self.act(lambda device: device.abort(session))

    def held(self) -> tuple[str, str]:
        """Return the SHA-256 of the files of catalogue and public comments that are here."""
        return self.act(lambda device: device.held)

    def take_release(self, model: bytes, catalogue: bytes | None, comments: bytes | None) -> None:
        """Use what was released from now on, all of it or nothing."""
        self._catalogue = None
        self.act(lambda device: device.take_release(model, catalogue, comments))

    def statements(self, run: str, held: int) -> tuple[Statement, ...]:
        """Return what the owner published or withdrew and the server does not hold."""
        return self.act(lambda device: device.statements(run, held, self._server))

    def published(self, numbers: Sequence[int]) -> None:
        """Note that statements were uploaded."""
        self.act(lambda device: device.published(numbers, self._server))

    def act(self, act: Callable[[Device], T]) -> T:
        """Open the device, do one thing, close it; wait a moment for the owner's own command.

        Raises:
            StoreLocked: The owner's command has the store for too long.
        """
        waited = 0.0
        while True:
            try:
                with Device.open(self._folder, passphrase=self._passphrase) as device:
                    return act(device)
            except StoreLocked:
                if waited >= WAIT_S:
                    raise
            self._sleep(0.1)
            waited += 0.1
