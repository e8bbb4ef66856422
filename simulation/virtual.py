# SPDX-License-Identifier: Apache-2.0
"""Virtual devices for Flower's simulation engine: the device's own ClientApp, a door in memory.

Ray runs the handlers in any of its workers, but a device keeps the secrets of a round in one
process and nowhere else. So all virtual devices of a run live in one actor, whatever the number of
workers; a worker hands each message on to it. There every message passes through `client.app.app`,
`client.session.Rounds` and the door of the privacy kernel, as on a device; only the sealed store is
left out.

    place/people.npz     what each device would hold of its owner (private)
    place/held.npz       what each device holds out, to measure the model on (private)
    place/operator/      the operator's folder; devices read its public files by hash
    place/nodes/N.json   the invitation of Flower's node N
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client.app import DEVICE, app, move_in, read
from client.session import Member, Rounds
from client.training import Cohort
from shared.atomic import replace_file
from shared.catalogue import Catalogue, load_catalogue
from shared.enrolment import Invitation, read_invitation
from shared.errors import Refusal
from shared.ledger.records import receipt_commitment
from shared.model.history import History
from shared.model.view import View
from shared.privacy.canonical import Signed, digest, parse
from shared.privacy.door import Charge, Contribution, abort, authorise, release
from shared.privacy.noise import OsRandom, RandomSource
from shared.privacy.policy import DeviceState, Policy
from shared.publication import Statement
from simulation.noise import SimulationRng

PARTITION = "partition-id"
"""What Flower's simulation engine calls the number of a virtual device."""
PEOPLE, HELD = "people.npz", "held.npz"


class MemoryDoor:
    """`client.session.Door` of a virtual device: state and receipts are fields, not files.

    Args:
        owner: The owner alone. Private.
        invitation: What the owner accepted.
        files: Folder of the operator's public files.
        rng: Chance for the rounding.
        source: Chance for the noise share; the operating system's unless a test seeds it.
    """

    def __init__(
        self,
        owner: Cohort,
        invitation: Invitation,
        files: Path,
        rng: np.random.Generator,
        source: RandomSource,
    ) -> None:
        self._owner, self._files, self._rng, self._source = owner, files, rng, source
        self._signed = invitation.signed_policy
        self._policy = parse(Policy, self._signed.payload)
        self._state = DeviceState(invitation.officer_key, digest(self._policy))
        self._catalogue = files / invitation.catalogue
        self._receipts: dict[str, str] = {}
        self._salt = os.urandom(32)

    def answer(self, config: Signed, view: View, session: str) -> Contribution | Refusal:
        """Charge, then release; or say why not."""
        charge = authorise(self._policy.floor, self._state, self._signed, config, int(time.time()))
        if not isinstance(charge, Charge):
            return charge
        self._state = charge.state
        asked = charge.config
        fields: dict[str, str | int] = {
            "run": asked.run,
            "round": asked.round,
            "query": asked.query.name,
            "config": digest(asked),
            "model": asked.model_hash,
            "rho": str(asked.mechanism.rho),
            "seq": len(self._receipts) + 1,
        }
        self._receipts[session] = receipt_commitment(self._salt, fields)
        (vector,) = self._owner.answers(view)
        return release(vector, asked.query, charge, self._rng, self._source)

    def closed(self) -> None:
        """Answer: nobody pauses or leaves a simulation."""

    def refuse(self, config: Signed, why: str) -> None:
        """A virtual device keeps no receipts."""

    def catalogue(self) -> Catalogue:
        """Return the federation's catalogue; public."""
        return load_catalogue(self._catalogue)[0]

    def commitment(self, session: str) -> str:
        """Return the commitment to the receipt of that charge."""
        return self._receipts[session]

    def sent(self, session: str, upload_bytes: int) -> None:
        """Keep no receipts: the people of a simulation do not look at them."""

    def abort(self, session: str) -> None:
        """Note that the answer was charged and not used."""
        self._state = abort(self._state, int(time.time()))

    def held(self) -> tuple[str, str]:
        """Hold no public files: the researcher's page evaluates the release."""
        return "", ""

    def take_release(self, model: bytes, catalogue: bytes | None, comments: bytes | None) -> None:
        """Keep nothing of a release."""

    def statements(self, run: str, held: int) -> tuple[Statement, ...]:
        """Publish nothing: the people of a simulation write for themselves."""
        return ()

    def published(self, numbers: Sequence[int]) -> None:
        """Nothing was published."""


