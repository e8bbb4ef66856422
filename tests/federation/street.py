# SPDX-License-Identifier: Apache-2.0
"""An operator's folder, and devices as threads."""

import datetime
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from client.files import PublicFiles
from client.fleet import Fleet, Line
from client.run import Beat, Resident
from client.session import Member, Rounds
from server import enrolment, setup
from server.control import transport_public
from server.folder import Deployment, OperatorFolder
from server.street import free_port
from shared.catalogue import Catalogue, FeatureBasis, save_catalogue
from shared.enrolment import Invitation
from shared.model.history import History
from shared.privacy.canonical import digest
from tests.federation.made import OFFICER, PaperDoor, seeded_key

BEAT = Beat(answer_after_s=0.6, slow_s=0.5, fast_s=0.2, round_s=60, heartbeat_s=20)


def found(
    path: Path, catalogue: Catalogue, basis: FeatureBasis, **choices: object
) -> OperatorFolder:
    """Make an operator's folder, up to the signed policy."""
    config = Deployment(
        **{  # type: ignore[arg-type]
            "operator": "A village",
            "run": "5e" * 16,
            "address": f"127.0.0.1:{free_port()}",
            "listen": "127.0.0.1",
            "link_port": free_port(),
            "target_epsilon": 7.0,
            "rounds": 1,
            "budget": {"item_sums": 0.6, "population_prior": 0.1, "trunk_items": 0.3},
            "min_separation_s": 0,
            "answer_after_ms": 600,
            "stage_s": 25.0,
            "gather_s": 120.0,
            "hold_s": 2.0,
            **choices,
        }
    )
    folder = setup.init(path, config, datetime.datetime.now(datetime.UTC))
    file = path.parent / "made.safetensors"
    save_catalogue(file, catalogue, basis)
    setup.take_catalogue(folder, file)
    setup.sign_policy(folder.path / "policy.json", OFFICER)
    return folder


@dataclass
class Neighbour:
    """One device as a thread."""

    name: str
    invitation: Invitation
    door: PaperDoor
    rounds: Rounds
    resident: Resident
    line: Fleet
    errors: list[BaseException] = field(default_factory=list)
    thread: threading.Thread | None = None

    def start(self) -> None:
        def live() -> None:
            try:
                self.resident.run()
            except BaseException as wrong:
                self.errors.append(wrong)

        self.thread = threading.Thread(target=live, name=self.name, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.resident.stop()
        if self.thread:
            self.thread.join(30)


def move_in(index: int, invitation: Invitation, own: History, folder: Path) -> Neighbour:
    """Let one owner join."""
    policy_hash = digest_of(invitation)
    key = seeded_key(f"device {index}")
    transport = serialization.load_pem_private_key(invitation.transport_key.encode(), None)
    member = Member(
        invitation.run,
        server_key_of(invitation),
        key,
        policy_hash,
        invitation.id,
        transport_public(transport.public_key()),  # type: ignore[arg-type]
    )
    door = PaperDoor(own, invitation.signed_policy, policy_hash)
    files = PublicFiles(invitation.address, invitation.ca, folder / f"files {index}")
    rounds = Rounds(member, door, files.fetch)
    line = Fleet(
        invitation.address,
        invitation.ca.encode(),
        transport,  # type: ignore[arg-type]
        line=Line(longest_wait_s=2.0, patience_s=120.0),
    )
    resident = Resident(f"device {index}", line, rounds, BEAT, closing=files.close)
    return Neighbour(f"device {index}", invitation, door, rounds, resident, line)


def digest_of(invitation: Invitation) -> str:
    from shared.privacy.canonical import parse
    from shared.privacy.policy import Policy

    return digest(parse(Policy, invitation.policy.encode()))


def server_key_of(invitation: Invitation) -> str:
    from shared.privacy.canonical import parse
    from shared.privacy.policy import Policy

    return parse(Policy, invitation.policy.encode()).server_key


@contextmanager
def neighbourhood(
    folder: OperatorFolder, owners: Sequence[History], place: Path
) -> Iterator[list[Neighbour]]:
    """Invite every owner and let the devices run."""
    invitations = list(enrolment.invite(folder, len(owners)))
    devices = [
        move_in(index, invitation, own, place)
        for index, (invitation, own) in enumerate(zip(invitations, owners, strict=True))
    ]
    for device in devices:
        device.start()
    try:
        yield devices
    finally:
        for device in devices:
            device.resident.stop()
        for device in devices:
            device.stop()
