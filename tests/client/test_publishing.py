# SPDX-License-Identifier: Apache-2.0
"""What the owner published, until the server holds it: marked, repeated, killed, taken back."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from client.session import Member, Rounds
from shared import wire
from shared.errors import DataError, Refusal
from shared.publication import MOST, Statement, question_statement
from tests.client.killed import forked, promise
from tests.client.made_store import MARKERS, SERVER, joined

TEXT = "for all to read"


@pytest.fixture
def author(device: Device) -> Device:
    """A device that joined, with comments on a few items."""
    for row in range(4):
        device.rate(row, 4, f"{TEXT} {row}", now=100 + row)
    return joined(device)


def server_state(device: Device, holds: dict[str, Statement]) -> dict[str, str]:
    """Let a server ask until nothing is new; return the texts that it has."""
    while True:
        held = max((one.number for one in holds.values()), default=0)
        found = device.statements("autumn", held)
        if not found:
            return {item: one.text for item, one in holds.items() if one.text}
        for one in found:
            if one.number > held:
                holds[one.item] = one
        device.published([one.number for one in found])


def test_statements_are_only_what_was_published(author: Device) -> None:
    assert author.statements("autumn", 0) == ()
    author.publish(2)
    (one,) = author.statements("autumn", 0)
    assert (one.item, one.text) == (author.catalogue.item_ids[2], f"{TEXT} 2")


def test_statements_are_repeated_to_the_byte_until_they_are_held(author: Device) -> None:
    author.publish(2)
    first = author.statements("autumn", 0)
    assert author.statements("autumn", 0) == first
    assert author.statements("autumn", first[0].number) == ()
    assert author.statements("autumn", 0) == first  # the server lost its folder


def test_statements_come_oldest_first_and_not_too_many(author: Device) -> None:
    for row in range(MOST + 4):
        author.rate(row, 3, f"{TEXT} {row}")
        author.publish(row)
    first = author.statements("autumn", 0)
    assert len(first) == MOST
    rest = author.statements("autumn", first[-1].number)
    numbers = [one.number for one in (*first, *rest)]
    assert numbers == sorted(set(numbers))
    assert len(rest) == 4


def test_publication_is_one_act_prepared_then_sent(author: Device) -> None:
    author.publish(2)
    numbers = [one.number for one in author.statements("autumn", 0, "box")]
    assert [one.status for one in author.receipts()] == ["prepared"]
    author.published(numbers, "box")
    author.published(numbers, "box")
    (receipt,) = author.receipts()
    assert (receipt.kind, receipt.status, receipt.to) == ("publication", "sent", "box")
    assert len(author.chain()) == 2
    author.verify()


def test_receipt_is_completed_by_the_next_question(author: Device) -> None:
    author.publish(2)
    (one,) = author.statements("autumn", 0)
    author.statements("autumn", one.number)
    assert [receipt.status for receipt in author.receipts()] == ["sent"]


def test_withdrawal_is_an_act_of_its_own_and_goes_when_it_is_held(author: Device) -> None:
    author.publish(2)
    (first,) = author.statements("autumn", 0)
    author.withdraw(2)
    (second,) = author.statements("autumn", first.number)
    assert (second.text, second.item) == ("", first.item)
    assert second.number > first.number
    assert author.statements("autumn", second.number) == ()
    assert [receipt.status for receipt in author.receipts()] == ["prepared", "sent"]
    assert not author._books.store.table("publications")
    author.verify()


def test_withdraw_needs_a_publication(author: Device) -> None:
    with pytest.raises(DataError, match="published comment"):
        author.withdraw(2)
    author.publish(2)
    author.withdraw(2)
    with pytest.raises(DataError, match="published comment"):
        author.withdraw(2)


def test_a_changed_text_stays_published_as_it_was_until_it_is_withdrawn(author: Device) -> None:
    author.publish(2)
    holds: dict[str, Statement] = {}
    server_state(author, holds)
    author.rate(2, 4, "changed")
    assert list(server_state(author, holds).values()) == [f"{TEXT} 2"]
    author.withdraw(2)
    assert server_state(author, holds) == {}


def test_forgetting_withdraws_and_leaves_no_byte(author: Device, home: Path) -> None:
    author.rate(5, 3, MARKERS[0])
    author.publish(5)
    holds: dict[str, Statement] = {}
    server_state(author, holds)
    author.forget(5)
    assert server_state(author, holds) == {}
    assert MARKERS[0] not in str([author._books.store.table(n) for n in author._books.store.names])


@pytest.mark.parametrize("act", ["pause", "leave"])
def test_who_does_not_take_part_publishes_nothing(author: Device, act: str) -> None:
    author.publish(2)
    getattr(author, act)()
    with pytest.raises(Refusal):
        author.statements("autumn", 0)


class Slow:
    """A door behind which publishing takes its time."""

    def __init__(self, count: int) -> None:
        self.now, self.count = 0.0, count

    def closed(self) -> None:
        return None

    def statements(self, run: str, held: int) -> tuple[Statement, ...]:
        self.now += self.count
        return tuple(Statement(n + 1, "item", "text", b"s") for n in range(self.count))


@pytest.mark.parametrize("count", [0, 1, MOST])
def test_an_answer_is_timed_from_its_question_whatever_is_published(
    author: Device, count: int
) -> None:
    door = Slow(count)
    member = Member("autumn", SERVER.public_key().public_bytes_raw().hex(), author.signing_key)
    rounds = Rounds(member, door, bytes.fromhex, clock=lambda: door.now)  # type: ignore[arg-type]
    statement = question_statement("autumn", member.identity.name.hex(), 0)
    reply = rounds.handle(wire.PublishQuestion("autumn", 0, SERVER.sign(statement)))
    assert isinstance(reply, wire.Publication)
    assert rounds.since == 0.0


def live(home: Path) -> None:
    """Publish, be asked, withdraw, be asked."""
    with Device.open(home) as device:
        promise("opened")
        device.publish(4)
        promise("published")
        given = device.statements("autumn", 0)
        promise("handed " + " ".join(str(one.number) for one in given))
        device.published([one.number for one in given])
        device.withdraw(4)
        promise("withdrawn")
        given = device.statements("autumn", given[-1].number)
        promise("handed " + " ".join(str(one.number) for one in given))
        device.published([one.number for one in given])
        promise("done")


def test_killed_anywhere_nothing_is_lost_and_nothing_is_said_twice(
    start: Path, tmp_path: Path
) -> None:
    shutil.copytree(start, tmp_path / "count")
    said, _ = forked(tmp_path / "count", "count", 0, live)
    total, seen, killed = int(said[-1].split()[1]), set(), 0
    for point in np.linspace(1, total, 24).astype(int).tolist():
        home = tmp_path / str(point)
        shutil.copytree(start, home)
        said, status = forked(home, "line", point, live)
        killed += status == -signal.SIGKILL
        with Device.open(home) as device:
            texts = server_state(device, {})
            device.verify()
            if "withdrawn" in said:
                assert texts == {}
            elif "published" in said and texts:
                assert list(texts.values()) == ["note 4"]
            acts = [one for one in device.receipts() if one.kind == "publication"]
            assert all(one.status == "sent" for one in acts)
            assert len(acts) <= 2
        seen.add(len(said))
        shutil.rmtree(home)
    assert len(seen) >= 4
    assert killed >= 23
