# SPDX-License-Identifier: Apache-2.0
"""Receipts form a signed chain, and what of them stands in a ledger is found there."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from client.device import Device
from client.receipts import START, Chain, Receipt, commitment_fields
from shared.errors import DataError, VerificationError
from shared.ledger.records import receipt_commitment
from shared.privacy.canonical import digest, parse
from shared.privacy.policy import RoundConfig
from tests.client.made_store import SERVER, joined, question, view
from tests.shared.ledger.made import KEY, forge, history, write

PUBLIC = KEY.public_key().public_bytes_raw().hex()
ONE = Receipt(seq=0, prev="", act=0, created_at=7, status="prepared", kind="update-upload")


@pytest.fixture
def chain() -> Chain:
    made = Chain([])
    for round_ in range(1, 5):
        made.add(replace(ONE, round=round_, rho=Fraction(1, round_), query="item_sums"), KEY)
    made.follow(2, KEY, status="sent")
    return made


def test_each_receipt_names_the_one_before(chain: Chain) -> None:
    again = Chain(chain.records)
    again.check(PUBLIC)
    assert again.receipts == chain.receipts
    assert again.receipts[0].prev == START
    assert [r.seq for r in again.receipts] == [1, 2, 3, 4, 5]
    assert [(r.act, r.status) for r in again.acts()] == [
        (1, "prepared"), (2, "sent"), (3, "prepared"), (4, "prepared"),
    ]  # fmt: skip


def test_commitment_is_of_the_act_and_fresh_each_time(chain: Chain) -> None:
    for receipt in chain.receipts:
        salt = bytes.fromhex(receipt.salt)
        assert receipt.commitment == receipt_commitment(salt, commitment_fields(receipt))
    assert len({receipt.salt for receipt in chain.receipts}) == 4
    assert chain.receipts[4].commitment == chain.receipts[1].commitment


def broken(chain: Chain) -> list[list[dict[str, str]]]:
    records = chain.records
    swapped = [records[1], records[0], *records[2:]]
    changed = [{**records[0], "body": records[0]["body"].replace('"round":1', '"round":9')}]
    unsigned = [{**record, "signature": "00" * 64} for record in records]
    other = Chain([])
    other.add(replace(ONE, round=9), KEY)
    return [swapped, changed + records[1:], records[1:], unsigned, other.records + records[1:],
            [*records, records[-1]]]  # fmt: skip


@pytest.mark.parametrize("number", range(6))
def test_changed_chain_does_not_verify(chain: Chain, number: int) -> None:
    with pytest.raises(VerificationError):
        Chain(broken(chain)[number]).check(PUBLIC)


def test_chain_of_another_device_does_not_verify(chain: Chain) -> None:
    with pytest.raises(VerificationError):
        chain.check("11" * 32)
    with pytest.raises(DataError):
        chain.latest(99)


@pytest.fixture
def answered(device: Device) -> Device:
    """Rounds 1 and 2 sent, round 3 charged and unused."""
    items = len(device.catalogue)
    device.rate(1, 5)
    joined(device)
    for round_ in (1, 2, 3):
        device.answer(question(items, round_), view(items), f"s{round_}", now=2000 + round_)
    device.abort("s3", now=3000)
    return device


def commitments(device: Device) -> list[str]:
    return [receipt.commitment for receipt in device.receipts()]


def ledger(
    device: Device, receipts: dict[int, list[str]], **told: object
) -> list[tuple[str, dict]]:
    """The server's ledger, whose first round is the device's and whose rounds list these."""
    first = parse(RoundConfig, question(len(device.catalogue), 1).payload)
    mechanism = first.mechanism
    asked = {"config": digest(first), "model": first.model_hash, "rho": str(mechanism.rho)}
    steps = history(4)
    for at, (kind, body) in enumerate(steps):
        changes: dict[str, object] = {}
        if kind == "run_open":
            changes = {"key": SERVER.public_key().public_bytes_raw().hex(), "model": "00" * 32}
        if kind == "round_open" and body["round"] == 1:
            changes = {**vars(mechanism), **asked, **told}
        if kind == "round_close":
            changes = {"receipts": sorted(receipts.get(body["round"], []))}
            changes |= {"survivors": 500} if body["round"] == 1 else {}
        steps[at] = kind, body | changes
    return steps


def test_receipts_are_found_in_the_rounds_of_a_ledger(answered: Device, tmp_path: Path) -> None:
    first = commitments(answered)[0]
    steps = ledger(answered, {1: [first, "aa" * 32]})
    write(tmp_path / "ledger", steps, SERVER)
    verdict = answered.verify(tmp_path / "ledger")
    assert (verdict.closed, verdict.open) == (1, 2)


def test_receipt_in_another_round_is_a_fault(answered: Device, tmp_path: Path) -> None:
    first = commitments(answered)[0]
    for name, where in (("other", {2: [first]}), ("twice", {1: [first], 3: [first]})):
        forge(tmp_path / name, ledger(answered, where), SERVER)
        with pytest.raises(VerificationError, match="one closed round"):
            answered.verify(tmp_path / name)


def test_receipt_of_another_question_than_the_ledger_tells_is_a_fault(
    answered: Device, tmp_path: Path
) -> None:
    first = commitments(answered)[0]
    write(tmp_path / "a", ledger(answered, {1: [first]}, config="ab" * 32), SERVER)
    with pytest.raises(VerificationError, match="another question"):
        answered.verify(tmp_path / "a")


def test_ledger_that_another_key_signed_is_not_the_operators(
    answered: Device, tmp_path: Path
) -> None:
    steps = ledger(answered, {1: commitments(answered)[:1]})
    steps[0][1]["key"] = KEY.public_key().public_bytes_raw().hex()
    write(tmp_path / "ledger", steps, KEY)
    with pytest.raises(VerificationError, match="key of the server"):
        answered.verify(tmp_path / "ledger")


def test_ledger_that_does_not_verify_proves_nothing(answered: Device, tmp_path: Path) -> None:
    folder = write(tmp_path / "ledger", ledger(answered, {1: commitments(answered)[:1]}), SERVER)
    records = folder / "records.jsonl"
    records.write_bytes(records.read_bytes().replace(b'"survivors":943', b'"survivors":944', 1))
    with pytest.raises(VerificationError):
        answered.verify(folder)


def test_receipts_can_be_handed_to_an_auditor(answered: Device, tmp_path: Path) -> None:
    """In the form that `privet audit replay --receipts` reads."""
    from shared.ledger.records import canonical
    from shared.ledger.replay import replay

    receipt = answered.receipts()[0]
    folder = write(tmp_path / "ledger", ledger(answered, {1: [receipt.commitment]}), SERVER)
    line = {"salt": receipt.salt, "fields": commitment_fields(receipt)}
    (tmp_path / "mine.jsonl").write_bytes(canonical(line) + b"\n")
    assert replay(folder, receipts=tmp_path / "mine.jsonl").receipts == 1


def test_budget_that_is_not_the_sum_of_the_receipts_does_not_verify(answered: Device) -> None:
    from client.settings import spell

    settings = answered._books.settings
    less = replace(settings.state, spent=settings.state.spent / 2)
    answered._books.commit(settings=replace(settings, budget=spell(less)))
    with pytest.raises(VerificationError, match="sum of the receipts"):
        answered.verify()


def test_receipt_that_the_device_did_not_sign_does_not_verify(answered: Device) -> None:
    """Even one that somebody who has the key of the store put into it."""
    records = answered._store.table("receipts")
    answered._store.commit({"receipts": [*records[:-1], {**records[-1], "signature": "00" * 64}]})
    with pytest.raises(VerificationError, match="signed by this device"):
        answered.verify()


def test_receipt_says_what_and_to_whom_in_words(answered: Device) -> None:
    one = answered.receipts()[0]
    assert one.to == "Example Org"
    assert one.purpose.startswith("Learn how well each item is liked")
    assert one.contains == ("items: 120 integers",)
    assert "ratings" in one.excludes
    assert "sum of at least 450 devices" in one.protection
    assert len(one.code) == len(one.payload) == len(one.policy) == 64
    body = json.loads(answered._store.table("receipts")[0]["body"])
    assert all(isinstance(value, (int, str, list)) for value in body.values())
