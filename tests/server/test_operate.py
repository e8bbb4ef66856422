# SPDX-License-Identifier: Apache-2.0
"""Whole runs of an operator's folder without a network: who joins late, who is replaced."""

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import privet
from client.session import Member, Rounds
from server import enrolment, setup
from server.folder import Deployment, OperatorFolder, Seat
from server.operate import operate
from server.rounds import RoundShelf
from shared import wire
from shared.catalogue import Catalogue, save_catalogue
from shared.enrolment import Invitation, device_name, read_directory
from shared.errors import UsageError
from shared.features import build_catalogue, item_text
from shared.ledger.replay import replay
from shared.model.history import History
from shared.privacy.accountant import epsilon
from shared.privacy.canonical import digest, parse
from shared.privacy.policy import Policy
from shared.text.encoder import load_encoder
from simulation.audit.facts import gather
from simulation.dataset import Dataset
from tests.federation.made import OFFICER, Files, PaperDoor, Village, seeded_key

USERS = 7


class Town(Village):
    """Devices that come by invitation; some before the run, some whenever the test says."""

    def __init__(self, folder: OperatorFolder, items: int) -> None:
        super().__init__({}, {}, {})
        self.folder, self.items = folder, items
        self.seats: dict[str, Rounds] = {}
        self.before: Callable[[int], None] = lambda number: None
        """What happens once the server asks the first stage of a round."""

    def come(self, invitation: Invitation) -> bytes:
        """Let a new device join and be online; return its id."""
        key, rng = seeded_key(f"device {len(self.seats)}"), np.random.default_rng(len(self.seats))
        own = History(rng.permutation(self.items)[:9], rng.choice([-1.0, 0.0, 1.0], 9))
        policy = parse(Policy, invitation.policy.encode())
        seat = Seat(self.folder.path / "devices" / invitation.id)
        transport = seat.read("invited")["transport_key"].encode()
        member = Member(
            policy.run, policy.server_key, key, digest(policy), invitation.id, transport
        )
        name = device_name(key.public_key().public_bytes_raw())
        self.doors[name] = PaperDoor(own, invitation.signed_policy, digest(policy))
        files = Files(self.folder.files)
        self.rounds[name] = Rounds(member, self.doors[name], files.fetch)
        self.seats[invitation.id] = self.rounds[name]
        return name

    def enrol(
        self, seats: Sequence[Seat], question: wire.EnrolQuestion, deadline_s: float
    ) -> Iterator[tuple[Seat, wire.Message]]:
        for seat in seats:
            if seat.invitation in self.seats:
                yield seat, self.seats[seat.invitation].handle(question)

    def ask(self, action, questions, deadline_s):  # type: ignore[no-untyped-def]
        if action == "train.advertise":
            self.before(next(iter(questions.values())).round)
        yield from super().ask(action, questions, deadline_s)


@pytest.fixture
def folder(tmp_path: Path, hamlet: Dataset) -> OperatorFolder:
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    save_catalogue(tmp_path / "catalogue.safetensors", *build_catalogue(hamlet.items, vectors))
    config = Deployment(
        operator="A village",
        run="5e" * 16,
        address="box.example:8443",
        link_port=8000,
        users=USERS,
        target_epsilon=8.0,
        dropout=0.3,
        rounds=1,
        budget={"item_sums": 0.6, "population_prior": 0.1, "trunk_items": 0.3},
        min_separation_s=0,
        gather_s=4.0,
    )
    made = setup.init(tmp_path / "operator", config, datetime.datetime.now(datetime.UTC))
    setup.take_catalogue(made, tmp_path / "catalogue.safetensors")
    setup.sign_policy(made.path / "policy.json", OFFICER)
    return made


@pytest.fixture
def town(folder: OperatorFolder, catalogue: Catalogue) -> Town:
    found = Town(folder, len(catalogue))
    for invitation in enrolment.invite(folder, USERS):
        found.come(invitation)
    return found


