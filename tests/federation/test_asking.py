# SPDX-License-Identifier: Apache-2.0
"""Rounds without a network: the algorithm, the door, secure sums, the ledger, and every crash."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from client.session import Rounds
from server.asking import Asking
from server.plan import Plan, make_plan
from server.rounds import RoundShelf
from server.training import train
from shared import wire
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.errors import BudgetExceeded, CohortTooSmall, Refusal, StoreLocked
from shared.ledger.replay import replay
from shared.model.file import load_model, save_model
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.view import ItemSumsView, PriorView, View
from shared.privacy.canonical import Signed
from shared.privacy.door import Contribution
from shared.privacy.policy import Policy
from tests.federation.made import (
    Died,
    Files,
    Village,
    asking,
    open_ledger,
    policy_for,
    settle,
)

USERS = 7
CONFIG = RunConfig(
    rounds=1, budget={"item_sums": 0.6, "population_prior": 0.1, "trunk_items": 0.3}, dropout=0.3
)


@dataclass
class Town:
    folder: Path
    plan: Plan
    policy: Policy
    village: Village
    catalogue: Catalogue

    @property
    def rounds(self) -> int:
        return sum(release.rounds for release in self.plan.releases)

    def server(self) -> "Server":
        return Server(self)


class Server:
    """One life of the server's process."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def __enter__(self) -> Asking:
        self.ledger = open_ledger(self.town.folder)
        return asking(self.town.folder, self.town.village, self.town.policy, self.ledger)

    def __exit__(self, *_: object) -> None:
        self.ledger.close()


@pytest.fixture
def town(tmp_path: Path, catalogue: Catalogue) -> Town:
    rng = np.random.default_rng(5)
    owners = [
        History(rng.permutation(len(catalogue))[:9], rng.choice([-1.0, 0.0, 1.0, 1.5], 9))
        for _ in range(USERS)
    ]
    plan = make_plan(CONFIG, USERS, catalogue)
    policy = policy_for(plan, USERS)
    files = Files(tmp_path / "files")
    return Town(tmp_path, plan, policy, settle(owners, policy, files.fetch), catalogue)


def live(town: Town) -> bytes:
    """Run the whole algorithm in one life, or go on with it; return the model."""
    with town.server() as server:
        model = save_model(train(town.catalogue, town.plan, server.ask))
        server.finish(model)
    return model


def rho(town: Town) -> float:
    return float(replay(town.folder / "ledger").book.rho)


def test_asking_runs_the_whole_algorithm_to_a_release(town: Town) -> None:
    model = live(town)
    load_model(model, town.catalogue)
    found = replay(town.folder / "ledger")
    assert found.book.rounds == found.book.released == town.rounds
    assert found.book.rho == town.plan.rho
    assert found.book.survivors_min == USERS
    assert len(found.book.releases) == 1


def test_ledger_holds_every_receipt_once(town: Town) -> None:
    live(town)
    receipts = {found for door in town.village.doors.values() for _, _, found in door.charges}
    assert len(receipts) == town.rounds * USERS
    text = (town.folder / "ledger" / "records.jsonl").read_text()
    assert all(text.count(found) == 1 for found in receipts)


def test_ledger_names_files_that_anybody_can_fetch(town: Town) -> None:
    live(town)
    found = replay(town.folder / "ledger")
    assert (town.folder / "files" / found.book.model).exists()
    assert found.book.releases[0]["file"] == found.book.model


def test_asking_again_after_the_end_changes_nothing(town: Town) -> None:
    model = live(town)
    before = (town.folder / "ledger" / "records.jsonl").read_bytes()
    assert live(town) == model
    assert (town.folder / "ledger" / "records.jsonl").read_bytes() == before


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("stage", wire.STAGES)
def test_a_server_killed_after_any_stage_goes_on_with_the_same_round(
    town: Town, stage: str, number: int
) -> None:
    town.village.crash = lambda at, of: (at, of) == (stage, number)
    with pytest.raises(Died):
        live(town)
    town.village.crash = lambda at, of: False
    live(town)
    found = replay(town.folder / "ledger")
    assert found.book.rounds == found.book.released == town.rounds
    assert all(len(door.charges) == town.rounds for door in town.village.doors.values())
    assert found.book.rho == town.plan.rho


