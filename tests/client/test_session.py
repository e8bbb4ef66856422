# SPDX-License-Identifier: Apache-2.0
"""A server that asks for what it must not: each question is refused, and has its receipt."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.device import Device
from client.keeper import DeviceDoor
from client.receipts import Receipt
from client.session import Member, Rounds
from server.plan import Plan, make_plan
from shared import wire
from shared.catalogue import Catalogue
from shared.config import RunConfig
from shared.enrolment import device_name, write_directory
from shared.model.view import ItemSumsView
from shared.model.view_file import save_view
from shared.privacy.canonical import digest, sign
from shared.privacy.policy import Policy, RoundConfig
from tests.client.test_join import (  # noqa: F401 - fixtures
    USERS,
    file,
    home,
    invitation,
    letter,
    plan,
    policy,
)
from tests.federation.made import OFFICER, SERVER, Files, public, seeded_key


@dataclass
class Bench:
    """One sealed device and all that a server needs to ask it."""

    home: Path
    policy: Policy
    plan: Plan
    files: Files
    rounds: Rounds
    name: bytes
    listed: dict[bytes, bytes]
    view: bytes

    def config(self, **changes: object) -> RoundConfig:
        release = self.plan["item_sums"]
        assert release.mechanism is not None
        honest = RoundConfig(
            digest(self.policy), self.files.publish(self.view), self.policy.run, 2,
            release.query, release.mechanism,
        )  # fmt: skip
        return replace(honest, **changes)  # type: ignore[arg-type]

    def ask(
        self, config: RoundConfig, key: Ed25519PrivateKey = SERVER, run: str = ""
    ) -> wire.Message:
        signed = sign(config, key)
        directory = write_directory(self.policy.run, self.listed, SERVER)
        return self.rounds.handle(
            wire.Opening(
                run or config.run,
                config.round,
                0,
                signed.payload,
                signed.signature,
                self.files.publish(directory),
            )
        )

    def receipts(self) -> list[Receipt]:
        with Device.open(self.home) as device:
            device.verify()
            return list(device.receipts())


@pytest.fixture
def bench(home: Path, policy: Policy, plan: Plan, catalogue: Catalogue, tmp_path: Path) -> Bench:  # noqa: F811
    with Device.open(home) as device:
        key = device.signing_key
    files = Files(tmp_path / "files")
    member = Member(policy.run, public(SERVER), key, digest(policy))
    keys = [key, *(seeded_key(f"peer {n}") for n in range(USERS - 1))]
    raws = [one.public_key().public_bytes_raw() for one in keys]
    rounds = Rounds(member, DeviceDoor(home), files.fetch)
    listed = {device_name(raw): raw for raw in raws}
    view = save_view(ItemSumsView(len(catalogue)))
    return Bench(home, policy, plan, files, rounds, device_name(raws[0]), listed, view)


def another_policy(bench: Bench) -> wire.Message:
    return bench.ask(bench.config(policy_hash="11" * 32))


def a_smaller_cohort(bench: Bench) -> wire.Message:
    small = make_plan(
        RunConfig(target_epsilon=4, budget={"item_sums": 1.0}),
        10,
        bench.rounds._door.catalogue(),
    )["item_sums"]
    assert small.mechanism is not None
    return bench.ask(bench.config(query=small.query, mechanism=small.mechanism))


def a_changed_model(bench: Bench) -> wire.Message:
    config = bench.config()
    (bench.files.path / config.model_hash).write_bytes(bench.view + b" ")
    return bench.ask(config)


def an_old_round(bench: Bench) -> wire.Message:
    assert isinstance(bench.ask(bench.config(round=2)), wire.Advert)
    return bench.ask(bench.config(round=1))


def another_run(bench: Bench) -> wire.Message:
    return bench.ask(bench.config(), run="another")


def a_strangers_signature(bench: Bench) -> wire.Message:
    return bench.ask(bench.config(), key=OFFICER)


def a_directory_without_it(bench: Bench) -> wire.Message:
    del bench.listed[bench.name]
    return bench.ask(bench.config())


def a_second_configuration(bench: Bench) -> wire.Message:
    assert isinstance(bench.ask(bench.config(round=2)), wire.Advert)
    return bench.ask(bench.config(round=2, policy_hash="11" * 32))


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (another_policy, "policy refused"),
        (a_smaller_cohort, "cohort too small"),
        (a_changed_model, "policy refused"),
        (an_old_round, "round refused"),
        (another_run, "policy refused"),
        (a_strangers_signature, "policy refused"),
        (a_directory_without_it, "not enrolled"),
        (a_second_configuration, "protocol refused"),
    ],
)
def test_a_lying_server_is_refused_and_the_owner_has_a_receipt(
    bench: Bench, lie: Callable[[Bench], wire.Message], reason: str
) -> None:
    reply = lie(bench)
    assert isinstance(reply, wire.Refused)
    assert reply.reason == reason
    refused = [receipt for receipt in bench.receipts() if receipt.status == "refused"]
    assert len(refused) == 1
    assert refused[0].reason.startswith("requested: ")
    assert refused[0].rho == 0


def test_a_file_that_does_not_come_is_no_refusal(bench: Bench) -> None:
    reply = bench.ask(bench.config(model_hash="0" * 64))
    assert isinstance(reply, wire.Refused)
    assert reply.reason == "not ready"
    assert bench.receipts() == []