class Household:
    """All virtual devices of one run, in one process."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._devices, self._noise_seed = read_people(place)
        self._held = read_people(place, HELD)[0] if (place / HELD).exists() else None
        self._here: dict[str, Rounds] = {}

    def answer(self, message: Message, context: Context) -> Message:
        """Let the device of a node answer one message through the ClientApp."""
        node = f"{self._place}/{context.node_id}"
        if node not in self._here:
            self._here[node] = self._rounds(context)
            move_in(node, self._here[node].handle)
        reply = app(message, replace(context, node_config={DEVICE: node}))
        self._here[node].delivered(read(reply))  # within one process nothing is lost
        return reply

    def _rounds(self, context: Context) -> Rounds:
        """Make the device of one node; its key is made here and stays here."""
        index = int(context.node_config[PARTITION])
        invitation = read_invitation(node_file(self._place, context.node_id).read_bytes())
        policy = parse(Policy, invitation.policy.encode("ascii"))
        files = self._place / "operator" / "files"
        held = None if self._held is None else [self._held[index]]
        owner = Cohort([self._devices[index]], held)
        chance = chance_of(self._noise_seed, index)
        member = Member(
            run=invitation.run,
            server_key=policy.server_key,
            key=Ed25519PrivateKey.generate(),
            policy_hash=digest(policy),
            invitation=invitation.id,
            transport_key=invitation.transport_key.encode(),
        )
        door = MemoryDoor(owner, invitation, files, *chance)
        return Rounds(member, door, lambda name: (files / name).read_bytes())


class VirtualDevices(ClientApp):
    """`client.app.app` for nodes of the simulation engine.

    Args:
        place: Folder of the run; where Flower chose the run itself, it follows from the run's id.
    """

    def __init__(self, place: Path | None = None) -> None:
        super().__init__()
        self._place = place

    def __call__(self, message: Message, context: Context) -> Message:
        """Hand one message to the process that the devices live in."""
        place = self._place or place_of(context.run_id)
        return _ask_household(place, message, context)


def place_of(run_id: int) -> Path:
    """Return the folder of a run that Flower itself was asked for, below Flower's own."""
    home = Path(os.environ.get("FLWR_HOME") or Path.home() / ".flwr")
    return home / "privet" / str(run_id)


def node_file(place: Path, node_id: int) -> Path:
    """Return the file with the invitation of one of Flower's nodes."""
    return place / "nodes" / f"{node_id}.json"


def chance_of(noise_seed: int | None, index: int) -> tuple[np.random.Generator, RandomSource]:
    """Return a device's chance for rounding and for noise; with a seed, both repeat themselves."""
    if noise_seed is None:
        return np.random.default_rng(), OsRandom()
    return np.random.default_rng([noise_seed, index]), SimulationRng(noise_seed * 10**6 + index)


def write_people(
    place: Path, devices: Sequence[History], noise_seed: int | None, name: str = PEOPLE
) -> None:
    """Lay down what the virtual devices hold, or (`HELD`) hold out. Private."""
    table: dict[str, np.ndarray] = {
        "cuts": np.cumsum([0, *map(len, devices)]),
        "noise_seed": np.array([-1 if noise_seed is None else noise_seed]),
    }
    for part in ("items", "ratings", "comment_lengths", "comment_acts"):
        columns = [getattr(device, part) for device in devices]
        if all(column is not None for column in columns):
            table[part] = np.concatenate(columns)
    data = BytesIO()
    np.savez(data, **table)  # type: ignore[arg-type]
    replace_file(place / name, data.getvalue())


def read_people(place: Path, name: str = PEOPLE) -> tuple[list[History], int | None]:
    """Return what the virtual devices hold, in order, and the seed of their noise, if any."""
    with np.load(place / name, allow_pickle=False) as table:
        columns = [table.get(column) for column in
                   ("items", "ratings", "comment_lengths", "comment_acts")]  # fmt: skip
        cuts, seed = table["cuts"], int(table["noise_seed"][0])
    devices = [
        History(*(None if c is None else c[a:b] for c in columns))  # type: ignore[arg-type]
        for a, b in pairwise(cuts)
    ]
    return devices, None if seed < 0 else seed


_household: dict[Path, Callable[[Message, Context], Message]] = {}


def _ask_household(place: Path, message: Message, context: Context) -> Message:
    """Reach the one actor that the devices of a run live in, and let it answer."""
    import ray

    if place not in _household:
        name = f"privet-{sha256(str(place).encode()).hexdigest()[:16]}"
        actor = (
            ray.remote(num_cpus=0)(Household).options(name=name, get_if_exists=True).remote(place)
        )
        _household[place] = lambda asked, own: ray.get(actor.answer.remote(asked, own))
    return _household[place](message, context)