def test_after_a_restart_devices_are_waited_for_twice_as_long(town: Town) -> None:
    waits: list[float] = []
    honest = town.village.ask

    def ask(action: str, questions: dict[bytes, wire.Message], deadline_s: float):  # type: ignore[no-untyped-def]
        waits.append(deadline_s)
        return honest(action, questions, deadline_s)

    town.village.ask = ask  # type: ignore[method-assign,assignment]
    town.village.crash = lambda stage, number: stage == "share"
    with pytest.raises(Died):
        live(town)
    town.village.crash = lambda stage, number: False
    live(town)
    assert waits[:5] == [60.0, 60.0, 120.0, 60.0, 60.0]


def test_a_question_put_twice_gets_the_very_same_bytes(town: Town) -> None:
    town.village.twice = True
    live(town)
    replies: dict[tuple[bytes, str, int], set[bytes]] = {}
    for name, stage, reply in town.village.said:
        assert not isinstance(reply, wire.Refused)
        replies.setdefault((name, stage, reply.round), set()).add(reply.body)  # type: ignore[union-attr]
    assert len(replies) == 5 * town.rounds * USERS
    assert all(len(found) == 1 for found in replies.values())


@pytest.mark.parametrize("stage", wire.STAGES)
def test_a_device_that_drops_out_at_any_stage_costs_nothing_but_itself(
    town: Town, stage: str
) -> None:
    lost = min(town.village.doors)
    town.village.silent = lambda name, at, number: name == lost and at == stage
    live(town)
    found = replay(town.folder / "ledger")
    assert found.book.released == town.rounds
    assert found.book.discarded == 0


def test_a_round_with_too_few_devices_is_discarded_and_asked_again(town: Town) -> None:
    few = set(sorted(town.village.doors)[:3])
    town.village.silent = lambda name, stage, number: (
        number == 2 and stage == "mask" and name in few
    )
    live(town)
    found = replay(town.folder / "ledger")
    assert (found.book.released, found.book.discarded) == (town.rounds, 1)
    assert found.book.rho == town.plan.rho + town.plan["population_prior"].mechanism.rho  # type: ignore[union-attr]


def test_no_round_is_opened_past_the_cap(town: Town) -> None:
    town.village.silent = lambda name, stage, number: stage == "mask"
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            live(town)
    found = replay(town.folder / "ledger")
    assert found.book.rho <= town.policy.floor.rho_cap
    assert all(
        door.state.spent <= town.policy.floor.rho_cap for door in town.village.doors.values()
    )


def test_no_round_is_opened_while_too_few_devices_are_here(town: Town) -> None:
    for name in sorted(town.village.rounds)[:3]:
        del town.village.rounds[name]
    with pytest.raises(CohortTooSmall, match="5 devices online, got 4"):
        live(town)
    assert not list((town.folder / "rounds").iterdir())


def restarted(rounds: Rounds) -> Rounds:
    """The same device in a new process: its store is what is left."""
    return Rounds(rounds._member, rounds._door, rounds._fetch)


@pytest.mark.parametrize("stage", wire.STAGES[1:])
def test_a_restarted_device_is_charged_once_and_answers_no_more_in_that_round(
    town: Town, stage: str
) -> None:
    name = min(town.village.doors)

    def restart(who: bytes, at: str, number: int) -> bool:
        if (who, at, number) == (name, stage, 1):
            town.village.rounds[name] = restarted(town.village.rounds[name])
        return False

    town.village.silent = restart
    live(town)
    said = [reply for who, _, reply in town.village.said if who == name]
    later = wire.STAGES[wire.STAGES.index(stage) :]
    refused = [reply.stage for reply in said if isinstance(reply, wire.Refused)]
    # Who said nothing at one stage is not asked at the next, but for the last.
    assert refused
    assert set(refused) <= set(later)
    assert all(reply.reason == "not ready" for reply in said if isinstance(reply, wire.Refused))
    door = town.village.doors[name]
    assert [number for _, number, _ in door.charges] == list(range(1, town.rounds + 1))
    assert replay(town.folder / "ledger").book.discarded == 0


def test_a_device_that_restarted_opens_the_round_no_second_time(town: Town) -> None:
    live(town)
    name = min(town.village.doors)
    (last,) = [folder for folder in RoundShelf(town.folder / "rounds") if folder.number == 1]
    decided = last.decided
    opening = wire.Opening(
        town.policy.run, 1, 1, decided.signed.payload, decided.signed.signature, decided.directory
    )
    charges = list(town.village.doors[name].charges)
    reply = restarted(town.village.rounds[name]).handle(opening)
    assert reply == wire.Refused(town.policy.run, 1, "advertise", 1, "round refused")
    assert town.village.doors[name].charges == charges


