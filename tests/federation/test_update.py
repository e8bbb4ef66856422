# SPDX-License-Identifier: Apache-2.0
"""A catalogue that changes under a run: rounds keep theirs, the release takes the newest up."""

import csv
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from client.device import Device
from client.recommending import recommend
from server.catalogue import update
from shared import wire
from shared.catalogue import Catalogue, save_catalogue
from shared.enrolment import release_statement
from shared.errors import DataError
from shared.features import build_catalogue, item_text
from shared.ledger.replay import replay
from shared.model.extension import renewed
from shared.model.file import load_model, save_model
from shared.renewal import extend
from shared.schema import Items
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from tests.federation.made import Died, seeded_key
from tests.federation.operated import USERS, Town, settle

NEW = [["new-1", "The newest hedge", "Drama", "It grows.", "2020"],
       ["new-2", "The newest mill", "Comedy", "It turns.", "2021"]]  # fmt: skip


def table(path: Path, items: Items, more: list[list[str]] = NEW, changed: int | None = 4) -> Path:
    """Write the items, one of them with another description, and new ones."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("item_id", "title", "genres", "description", "year"))
        for row, name in enumerate(items.ids):
            text = "Lanterns over the water." if row == changed else items.descriptions[row]
            year = f"{items.years[row]:.0f}" if np.isfinite(items.years[row]) else ""
            out.writerow((name, items.titles[row], "|".join(items.categories[row]), text, year))
        out.writerows(more)
    return path


@pytest.fixture(scope="module")
def plain(hamlet: Dataset) -> Items:
    found = hamlet.items
    return Items(found.ids, found.titles, found.descriptions, found.categories, found.years)


@pytest.fixture(scope="module")
def before_any_round(tmp_path_factory: pytest.TempPathFactory, plain: Items) -> Path:
    root = tmp_path_factory.mktemp("town") / "made"
    vectors = np.asarray(load_encoder("characters").encode(item_text(plain)))
    catalogue, basis = build_catalogue(plain, vectors, encoder="characters-2048")
    town = settle(root, catalogue, basis, encoder="characters")
    update(town.folder, table(root / "items.csv", plain, [], None))  # notes what the items say
    return root


@pytest.fixture(scope="module")
def after_the_release(before_any_round: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(before_any_round, tmp_path_factory.mktemp("town") / "made"))
    Town(root).live()
    return root


@pytest.fixture
def town(after_the_release: Path, tmp_path: Path) -> Town:
    return Town(Path(shutil.copytree(after_the_release, tmp_path / "town")))


@pytest.fixture
def fresh(before_any_round: Path, tmp_path: Path) -> Town:
    return Town(Path(shutil.copytree(before_any_round, tmp_path / "town")))


def test_new_items_reach_every_device_and_are_recommended(town: Town, plain: Items) -> None:
    known = len(plain)
    with town.device(0) as device:
        mine, old = device.entries, device.model
    update(town.folder, table(town.root / "items.csv", plain))
    town.live()
    for index in range(USERS):
        with town.device(index) as device:
            assert len(device.catalogue) == len(device.model.catalogue) == known + 2
            cards = recommend(device.model, device.history, known + 2)
            assert {known, known + 1} <= {card.item for card in cards}
            device.verify(town.folder.path / "ledger")
    with town.device(0) as device:
        assert device.entries == mine  # all ratings, on the rows that they had
        same = np.delete(np.arange(known), 4)
        np.testing.assert_array_equal(
            device.model.tower.offset[same], old.tower.offset[same]
        )  # fmt: skip
        assert device.model.tower.features[4].tolist() != old.tower.features[4].tolist()


def test_ledger_lists_the_longer_model_at_no_cost(town: Town, plain: Items) -> None:
    before = replay(town.folder.path / "ledger").book
    update(town.folder, table(town.root / "items.csv", plain))
    name = town.live()
    book = replay(town.folder.path / "ledger").book
    assert (book.rho, book.rounds) == (before.rho, before.rounds)
    assert len(book.releases) == len(before.releases) + 1
    assert book.releases[-1]["file"] == name
    assert book.releases[-1]["model"] == before.releases[-1]["model"]
    data = (town.folder.path / "model.safetensors").read_bytes()
    assert sha256(data).hexdigest() == name
    assert town.live() == name
    assert len(replay(town.folder.path / "ledger").book.releases) == len(book.releases)


def test_an_update_during_a_run_is_taken_up_at_the_release(fresh: Town, plain: Items) -> None:
    town = fresh
    town.table.crash = lambda action: action == "train.unmask"
    with pytest.raises(Died):
        town.live()
    town.table.crash = lambda action: False
    update(town.folder, table(town.root / "items.csv", plain))
    town.live()
    book = replay(town.folder.path / "ledger").book
    assert book.released == book.rounds
    assert len(book.releases) == 2  # as the rounds left it, and carried to the newest items
    for index in range(USERS):
        with town.device(index) as device:
            assert len(device.catalogue) == len(plain) + 2
            assert device.status().unused == 0
            assert device.model.catalogue is device.catalogue


def test_a_carried_model_is_made_once(town: Town, plain: Items) -> None:
    update(town.folder, table(town.root / "items.csv", plain))
    town.table.crash = lambda action: action == "query.publish"
    with pytest.raises(Died):
        town.live()
    again = Town(town.root)
    again.live()
    assert len(replay(town.folder.path / "ledger").book.releases) == 2
    again.live()
    assert len(replay(town.folder.path / "ledger").book.releases) == 2


def test_a_device_that_was_away_takes_two_versions_at_once(town: Town, plain: Items) -> None:
    town.table.away = {town.invitations[0].id}
    update(town.folder, table(town.root / "items.csv", plain, NEW[:1]))
    town.live()
    update(town.folder, table(town.root / "items.csv", plain))
    town.live()
    town.table.away = set()
    town.live()
    with town.device(0) as device:
        assert device.catalogue.item_ids[-2:] == ("new-1", "new-2")


def test_comments_on_new_items_are_published(town: Town, plain: Items) -> None:
    update(town.folder, table(town.root / "items.csv", plain))
    town.live()
    with town.device(0) as device:
        row = device.find("new-1")
        device.rate(row, 5, "a hedge to remember")
        device.publish(row)
    town.live()
    with town.device(1) as device:
        assert [comment.row for comment in device.public_comments] == [row]


@pytest.mark.parametrize("at", range(3))
def test_a_device_stopped_while_it_takes_a_release_has_all_or_nothing(
    town: Town, plain: Items, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = plain.ids[2]
    town.folder.comments_file.write_text(f"item_id,text\n{item},of the house\n")
    update(town.folder, table(town.root / "items.csv", plain))
    town.table.away = {invitation.id for invitation in town.invitations[1:]}
    replaced, true = 0, Path.replace

    def stop(self: Path, target: Path) -> Path:
        nonlocal replaced
        if self.name.endswith(".safetensors.next"):
            if replaced == at:
                raise KeyboardInterrupt
            replaced += 1
        return true(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            town.live()
    with town.device(0) as device:  # pinned already, so it is all there
        assert len(device.catalogue) == len(device.model.catalogue) == len(plain) + 2
        assert [comment.text for comment in device.public_comments] == ["of the house"]
        device.verify()
    Town(town.root).live()
    with town.device(0) as device:
        device.verify()
    assert not list(town.home(0).glob("*.next"))


def offered(town: Town, catalogue: bytes, *, key: object = None) -> wire.Message:
    """Let the first device see a signed release with this catalogue."""
    found = load_model((town.folder.path / "model.safetensors").read_bytes(), town.folder.catalogue)
    words = (
        town.invitations[0].run,
        town.folder.publish(save_model(found)),
        town.folder.publish(catalogue),
        "",
    )
    signer = key or town.folder.server_key
    release = wire.Release(*words, signer.sign(release_statement(*words)))  # type: ignore[attr-defined]
    return town.table.rounds[town.invitations[0].id].handle(release)


def test_a_device_refuses_a_catalogue_that_does_not_continue_its_own(
    town: Town, plain: Items, tmp_path: Path
) -> None:
    vectors = np.asarray(load_encoder("characters").encode(item_text(plain)))
    refitted = build_catalogue(plain, vectors[:, ::-1], encoder="characters-2048")
    order = [*range(1, len(plain)), 0]
    turned = Items(
        *(tuple(part[row] for row in order) for part in
          (plain.ids, plain.titles, plain.descriptions, plain.categories)), plain.years[order],
    )  # fmt: skip
    basis = town.folder.newest_catalogue[1]
    from shared.features import project

    moved: tuple[Catalogue, object] = (project(basis, turned, vectors[order]), basis)
    before = town.home(0) / "catalogue.safetensors"
    held = before.read_bytes()
    for wrong in (refitted, moved):
        save_catalogue(tmp_path / "wrong.safetensors", *wrong)  # type: ignore[arg-type]
        reply = offered(town, (tmp_path / "wrong.safetensors").read_bytes())
        assert reply == wire.Refused("", 0, "advertise", 0, "policy refused")
        assert before.read_bytes() == held
    stranger = offered(town, town.folder.newest_file.read_bytes(), key=seeded_key("stranger"))
    assert stranger == wire.Refused("", 0, "advertise", 0, "policy refused")


def test_renewed_model_needs_the_same_first_items(town: Town) -> None:
    with town.device(0) as device:
        model, basis = device.model, device.basis
        longer = extend(
            device.catalogue, basis, Items(("x",), ("x",), ("",), ((),), np.ones(1)), None
        )
    assert len(renewed(model, longer).catalogue) == len(model.catalogue) + 1
    with pytest.raises(DataError, match="begin with the items"):
        renewed(renewed(model, longer), model.catalogue)


def test_a_new_device_joins_with_the_first_version_and_takes_the_newest(
    town: Town, plain: Items
) -> None:
    update(town.folder, table(town.root / "items.csv", plain))
    shutil.rmtree(town.home(0))
    invitation = town.invitations[0]
    Device.create(town.home(0), town.folder.files / invitation.catalogue, custody="file").close()
    with town.device(0) as device:
        device.accept(invitation.signed_policy, invitation.officer_key, demo=True)
    town.live()
    with town.device(0) as device:
        assert len(device.catalogue) == len(plain) + 2
        assert recommend(device.model, device.history, 3)
