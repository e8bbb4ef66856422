# SPDX-License-Identifier: Apache-2.0
"""An operator's folder and devices with sealed stores, joined by a table instead of a network."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from client.device import Device
from client.keeper import DeviceDoor
from client.session import Member, Rounds
from server import enrolment
from server.asking import Questions
from server.folder import OperatorFolder, Seat
from server.operate import operate
from shared import wire
from shared.catalogue import Catalogue, FeatureBasis
from shared.enrolment import Invitation, device_name, read_invitation, write_invitation
from shared.errors import NetworkError
from tests.federation.made import Died
from tests.federation.street import digest_of, found, server_key_of

USERS = 5


@dataclass
class Table:
    """`server.operate.Post` over devices of this process."""

    rounds: dict[str, Rounds]
    """By invitation."""
    names: dict[bytes, str]
    said: list[tuple[str, wire.Message, wire.Message]] = field(default_factory=list)
    """Action, question, reply."""
    away: set[str] = field(default_factory=set)
    lost: Callable[[str, wire.Message], bool] = lambda action, reply: False
    """Whether a reply is lost on its way: the device believes that it was sent."""
    crash: Callable[[str], bool] = lambda action: False
    """Whether the server dies when it has all answers to this."""

    def online(self, cohort: Mapping[bytes, bytes]) -> set[bytes]:
        return {name for name in cohort if self.names.get(name, "") not in {"", *self.away}}

    def enrol(
        self, seats: Sequence[Seat], question: wire.EnrolQuestion, deadline_s: float
    ) -> Iterator[tuple[Seat, wire.Message]]:
        for seat in seats:
            yield seat, self.rounds[seat.invitation].handle(question)

    def ask(
        self, action: str, questions: Questions, deadline_s: float
    ) -> Iterator[tuple[bytes, wire.Message]]:
        for name, question in questions.items():
            if name not in self.online({name: b""}):
                continue
            rounds = self.rounds[self.names[name]]
            reply = rounds.handle(wire.unpack(wire.pack(question)))
            self.said.append((action, question, reply))
            rounds.delivered(reply)
            if not self.lost(action, reply):
                yield name, wire.unpack(wire.pack(reply))
        if self.crash(action):
            raise Died


class Town:
    """One operator and its devices below a folder; opened anew as often as one likes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = OperatorFolder(root / "operator")
        files = sorted((root / "invitations").iterdir())
        self.invitations = [read_invitation(file.read_bytes()) for file in files]
        self.keys = []
        for index in range(len(files)):
            with self.device(index) as device:
                self.keys.append(device.signing_key)
        self.table = Table(
            {
                invitation.id: self._rounds(index, invitation)
                for index, invitation in enumerate(self.invitations)
            },
            {self.name(index): one.id for index, one in enumerate(self.invitations)},
        )

    def name(self, index: int) -> bytes:
        return device_name(self.keys[index].public_key().public_bytes_raw())

    def home(self, index: int) -> Path:
        return self.root / "devices" / str(index)

    def device(self, index: int) -> Device:
        return Device.open(self.home(index))

    def live(self) -> str:
        """One life of the server: to the release, or on from it."""
        return operate(self.folder, self.table, sleep=lambda _: None)

    def fetch(self, name: str) -> bytes:
        path = self.folder.files / name
        if not path.is_file():
            raise NetworkError("a public file must be there.")
        return path.read_bytes()

    def answers(self, action: str) -> list[wire.Message]:
        return [reply for name, _, reply in self.table.said if name == action]

    def _rounds(self, index: int, invitation: Invitation) -> Rounds:
        member = Member(
            invitation.run,
            server_key_of(invitation),
            self.keys[index],
            digest_of(invitation),
            invitation.id,
            self._transport(invitation),
        )
        return Rounds(member, DeviceDoor(self.home(index), server="box"), self.fetch)

    def _transport(self, invitation: Invitation) -> bytes:
        seat = Seat(self.folder.path / "devices" / invitation.id)
        return seat.read("invited")["transport_key"].encode()


def settle(root: Path, catalogue: Catalogue, basis: FeatureBasis, **choices: object) -> Town:
    """Make an operator, invite and let in; every owner rates and comments a little."""
    choices = {"users": USERS, "dropout": 0.3, **choices}
    folder = found(root / "operator", catalogue, basis, **choices)
    (root / "invitations").mkdir()
    rng = np.random.default_rng(5)
    for index, invitation in enumerate(enrolment.invite(folder, USERS)):
        (root / "invitations" / f"{index}.json").write_bytes(write_invitation(invitation))
        home = root / "devices" / str(index)
        with Device.create(home, folder.catalogue_file, custody="file") as device:
            device.accept(invitation.signed_policy, invitation.officer_key, demo=True)
            for row in rng.permutation(len(catalogue))[:6].tolist():
                device.rate(row, float(rng.integers(1, 6)))
    return Town(root)