def test_no_message_is_longer_for_who_rated_more(town: Town) -> None:
    live(town)
    sizes: dict[tuple[str, int], set[int]] = {}
    for _, stage, reply in town.village.said:
        sizes.setdefault((stage, reply.round), set()).add(len(reply.body))  # type: ignore[union-attr]
    assert all(len(found) == 1 for found in sizes.values())


def test_devices_refuse_a_question_that_comes_with_anothers_view(town: Town) -> None:
    """The receipt names one question; the vector answers the one that the view asks."""
    other = PriorView(SharedModel.before_any_release(town.catalogue).tower, np.eye(3), 0)
    with town.server() as server, pytest.raises((BudgetExceeded, CohortTooSmall)):
        server.ask(town.plan["item_sums"], 1, other)
    reasons = {r.reason for _, _, r in town.village.said if isinstance(r, wire.Refused)}
    assert reasons == {"policy refused"}
    assert all(not door.charges for door in town.village.doors.values())


def change(
    village: Village, action: str, alter: Callable[[wire.Message], wire.Message]
) -> Callable[..., Iterator[tuple[bytes, wire.Message]]]:
    """Ask as a server that changes the questions of one stage."""
    honest = village.ask

    def ask(at: str, questions: dict[bytes, wire.Message], deadline_s: float):  # type: ignore[no-untyped-def]
        if at == action:
            questions = {name: alter(question) for name, question in questions.items()}
        return honest(at, questions, deadline_s)

    return ask


@pytest.mark.parametrize(
    ("stage", "field", "reason"),
    [
        ("advertise", {"run": "another"}, "policy refused"),
        ("advertise", {"round": 9}, "policy refused"),
        ("advertise", {"signature": bytes(64)}, "policy refused"),
        ("advertise", {"config": b"{}"}, "policy refused"),
        ("advertise", {"directory": "0" * 64}, "not ready"),
        ("share", {"body": b"short"}, "protocol refused"),
        ("mask", {"body": bytes(200)}, "protocol refused"),
        ("mask", {"stage": "consent"}, "protocol refused"),
        ("share", {"stage": "mask"}, "protocol refused"),
        ("consent", {"round": 9}, "not ready"),
        ("unmask", {"run": "another"}, "policy refused"),
    ],
)
def test_devices_refuse_a_changed_question(
    town: Town, stage: str, field: dict[str, object], reason: str
) -> None:
    town.village.ask = change(  # type: ignore[method-assign]
        town.village,
        f"train.{stage}",
        lambda question: replace(question, **field),  # type: ignore[type-var, arg-type]
    )
    with town.server() as server, pytest.raises((BudgetExceeded, CohortTooSmall)):
        server.ask(town.plan["item_sums"], 1, ItemSumsView(len(town.catalogue)))
    refused = [r for _, at, r in town.village.said if at == stage]
    assert refused
    assert all(isinstance(r, wire.Refused) and r.reason == reason for r in refused)


def test_a_pause_stops_a_round_that_is_under_way(town: Town) -> None:
    lost = min(town.village.doors)
    door = town.village.doors[lost]

    def pause(name: bytes, stage: str, number: int) -> bool:
        door.paused = stage == "mask" and number == 1
        return False

    town.village.silent = pause
    with town.server() as server:
        server.ask(town.plan["item_sums"], 1, ItemSumsView(len(town.catalogue)))
    said = {at: reply for name, at, reply in town.village.said if name == lost}
    assert said["mask"] == wire.Refused(town.policy.run, 1, "mask", 0, "paused")
    assert "consent" not in said
    assert door.uploads == []
    assert len(door.aborted) == 1


def test_a_charge_that_cannot_be_answered_with_is_booked_as_unused(town: Town) -> None:
    """The owner's own command may hold the store just after the charge."""
    door = town.village.doors[min(town.village.doors)]

    def busy(session: str) -> str:
        raise StoreLocked("another command has it.")

    door.commitment = busy  # type: ignore[method-assign]
    with town.server() as server:
        server.ask(town.plan["item_sums"], 1, ItemSumsView(len(town.catalogue)))
    assert len(door.charges) == len(door.aborted) == 1


