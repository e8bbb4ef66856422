# SPDX-License-Identifier: Apache-2.0
"""Joining: what an owner is shown, what is checked, what is kept."""

import json
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import privet
from client import join as joining
from client.device import Device
from client.joining import DEVICE_FLOOR
from client.keeper import DeviceDoor
from client.receipts import Receipt
from server.plan import Plan, make_plan
from shared.catalogue import Catalogue, save_catalogue
from shared.config import RunConfig
from shared.enrolment import Invitation, write_invitation
from shared.errors import DataError, PolicyError, Refusal, StoreLocked
from shared.features import build_catalogue, item_text
from shared.model.queries import item_sums_query
from shared.model.view import ItemSumsView
from shared.privacy.accountant import epsilon
from shared.privacy.canonical import digest, sign
from shared.privacy.door import Charge, Contribution, decide
from shared.privacy.plan import Cohort, mechanism_for
from shared.privacy.policy import DeviceState, Policy, RoundConfig
from shared.text.encoder import load_encoder
from simulation.dataset import Dataset
from tests.federation.made import OFFICER, SERVER, policy_for, public

USERS = 30


@pytest.fixture(scope="module")
def file(hamlet: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    vectors = np.asarray(load_encoder("characters").encode(item_text(hamlet.items)))
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.safetensors"
    save_catalogue(path, *build_catalogue(hamlet.items, vectors))
    return path


@pytest.fixture
def plan(catalogue: Catalogue) -> Plan:
    return make_plan(RunConfig(target_epsilon=4, budget={"item_sums": 1.0}), USERS, catalogue)


@pytest.fixture
def policy(plan: Plan) -> Policy:
    found = policy_for(plan, USERS)
    return replace(found, floor=replace(found.floor, min_noise_shares=20))


@pytest.fixture
def invitation(policy: Policy, file: Path, monkeypatch: pytest.MonkeyPatch) -> Invitation:
    data = file.read_bytes()

    class Files:
        def __init__(self, address: str, ca: str, folder: Path) -> None:
            self.folder = folder

        def fetch(self, name: str) -> bytes:
            (self.folder / name).write_bytes(data)
            return data

        def close(self) -> None:
            pass

    monkeypatch.setattr(joining, "PublicFiles", Files)
    signed = sign(policy, OFFICER)
    return Invitation(
        id="ab" * 16,
        address="box.example:8443",
        ca="",
        transport_key="-----BEGIN PRIVATE KEY-----",
        run=policy.run,
        policy=signed.payload.decode(),
        policy_signature=signed.signature.hex(),
        officer_key=public(OFFICER),
        catalogue=sha256(data).hexdigest(),
        scale_low="1.0",
        scale_high="5.0",
        answer_after_ms=2000,
    )


@pytest.fixture
def letter(invitation: Invitation, tmp_path: Path) -> Path:
    path = tmp_path / "invitation.json"
    path.write_bytes(write_invitation(invitation))
    return path


@pytest.fixture
def home(letter: Path, tmp_path: Path) -> Path:
    joining.join(tmp_path / "home", joining.read_offer(letter), custody="file")
    return tmp_path / "home"


def test_offer_says_both_figures_and_what_is_not_protected(letter: Path) -> None:
    offer = joining.read_offer(letter)
    said = " ".join(offer.words())
    assert f"ε {offer.epsilon:.2f}" in said
    assert f"ε {offer.epsilon_worst_round:.1f} for one round" in said
    assert "can see that this device takes part" in said
    assert offer.epsilon_worst_round > offer.epsilon


def test_offer_warns_where_the_policy_outlasts_the_device(letter: Path) -> None:
    offer = joining.read_offer(letter)
    floor = replace(offer.policy.floor, rho_round_max=Fraction(1, 4), participations_max=20)
    small = replace(floor, rho_cap=Fraction(1))
    large = replace(floor, rho_cap=Fraction(3))
    policy = offer.policy
    assert replace(offer, policy=replace(policy, floor=small)).warning() == ""
    offer = replace(offer, policy=replace(policy, floor=large))
    assert "surely answers 4 of at most 20 rounds" in offer.warning()
    assert "surely answers 1 of" in offer.warning(Fraction(3, 8))


def test_nothing_is_spent_on_a_device_that_only_joined(home: Path, tmp_path: Path) -> None:
    assert joining.left_in(home, None) == joining.left_in(tmp_path / "new", None) == 1


def test_no_round_that_a_device_answers_is_worse_than_the_worst_figure(letter: Path) -> None:
    """A lying operator may claim every device's share of the noise, and then make them up."""
    offer = joining.read_offer(letter)
    rho = Fraction(1, 4)
    floor = replace(offer.policy.floor, rho_round_max=rho)
    offer = replace(offer, policy=replace(offer.policy, floor=floor))
    policy = offer.policy
    claimed = mechanism_for(
        item_sums_query(40), rho, Cohort("distributed", policy.users, Fraction(0))
    )
    config = RoundConfig(digest(policy), "", policy.run, 1, item_sums_query(40), claimed)
    state = DeviceState(offer.invitation.officer_key, digest(policy))
    assert isinstance(decide(DEVICE_FLOOR, state, policy, config, 0), Charge)
    worst = epsilon(claimed.own_share_rho, float(policy.delta))
    assert worst <= offer.epsilon_worst_round <= 1.01 * worst
    larger = mechanism_for(
        item_sums_query(40), rho, Cohort("distributed", policy.users + 1, Fraction(0))
    )
    refused = decide(DEVICE_FLOOR, state, policy, replace(config, mechanism=larger), 0)
    assert isinstance(refused, Refusal)


def test_offer_says_that_ratings_are_held_out_only_where_metrics_are_asked_for(
    letter: Path, policy: Policy
) -> None:
    offer = joining.read_offer(letter)
    assert "about a tenth of your ratings" not in " ".join(offer.words())
    measured = replace(offer, policy=replace(policy, queries=(*policy.queries, "metrics")))
    assert "about a tenth of your ratings" in " ".join(measured.words())


def test_offer_shows_the_officers_key_and_holds_it_against_the_one_that_is_known(
    letter: Path,
) -> None:
    offer = joining.read_offer(letter)
    assert public(OFFICER) in " ".join(offer.words())
    assert joining.read_offer(letter, public(OFFICER).upper()).policy == offer.policy
    with pytest.raises(PolicyError, match="officer"):
        joining.read_offer(letter, public(SERVER))


@pytest.mark.parametrize("change", [b"", b"{}", b"not an invitation", b'{"format":"another"}'])
def test_offer_refuses_another_file(change: bytes, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(change)
    with pytest.raises(DataError, match="an invitation must be"):
        joining.read_offer(tmp_path / "letter")


def test_offer_refuses_a_policy_that_was_changed(letter: Path) -> None:
    plain = json.loads(letter.read_bytes())
    plain["policy"] = plain["policy"].replace("A village", "A city")
    letter.write_text(json.dumps(plain))
    with pytest.raises(PolicyError, match="signed by its officer"):
        joining.read_offer(letter)


def test_join_makes_a_device_with_the_line_sealed(home: Path, invitation: Invitation) -> None:
    with Device.open(home) as device:
        assert device.status().run == invitation.run
        assert device.line["transport_key"] == invitation.transport_key
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert invitation.transport_key.encode() not in everything


def test_join_refuses_a_demo_unless_the_owner_accepts_one(
    letter: Path, invitation: Invitation, policy: Policy, tmp_path: Path
) -> None:
    weak = sign(replace(policy, floor=replace(policy.floor, min_noise_shares=3)), OFFICER)
    changed = replace(
        invitation,
        policy=weak.payload.decode(),
        policy_signature=weak.signature.hex(),
    )
    letter.write_bytes(write_invitation(changed))
    offer = joining.read_offer(letter)
    assert offer.words()[0].startswith("DEMO")
    with pytest.raises(Refusal):
        joining.join(tmp_path / "home", offer, custody="file")
    joining.join(tmp_path / "home", offer, custody="file", demo=True)


def test_join_refuses_a_device_with_another_catalogue(home: Path, letter: Path) -> None:
    (home / "catalogue.safetensors").write_bytes(b"another")
    with pytest.raises(DataError, match="catalogue of the federation"):
        joining.join(home, joining.read_offer(letter))


def test_join_asks_the_owner(
    letter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["client", "join", str(tmp_path / "home"), "--invitation", str(letter)]
    assert privet.main(words) == 2
    assert "for one round" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
    assert privet.main([*words, "--yes", "--custody", "file"]) == 0
    assert "This device takes part." in capsys.readouterr().out


def test_run_refuses_a_device_that_joined_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Device.create(tmp_path / "home", file, custody="file").close()
    assert privet.main(["client", "run", str(tmp_path / "home")]) == 2
    assert "joined a federation" in capsys.readouterr().err


def asked(plan: Plan, policy: Policy) -> RoundConfig:
    release = plan["item_sums"]
    assert release.mechanism is not None
    return RoundConfig(digest(policy), "0" * 64, policy.run, 1, release.query, release.mechanism)


def test_keeper_answers_through_the_sealed_store(
    home: Path, plan: Plan, policy: Policy, catalogue: Catalogue
) -> None:
    door, session = DeviceDoor(home, server="box.example:8443"), f"{policy.run}/1/token"
    signed = sign(asked(plan, policy), SERVER)
    answer = door.answer(signed, ItemSumsView(len(catalogue)), session)
    assert isinstance(answer, Contribution)
    door.sent(session, 4 * len(answer.residues))
    again = door.answer(signed, ItemSumsView(len(catalogue)), f"{policy.run}/1/other")
    assert isinstance(again, Refusal)
    with Device.open(home) as device:
        charged = [r for r in device.receipts() if r.rho]
        assert [(r.status, r.to) for r in charged] == [("sent", "box.example:8443")]
    assert door.commitment(session) == charged[0].commitment


def test_keeper_waits_for_the_owners_command_and_then_gives_up(home: Path) -> None:
    waits: list[float] = []
    door = DeviceDoor(home, sleep=waits.append)
    with Device.open(home), pytest.raises(StoreLocked):
        door.abort("run/1/token")
    assert sum(waits) == pytest.approx(5.0, abs=0.2)


def test_door_finds_the_commitment_of_a_run_whose_name_has_a_slash(home: Path) -> None:
    """A run is named by who signs its policy; every charge would be lost on a name like this."""
    receipt = Receipt(
        seq=1, prev="", act=1, created_at=0, status="prepared", kind="update-upload",
        run="autumn/26", round=3, commitment="ab" * 32,
    )  # fmt: skip
    door = DeviceDoor(home)
    door.act = lambda find: find(SimpleNamespace(chain=lambda: (receipt,)))  # type: ignore[method-assign,assignment]
    assert door.commitment("autumn/26/3/token") == "ab" * 32