def run(folder: OperatorFolder, town: Town) -> str:
    return operate(folder, town, sleep=lambda _: None)


def seat_of(folder: OperatorFolder, name: bytes) -> Seat:
    return next(s for s in folder.seats() if s.read("enrolled").get("device") == name.hex())


def answered(town: Town, name: bytes) -> list[int]:
    return [number for _, number, _ in town.doors[name].charges]


def test_a_revoked_device_is_replaced_within_the_run(folder: OperatorFolder, town: Town) -> None:
    lost, new = next(iter(town.rounds)), []

    def replace(number: int) -> None:
        if number == 1:
            seat_of(folder, lost).revoke()
            new.extend(town.come(invitation) for invitation in enrolment.invite(folder, 1))

    town.before = replace
    name = run(folder, town)
    assert answered(town, lost) == [1]
    last = list(RoundShelf(folder.path / "rounds"))[-1].decided
    paid = answered(town, new[0])
    assert paid == list(range(2, last.number + 1)), "it pays only for the rounds that it answers"
    listed = read_directory(
        (folder.files / last.directory).read_bytes(), "5e" * 16, folder.draft.server_key
    )
    assert new[0] in listed
    assert lost not in listed
    assert len(listed) == USERS
    assert town.doors[new[0]].model == (folder.files / name).read_bytes()


def test_a_device_that_joins_after_the_release_takes_the_model(
    folder: OperatorFolder, town: Town
) -> None:
    name = run(folder, town)
    lost = next(iter(town.rounds))
    seat_of(folder, lost).revoke()
    (invitation,) = enrolment.invite(folder, 1)
    late = town.come(invitation)
    assert run(folder, town) == name
    assert town.doors[late].model == (folder.files / name).read_bytes()
    assert answered(town, late) == []


def test_a_seat_that_stays_empty_after_the_release_ends_with_the_time(
    folder: OperatorFolder, town: Town
) -> None:
    run(folder, town)
    seat_of(folder, next(iter(town.rounds))).revoke()
    list(enrolment.invite(folder, 1))
    waits: list[float] = []
    operate(folder, town, sleep=waits.append)
    assert sum(waits) >= folder.config.gather_s


def test_more_seats_than_the_policys_devices_are_refused(
    folder: OperatorFolder, town: Town
) -> None:
    run(folder, town)
    with pytest.raises(UsageError, match=r"at most the policy's 7 devices, got 7 \+ 1"):
        list(enrolment.invite(folder, 1))


def test_release_writes_a_card_whose_figures_are_the_ledgers(
    folder: OperatorFolder, town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    name = run(folder, town)
    assert privet.main(["server", "release", str(folder.path), "--format", "json"]) == 0
    card = json.loads(capsys.readouterr().out)["card"]
    book = replay(folder.path / "ledger").book
    assert card["model"] == name
    assert card["epsilon"] == pytest.approx(epsilon(book.rho, float(folder.config.delta)))
    assert (card["rounds"], card["survivors_min"]) == (book.rounds, USERS)
    assert card["metrics"] is None
    text = (folder.path / "MODEL_CARD.md").read_text()
    assert "| measured quality | not measured |" in text
    assert f"| ε used | {card['epsilon']:.3f} at" in text


def test_report_states_what_the_folder_knows_and_nothing_else(
    folder: OperatorFolder, town: Town
) -> None:
    file = folder.path / "config.toml"
    said = 'region = "Norway"\njustification = "agreed with the owners"\n'
    file.write_text(said + file.read_text())
    run(folder, town)
    fields = {row["name"]: row["value"] for row in gather(folder.path)["fields"]}
    assert fields["operator"] == "A village"
    assert fields["region and law"] == "Norway"
    assert fields["why this ε"] == "agreed with the owners"
    assert fields["where settings come from"].endswith("config.toml: rounds, budget")
    assert fields["software"].startswith("privet ")
    assert fields["valid until"] is None