def test_an_older_opening_does_not_end_the_round_under_way(town: Town) -> None:
    old: list[wire.Message] = []
    honest = town.village.ask

    def ask(action: str, questions: dict[bytes, wire.Message], deadline_s: float):  # type: ignore[no-untyped-def]
        if action == "train.advertise":
            old.append(next(iter(questions.values())))
        if action == "train.mask" and len(old) == 2:
            for rounds in town.village.rounds.values():
                assert rounds.handle(old[0]).reason == "round refused"  # type: ignore[union-attr]
        return honest(action, questions, deadline_s)

    town.village.ask = ask  # type: ignore[method-assign,assignment]
    live(town)
    assert len(old) > 1
    assert all(not door.aborted for door in town.village.doors.values())


def spoiled(town: Town, alter: Callable[[wire.Message], wire.Message]) -> None:
    """Let one device be a stranger's: what it says is changed on the way."""
    honest, bad = town.village.ask, min(town.village.doors)

    def ask(action: str, questions: dict[bytes, wire.Message], deadline_s: float):  # type: ignore[no-untyped-def]
        for name, reply in honest(action, questions, deadline_s):
            yield name, alter(reply) if name == bad else reply

    town.village.ask = ask  # type: ignore[method-assign,assignment]


def test_a_receipt_that_is_no_hash_costs_its_device_alone(town: Town) -> None:
    spoiled(town, lambda r: replace(r, receipt="x") if isinstance(r, wire.Advert) else r)
    live(town)
    found = replay(town.folder / "ledger")
    assert (found.book.released, found.book.discarded) == (town.rounds, 0)
    assert found.book.survivors_min == USERS - 1


def test_a_receipt_of_another_device_is_not_entered_again(town: Town) -> None:
    first: list[str] = []

    def repeat(reply: wire.Message) -> wire.Message:
        if not isinstance(reply, wire.Advert):
            return reply
        others = [d.charges[0][2] for n, d in town.village.doors.items() if n != bad and d.charges]
        first[:] = first or others[:1]
        return replace(reply, receipt=first[0]) if reply.round > 1 else reply

    bad = min(town.village.doors)
    spoiled(town, repeat)
    live(town)
    text = (town.folder / "ledger" / "records.jsonl").read_text()
    assert text.count(first[0]) == 1


def test_rounds_keep_the_policys_distance_after_a_discarded_one_and_a_restart(town: Town) -> None:
    waits: list[float] = []
    apart = replace(town.policy.floor, min_separation_s=3600)
    town.policy = replace(town.policy, floor=apart)
    town.village = settle(
        [door.own for door in town.village.doors.values()],
        town.policy,
        Files(town.folder / "files").fetch,
    )

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        for file in (town.folder / "rounds").glob("*/*"):
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - seconds))
        for door in town.village.doors.values():
            door.now_s += math.ceil(seconds)

    def live_slowly() -> None:
        with town.server() as server:
            slow = replace(server, pace=replace(server.pace, between_s=3600), sleep=sleep)
            train(town.catalogue, town.plan, slow.ask)

    few = set(sorted(town.village.doors)[:3])
    town.village.silent = lambda name, stage, number: (
        number == 1 and stage == "mask" and name in few
    )
    town.village.crash = lambda stage, number: stage == "advertise" and number == 3
    with pytest.raises(Died):
        live_slowly()
    town.village.crash = lambda stage, number: False
    live_slowly()
    found = replay(town.folder / "ledger")
    assert (found.book.rounds, found.book.discarded) == (town.rounds + 1, 1)
    assert len(waits) == town.rounds


def test_a_sum_that_no_honest_devices_can_give_is_discarded(town: Town) -> None:
    door = town.village.doors[min(town.village.doors)]
    honest = door.answer

    def loud(config: Signed, view: View, session: str) -> Contribution | Refusal:
        given = honest(config, view, session)
        if isinstance(given, Contribution) and len(door.charges) == 1:
            return Contribution(np.full_like(given.residues, 2**30))
        return given

    door.answer = loud  # type: ignore[method-assign]
    live(town)
    found = replay(town.folder / "ledger")
    assert (found.book.released, found.book.discarded) == (town.rounds, 1)
    assert next(iter(RoundShelf(town.folder / "rounds"))).why == "sum too large"


def test_a_sum_says_who_is_in_it_and_how_noisy_it_is(town: Town) -> None:
    lost = min(town.village.doors)
    town.village.silent = lambda name, at, number: name == lost
    asked = town.plan["item_sums"]
    with town.server() as server:
        found = server.ask(asked, 1, ItemSumsView(len(town.catalogue)))
    assert found.users == USERS - 1
    assert found.noise_std == pytest.approx(asked.noise_std * ((USERS - 1) / USERS) ** 0.5)
