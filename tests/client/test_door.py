# SPDX-License-Identifier: Apache-2.0
"""Nothing leaves uncharged, a retry is the same bytes, and no view makes a device talk."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client import door
from client.device import Device
from client.door import own_vector
from client.joining import DEVICE_FLOOR
from client.training import Cohort
from shared.errors import DataError, PolicyError, Refusal
from shared.model.history import History
from shared.model.queries import item_sums_query
from shared.model.view import ItemSumsView, PriorView, TrunkView
from shared.privacy.canonical import Signed, sign
from shared.privacy.door import Contribution
from shared.privacy.encode import encode
from shared.privacy.plan import mechanism_for
from tests.client.made_store import COHORT as SESSION
from tests.client.made_store import (
    OFFICER,
    OFFICER_KEY,
    POLICY,
    SERVER,
    joined,
    question,
    view,
)

RNG = np.random.default_rng(0)


@pytest.fixture
def ready(device: Device) -> Device:
    """A device with ratings that takes part."""
    for row in range(20):
        device.rate(row, float(1 + row % 5), "words" if row % 4 == 0 else None, now=500)
    return joined(device)


def ask(device: Device, round_: int = 1, session: str = "s", now: int = 2000, **changes):
    items = len(device.catalogue)
    return device.answer(question(items, round_, **changes), view(items), session, now=now)


def spent(device: Device) -> Fraction:
    return device.verify().spent


def test_answer_is_charged_receipted_and_the_same_on_a_retry(ready: Device) -> None:
    first = ask(ready)
    assert isinstance(first, Contribution)
    charged = spent(ready)
    assert charged > 0
    for _ in range(3):
        again = ask(ready, now=9000)
        assert again.residues.tobytes() == first.residues.tobytes()
    assert spent(ready) == charged
    (receipt,) = ready.receipts()
    assert (receipt.status, receipt.kind, receipt.round) == ("prepared", "update-upload", 1)
    assert receipt.rho == charged


def test_retry_under_a_forged_signature_gets_nothing(ready: Device) -> None:
    ask(ready)
    items = len(ready.catalogue)
    forged = Signed(question(items).payload, bytes(64))
    assert isinstance(ready.answer(forged, view(items), "s", now=3000), Refusal)


def test_retry_after_a_restart_is_the_same(ready: Device) -> None:
    first = ask(ready)
    folder = ready.folder
    ready.close()
    with Device.open(folder) as device:
        assert ask(device).residues.tobytes() == first.residues.tobytes()


def test_round_is_not_answered_in_a_second_session(ready: Device) -> None:
    ask(ready)
    assert isinstance(ask(ready, session="other"), Refusal)
    assert isinstance(ask(ready, rho=Fraction(1, 60)), Refusal)  # the same session, another config
    assert isinstance(ask(ready, round_=2), Contribution)
    assert isinstance(ask(ready, round_=1), Refusal)  # its bytes are gone, and it stays answered


def test_charge_and_receipt_are_on_disk_before_anything_is_drawn(
    ready: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(*words, **more):
        table = ready._store.table("outbox")[0]
        seen.append((table["status"], ready._books.settings.state.spent > 0))
        assert ready._store.generation == on_disk(ready.folder)
        return real(*words, **more)

    real = door.release
    monkeypatch.setattr(door, "release", spy)
    ask(ready)
    assert seen == [("charged", True)]


def on_disk(folder: Path) -> int:
    import json

    return json.loads((folder / "head").read_bytes())["generation"]


def test_bytes_are_on_disk_before_they_are_handed_out(ready: Device) -> None:
    handed = ask(ready)
    stored = door.stored_answer(
        ready._store.table("outbox")[0], question(len(ready.catalogue)), "s"
    )
    assert stored.residues.tobytes() == handed.residues.tobytes()
    assert ready._store.generation == on_disk(ready.folder)


def test_failure_after_the_charge_releases_nothing_and_is_booked(
    ready: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*words, **more):
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr(door, "release", fails)
        with pytest.raises(OSError, match="disk"):
            ask(ready)
    charged = spent(ready)
    assert charged > 0
    folder = ready.folder
    ready.close()
    with Device.open(folder) as device:
        assert [r.status for r in device.receipts()] == ["charged-unused"]
        assert spent(device) == charged
        assert isinstance(ask(device), Refusal)
        assert device.status().unused == 1


def test_charge_that_was_not_written_hands_out_nothing(
    ready: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words, **more):
        raise DataError("full.")

    with monkeypatch.context() as patch:
        patch.setattr(ready._store, "commit", full)
        with pytest.raises(DataError):
            ask(ready)
    assert spent(ready) == 0
    assert ready.receipts() == ()
    assert isinstance(ask(ready), Contribution)


def test_receipt_is_completed_after_the_upload(ready: Device) -> None:
    ask(ready)
    ready.sent("s", 4321, "privet.example", now=2100)
    (receipt,) = ready.receipts()
    assert (receipt.status, receipt.upload_bytes, receipt.to) == ("sent", 4321, "privet.example")
    assert receipt.payload
    assert len(ready.chain()) == 3
    assert isinstance(ask(ready), Contribution)  # the server may ask for the bytes again


def test_abort_charges_and_counts(ready: Device) -> None:
    ask(ready)
    charged = spent(ready)
    ready.abort("s", now=2200)
    assert spent(ready) == charged
    assert ready.receipts()[0].status == "charged-unused"
    assert ready._books.settings.state.aborts_s == (2200,)
    assert isinstance(ask(ready), Refusal)
    with pytest.raises(DataError):
        ready.abort("s")


def test_nothing_of_a_secure_sum_is_kept_on_disk(ready: Device) -> None:
    """What is kept of an answer is the answer: no key, no share, no message of a round."""
    ask(ready)
    (record,) = ready._store.table("outbox")
    assert set(record) == {
        "session", "config", "signature", "act", "status", "residues", "vector",
    }  # fmt: skip


HOSTILE = {
    "another run": {"run": "spring"},
    "another policy": {"policy_hash": "11" * 32},
    "too much at once": {"rho": Fraction(2, 5)},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_question_is_refused_with_a_receipt(ready: Device, changes: dict) -> None:
    refusal = ask(ready, **changes)
    assert isinstance(refusal, Refusal)
    (receipt,) = ready.receipts()
    assert receipt.status == "refused"
    assert receipt.reason == refusal.message
    assert spent(ready) == 0


def test_question_signed_by_a_stranger_is_refused_and_not_repeated(ready: Device) -> None:
    items = len(ready.catalogue)
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    honest = question(items)
    forged = Signed(honest.payload, stranger.sign(honest.payload))
    for bad in (forged, Signed(b"\xff<script>", b""), Signed(b"", b"x" * 64)):
        assert isinstance(ready.answer(bad, view(items), "s"), Refusal)
    assert {(r.status, r.run, r.purpose) for r in ready.receipts()} == {("refused", "", "")}


def test_refusals_cannot_fill_the_disk(ready: Device) -> None:
    for n in range(door.REFUSALS_A_DAY + 20):
        assert isinstance(ready.answer(Signed(b"x", b""), view(1), "s", now=3000 + n), Refusal)
    assert len(ready.receipts()) == door.REFUSALS_A_DAY
    ready.answer(Signed(b"x", b""), view(1), "s", now=3000 + 2 * 86400)
    assert len(ready.receipts()) == door.REFUSALS_A_DAY + 1
    ready.verify()


def test_budget_is_never_passed(ready: Device) -> None:
    rho, given = Fraction(1, 5), 0
    for round_ in range(1, 8):
        given += isinstance(ask(ready, round_, now=2000 + round_, rho=rho), Contribution)
    assert given == 2
    assert spent(ready) <= POLICY.floor.rho_cap
    assert ready.status().spent == pytest.approx(float(spent(ready) / POLICY.floor.rho_cap))


def test_paused_left_moved_or_alone_answers_nothing(device: Device, tmp_path: Path) -> None:
    assert isinstance(ask(device), Refusal)  # takes part in nothing
    joined(device)
    device.pause()
    assert isinstance(ask(device), Refusal)
    device.resume()
    first = ask(device)
    assert isinstance(first, Contribution)
    device.pause()
    assert isinstance(ask(device), Refusal)  # pause stops retries as well
    device.resume()
    device.leave()
    assert isinstance(ask(device, 2), Refusal)
    joined(device)
    device.export(tmp_path / "moved", "a long passphrase")
    assert isinstance(ask(device, 3), Refusal)


def test_spent_budget_outlives_leaving_and_joining_again(ready: Device) -> None:
    ask(ready)
    charged = spent(ready)
    ready.leave()
    other = replace(POLICY, run="winter")
    ready.accept(sign(other, OFFICER), OFFICER_KEY, now=3000)
    assert spent(ready) == charged
    assert ready._books.settings.state.spent == charged


def test_joining_again_never_lowers_what_the_owner_insists_on(device: Device) -> None:
    """PRIVACY: the floor is monotone; a demo is the one thing that its owner can allow."""
    strict = replace(DEVICE_FLOOR, rho_cap=Fraction(1, 3), min_noise_shares=40)
    device.accept(sign(POLICY, OFFICER), OFFICER_KEY, floor=strict)
    device.accept(sign(replace(POLICY, run="winter"), OFFICER), OFFICER_KEY)
    assert device._books.settings.own_floor == DEVICE_FLOOR.stricter(strict)
    weak = replace(POLICY, floor=replace(POLICY.floor, min_noise_shares=2))
    device.accept(sign(weak, OFFICER), OFFICER_KEY, demo=True)
    assert device._books.settings.own_floor == replace(strict, min_noise_shares=2)
    device.accept(sign(POLICY, OFFICER), OFFICER_KEY)
    assert device._books.settings.own_floor.min_noise_shares == 16


def test_policy_of_another_officer_or_a_demo_is_refused(device: Device) -> None:
    with pytest.raises(PolicyError):
        device.accept(sign(POLICY, SERVER), OFFICER_KEY)
    weak = replace(POLICY, floor=replace(POLICY.floor, min_noise_shares=2))
    with pytest.raises(Refusal):
        device.accept(sign(weak, OFFICER), OFFICER_KEY)
    assert device.status().operator == ""
    device.accept(sign(weak, OFFICER), OFFICER_KEY, demo=True)
    assert device.status().demo


def traps(items: int) -> list[object]:
    return [
        ItemSumsView(items - 5),
        ItemSumsView(0),
        PriorView(None, None),
        TrunkView(None, None, None, 1.0, np.zeros(3, dtype=np.int64)),
        object(),
        None,
    ]


def test_view_made_to_fail_gets_noise_and_no_error(ready: Device) -> None:
    """What a crafted view does to some ratings must not decide whether an answer leaves."""
    items = len(ready.catalogue)
    for round_, trap in enumerate(traps(items), start=1):
        given = ready.answer(question(items, round_), trap, f"s{round_}", now=5000 + round_)
        assert isinstance(given, Contribution)
        assert given.residues.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e308])
def test_vector_is_finite_or_zero_after_the_door(device: Device, bad: float) -> None:
    items = len(device.catalogue)
    query = item_sums_query(items)
    own = Cohort([History(np.array([0, 1]), np.array([bad, 1.0]))])
    vector = own_vector(view(items), own, query)
    integers = encode(vector, query, mechanism_for(query, Fraction(1, 9), SESSION), RNG)
    assert np.isfinite(integers.values).all()


def test_answer_is_what_the_simulator_computes(ready: Device) -> None:
    """Same history, same view: the device's vector is the one that `answers` gives."""
    from client.training import answers

    items = len(ready.catalogue)
    ask(ready)
    from client.books import unpack_vector

    kept = unpack_vector(ready._store.table("outbox")[0]["vector"])
    (expected,) = answers(view(items), [ready.history])
    assert np.array_equal(kept.indices, expected.indices)
    assert np.array_equal(kept.values, expected.values)
