# SPDX-License-Identifier: Apache-2.0
"""Comments from the owner who publishes one to the owners who read it, and back out again."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from shared import wire
from shared.features import build_catalogue, item_text
from shared.ledger.replay import replay
from shared.publication import question_statement, read
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from tests.federation.made import Died, seeded_key
from tests.federation.operated import USERS, Town, settle

WORDS = "plumberry fences hide the quillfeather"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, hamlet: Dataset) -> Path:
    root = tmp_path_factory.mktemp("town")
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    catalogue, basis = build_catalogue(hamlet.items, vectors, encoder="characters-2048")
    town = settle(root / "made", catalogue, basis, budget={"item_sums": 1.0})
    town.live()
    return town.root


@pytest.fixture
def town(first: Path, tmp_path: Path) -> Town:
    """A run that has released its model, nothing published yet."""
    return Town(Path(shutil.copytree(first, tmp_path / "town")))


def publish(town: Town, index: int, row: int = 3, text: str = WORDS) -> None:
    with town.device(index) as device:
        device.rate(row, 4, text)
        device.publish(row)


def read_by(town: Town, index: int) -> list[str]:
    with town.device(index) as device:
        return [comment.text for comment in device.public_comments]


def status_of(town: Town, index: int) -> list[str]:
    with town.device(index) as device:
        return [one.status for one in device.receipts() if one.kind == "publication"]


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_published_comment_reaches_every_other_device(town: Town) -> None:
    publish(town, 0)
    town.live()
    assert [read_by(town, index) for index in range(USERS)] == [[], *[[WORDS]] * (USERS - 1)]
    assert status_of(town, 0) == ["sent"]
    assert replay(town.folder.path / "ledger").book.publications == 1


def test_nothing_but_item_and_text_crosses(town: Town) -> None:
    publish(town, 0)
    with town.device(0) as device:
        device.rate(5, 1, "marrowgate stays at home")
    town.live()
    bodies = [m.body for m in town.answers("query.publish") if isinstance(m, wire.Publication)]
    key = town.keys[0].public_key().public_bytes_raw()
    (one,) = read(max(bodies, key=len), town.invitations[0].run, key)
    assert (one.item, one.text) == (town.folder.catalogue.item_ids[3], WORDS)
    assert b"marrowgate" not in everything(town.folder.path)


def test_every_device_answers_also_with_nothing(town: Town) -> None:
    town.live()
    answers = town.answers("query.publish")
    assert answers == [wire.Publication(town.invitations[0].run, b"[]")] * USERS


def test_a_withdrawn_comment_is_nowhere_any_more(town: Town) -> None:
    publish(town, 0)
    town.live()
    with town.device(0) as device:
        assert not device.withdraw(3).published
    town.live()
    assert [read_by(town, index) for index in range(USERS)] == [[]] * USERS
    assert WORDS.encode() not in everything(town.folder.path)
    assert WORDS.encode() not in everything(town.home(1))
    assert status_of(town, 0) == ["sent", "sent"]
    assert replay(town.folder.path / "ledger").book.publications == 1


def test_a_forgotten_comment_is_withdrawn(town: Town) -> None:
    publish(town, 0)
    town.live()
    with town.device(0) as device:
        device.forget(3)
    town.live()
    assert read_by(town, 1) == []


def test_a_comment_taken_back_before_the_question_never_leaves(town: Town) -> None:
    publish(town, 0)
    with town.device(0) as device:
        device.withdraw(3)
    town.live()
    assert {m.body for m in town.answers("query.publish")} == {b"[]"}  # type: ignore[union-attr]
    assert status_of(town, 0) == ["failed"]


def test_another_text_takes_the_place_of_the_first(town: Town) -> None:
    publish(town, 0)
    town.live()
    publish(town, 0, text="another text")
    town.live()
    assert read_by(town, 1) == ["another text"]


def test_what_an_answer_lost_is_said_again(town: Town) -> None:
    publish(town, 0)
    town.table.lost = lambda action, reply: action == "query.publish"
    town.live()
    assert read_by(town, 1) == []
    town.table.lost = lambda action, reply: False
    town.live()
    assert read_by(town, 1) == [WORDS]
    town.live()
    assert [len(read_by(town, index)) for index in range(USERS)] == [0, 1, 1, 1, 1]
    assert replay(town.folder.path / "ledger").book.publications == 1


def test_a_server_killed_with_the_answers_has_them(town: Town) -> None:
    publish(town, 0)
    town.table.crash = lambda action: action == "query.publish"
    with pytest.raises(Died):
        town.live()
    town = Town(town.root)
    town.live()
    assert read_by(town, 1) == [WORDS]
    assert replay(town.folder.path / "ledger").book.publications == 1


def test_more_than_a_message_holds_comes_in_several(town: Town) -> None:
    for row in range(20):
        publish(town, 0, row, f"{WORDS} {row}")
    town.live()
    assert len(read_by(town, 1)) == 20


def test_a_revoked_device_takes_its_comments_along(town: Town) -> None:
    publish(town, 0)
    town.live()
    next(s for s in town.folder.seats() if s.invitation == town.invitations[0].id).revoke()
    town.live()
    assert read_by(town, 1) == []


def test_the_operators_own_comments_come_first(town: Town) -> None:
    item = town.folder.catalogue.item_ids[2]
    town.folder.comments_file.write_text(f"item_id,text\n{item},said by the house\nnobody,x\n")
    publish(town, 0)
    town.live()
    assert read_by(town, 1) == ["said by the house", WORDS]
    assert replay(town.folder.path / "ledger").book.publications == 1


def test_a_paused_device_publishes_nothing(town: Town) -> None:
    publish(town, 0)
    with town.device(0) as device:
        device.pause()
    town.live()
    assert read_by(town, 1) == []
    with town.device(0) as device:
        device.resume()
    town.live()
    assert read_by(town, 1) == [WORDS]


def test_a_question_that_the_server_did_not_sign_gets_nothing(town: Town) -> None:
    publish(town, 0)
    run, name = town.invitations[0].run, town.name(0).hex()
    rounds = town.table.rounds[town.invitations[0].id]
    for key, whom in ((seeded_key("stranger"), name), (town.folder.server_key, "00" * 16)):
        forged = wire.PublishQuestion(run, 0, key.sign(question_statement(run, whom, 0)))
        assert rounds.handle(forged) == wire.Refused("", 0, "advertise", 0, "policy refused")
    assert status_of(town, 0) == ["prepared"]


def test_a_publication_of_another_device_is_refused_whole(town: Town) -> None:
    publish(town, 0)
    town.table.names = {  # the operator's directory is right, the line is not
        town.name(0): town.invitations[1].id,
        town.name(1): town.invitations[0].id,
    }
    town.live()
    assert not list(town.folder.publications.rglob("*.json"))


def test_comments_are_asked_for_after_each_round_and_never_inside(
    tmp_path: Path, hamlet: Dataset
) -> None:
    catalogue, basis = build_catalogue(hamlet.items, None)
    town = settle(
        tmp_path / "town", catalogue, basis, budget={"item_sums": 0.8, "rank_weights": 0.2}
    )
    publish(town, 0)
    town.live()
    actions = list(dict.fromkeys((name, getattr(q, "round", 0)) for name, q, _ in town.table.said))
    order = [name for name, _, _ in town.table.said]
    begun = [i for i, name in enumerate(order) if name == "train.advertise"]
    ended = [i for i, name in enumerate(order) if name == "train.unmask"]
    asked = [i for i, name in enumerate(order) if name == "query.publish"]
    rounds = {q.round for name, q, _ in town.table.said if name == "train.advertise"}  # type: ignore[union-attr]
    assert len(asked) == USERS * (len(rounds) + 1)
    assert actions[-1] == ("query.release", 0)
    for at in asked:
        opened = sum(one < at for one in begun)
        closed = sum(one < at for one in ended)
        assert opened == closed
    with town.device(0) as device:
        assert device.status().unused == 0
