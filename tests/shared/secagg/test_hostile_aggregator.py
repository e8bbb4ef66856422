# SPDX-License-Identifier: Apache-2.0
"""A server that holds its own signing key and lies: each lie meets its typed refusal."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.secagg.keys import RoundSecrets
from shared.secagg.messages import (
    ADVERT_BYTES,
    POSITION_BYTES,
    SEALED_BYTES,
    SHARE_BYTES,
    SIGNATURE_BYTES,
    Kind,
    Message,
    records,
    sign,
)
from shared.secagg.refusals import (
    BadKey,
    BadShare,
    BadSignature,
    Disagreement,
    Equivocation,
    Malformed,
    OwnIdMissing,
    ProtocolRefusal,
    TermsRefused,
    TooFewDevices,
    UnknownDevice,
    WrongSession,
    WrongStage,
)
from tests.shared.secagg.sessions import QUESTIONS, Session, name, positions, seeded, signing_key

DEALT = POSITION_BYTES + SEALED_BYTES
SIGNED = POSITION_BYTES + SIGNATURE_BYTES


def refuse(session: Session, kind: Kind, body: bytes, refusal: type[ProtocolRefusal]) -> None:
    """Device 0 refuses this body, then answers the honest question: nothing had changed."""
    with pytest.raises(ProtocolRefusal) as caught:
        session.devices[0].answer(session.ask(kind, body))
    assert type(caught.value) is refusal
    session.devices[0].answer(session.questions[name(0)])


def forged_advert(session: Session, body: bytes, index: int = 1) -> bytes:
    return sign(session.identities[index], Kind.ADVERT, session.terms.digest, body)


def swap_key(session: Session, adverts: list[bytes]) -> list[bytes]:
    """The server's own round key in device 1's advert, which it cannot sign."""
    own = RoundSecrets.draw(seeded("server's")).public(name(1))
    return [adverts[0], adverts[1][:49] + own + adverts[1][-64:], *adverts[2:]]


def own_key_swapped(session: Session, adverts: list[bytes]) -> list[bytes]:
    """An older advert that device 0 itself signed."""
    own = RoundSecrets.draw(seeded("old")).public(name(0))
    return [forged_advert(session, own, 0), *adverts[1:]]


def small_order(session: Session, adverts: list[bytes]) -> list[bytes]:
    """A colluding device advertises the key zero."""
    return [adverts[0], forged_advert(session, bytes(96)), *adverts[2:]]


def stranger(session: Session, adverts: list[bytes]) -> list[bytes]:
    body = Message.decode(adverts[3]).body
    unknown = replace(session.identities[3], name=name(9))
    return [*adverts[:3], sign(unknown, Kind.ADVERT, session.terms.digest, body)]


def other_model(session: Session, adverts: list[bytes]) -> list[bytes]:
    """Device 1 was told another RoundConfig, so its advert names another digest."""
    terms = replace(session.terms, config_hash=b"m" * 32)
    return [adverts[0], session.device(1, terms).advertise(), *adverts[2:]]


def smaller_threshold(session: Session, adverts: list[bytes]) -> list[bytes]:
    terms = replace(session.terms, cohort_size=3, min_survivors=2)
    return [adverts[0], session.device(1, terms).advertise(), *adverts[2:]]


ROSTERS: list[tuple[Callable[[Session, list[bytes]], list[bytes]], type[ProtocolRefusal]]] = [
    (swap_key, BadSignature),
    (own_key_swapped, Equivocation),
    (small_order, BadKey),
    (stranger, UnknownDevice),
    (other_model, WrongSession),
    (smaller_threshold, WrongSession),
    (lambda _, adverts: adverts[1:], OwnIdMissing),
    (lambda _, adverts: adverts[:2], TooFewDevices),
    (lambda _, adverts: [], TooFewDevices),
    (lambda _, adverts: [*adverts, adverts[3]], TermsRefused),
    (lambda _, adverts: [adverts[0], adverts[0], adverts[1]], Malformed),
    (lambda _, adverts: adverts[::-1], Malformed),
    (lambda _, adverts: [*adverts[:3], adverts[3][:-1]], Malformed),
    (lambda _, adverts: [*adverts, b"\0"], Malformed),
]


@pytest.mark.parametrize(("lie", "refusal"), ROSTERS)
def test_device_refuses_a_lying_roster(
    lie: Callable[[Session, list[bytes]], list[bytes]], refusal: type[ProtocolRefusal]
) -> None:
    session = Session().play(Kind.ROSTER)
    adverts = records(session.body(0), ADVERT_BYTES)
    refuse(session, Kind.ROSTER, b"".join(lie(session, adverts)), refusal)


def test_device_refuses_a_roster_with_one_key_under_two_names() -> None:
    session = Session()
    twin = replace(session.identities[1], name=name(2))
    session.enrolment.directory[name(2)] = session.enrolment.directory[name(1)]  # type: ignore[index]
    session.identities[2] = twin
    adverts = [session.device(i).advertise() for i in range(4)]
    with pytest.raises(UnknownDevice):
        session.devices[0].answer(session.ask(Kind.ROSTER, b"".join(adverts)))


@pytest.mark.parametrize(
    ("lie", "refusal"),
    [
        (lambda dealt: dealt[:1], TooFewDevices),
        (lambda dealt: dealt[::-1], Malformed),
        (lambda dealt: [*dealt[:2], dealt[2][:-1]], Malformed),
        (lambda dealt: [*dealt, b"\0"], Malformed),
        (lambda dealt: [positions(0) + dealt[0][2:], *dealt[1:]], Malformed),
        (lambda dealt: [*dealt[:2], positions(4) + dealt[2][2:]], Malformed),
        (lambda dealt: [dealt[0], dealt[0], dealt[2]], Malformed),
        (lambda dealt: [dealt[0][:2] + dealt[1][2:], *dealt[1:]], BadShare),
        (lambda dealt: [dealt[0][:-1] + bytes([dealt[0][-1] ^ 1]), *dealt[1:]], BadShare),
    ],
)
def test_device_refuses_a_lying_delivery(
    lie: Callable[[list[bytes]], list[bytes]], refusal: type[ProtocolRefusal]
) -> None:
    session = Session().play(Kind.DELIVERY)
    body = b"".join(lie(records(session.body(0), DEALT)))
    refuse(session, Kind.DELIVERY, body, refusal)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (positions(1, 2, 3), OwnIdMissing),
        (positions(0, 1), TooFewDevices),
        (b"", TooFewDevices),
        (positions(1, 0, 2), Malformed),
        (positions(0, 0, 1), Malformed),
        (positions(0, 1, 2, 4), Malformed),
        (positions(0, 1, 2) + b"\0", Malformed),
    ],
)
def test_device_refuses_lying_survivors(body: bytes, refusal: type[ProtocolRefusal]) -> None:
    refuse(Session().play(Kind.SURVIVORS), Kind.SURVIVORS, body, refusal)


def test_device_refuses_a_survivor_that_dealt_no_shares() -> None:
    session = Session()
    session.stage(Kind.ADVERT)
    session.questions = session.aggregator.close_stage()
    session.stage(Kind.SHARES, silent=[3])
    session.questions = session.aggregator.close_stage()
    session.stage(Kind.MASKED)
    session.questions = session.aggregator.close_stage()
    refuse(session, Kind.SURVIVORS, positions(0, 1, 2, 3), UnknownDevice)


@pytest.mark.parametrize(
    ("lie", "refusal"),
    [
        (lambda signed: signed[:2], TooFewDevices),
        (lambda signed: signed[::-1], Malformed),
        (lambda signed: [*signed, b"\0"], Malformed),
        (lambda signed: [*signed[:3], positions(7) + signed[3][2:]], Malformed),
        (lambda signed: [signed[0], signed[1][:2] + signed[0][2:], *signed[2:]], Disagreement),
        (lambda signed: [signed[0], signed[1][:2] + bytes(64), *signed[2:]], Disagreement),
    ],
)
def test_device_refuses_a_lying_agreement(
    lie: Callable[[list[bytes]], list[bytes]], refusal: type[ProtocolRefusal]
) -> None:
    session = Session().play(Kind.AGREEMENT)
    body = b"".join(lie(records(session.body(0), SIGNED)))
    refuse(session, Kind.AGREEMENT, body, refusal)


def test_device_refuses_a_signer_that_did_not_survive() -> None:
    session = Session()
    session.play(Kind.DELIVERY)
    session.stage(Kind.MASKED, silent=[3])
    session.questions = session.aggregator.close_stage()
    session.stage(Kind.CONSENT)
    session.questions = session.aggregator.close_stage()
    refuse(session, Kind.AGREEMENT, session.body(0) + positions(3) + bytes(64), UnknownDevice)


def test_two_survivor_sets_never_open_two_sums() -> None:
    """Told {0,1,2} and {0..3}, no device finds a threshold of signatures over its own set."""
    session = Session().play(Kind.SURVIVORS)
    told = {0: positions(0, 1, 2), 1: positions(0, 1, 2), 2: positions(0, 1, 2, 3)}
    told[3] = told[2]
    consents = {
        i: session.devices[i].answer(session.ask(Kind.SURVIVORS, body)) for i, body in told.items()
    }
    body = b"".join(positions(i) + consents[i][-64:] for i in range(4))
    for index, device in enumerate(session.devices):
        for signed in (body, body[: 2 * SIGNED], body[2 * SIGNED :], body[: 3 * SIGNED]):
            with pytest.raises((Disagreement, TooFewDevices, UnknownDevice)):
                device.answer(session.ask(Kind.AGREEMENT, signed))
        with pytest.raises(Equivocation):
            device.answer(session.ask(Kind.SURVIVORS, told[3 - index]))


def test_device_never_releases_the_other_share_after_unmasking() -> None:
    session = Session().play(Kind.AGREEMENT)
    first = session.devices[0].answer(session.questions[name(0)])
    assert session.devices[0].answer(session.questions[name(0)]) == first
    with pytest.raises(Equivocation):
        session.devices[0].answer(session.ask(Kind.AGREEMENT, session.body(0)[: 3 * SIGNED]))
    with pytest.raises(Equivocation):
        session.devices[0].answer(session.ask(Kind.SURVIVORS, positions(0, 1, 2)))


def test_device_releases_one_share_a_participant_by_its_fate() -> None:
    session = Session()
    session.play(Kind.DELIVERY)
    session.stage(Kind.MASKED, silent=[3])
    session.questions = session.aggregator.close_stage()
    shares = dict(session.devices[0]._state.shares)
    session.stage(Kind.CONSENT)
    session.questions = session.aggregator.close_stage()
    released = Message.decode(session.devices[0].answer(session.questions[name(0)])).body
    assert released == b"".join(
        shares[p][:SHARE_BYTES] if p == 3 else shares[p][SHARE_BYTES:] for p in range(4)
    )


@pytest.mark.parametrize("kind", QUESTIONS)
def test_device_refuses_a_question_of_another_session(kind: Kind) -> None:
    """A replayed round: same devices and keys, another round number or another model."""
    session = Session().play(kind)
    for other in (Session(server_round=6), Session(config=b"o" * 32)):
        with pytest.raises(WrongSession):
            session.devices[0].answer(other.play(kind).questions[name(0)])


@pytest.mark.parametrize("kind", QUESTIONS)
def test_device_refuses_a_question_not_signed_by_the_server(kind: Kind) -> None:
    session = Session().play(kind)
    session.server = replace(session.server, key=signing_key("impostor"))
    with pytest.raises(BadSignature):
        session.devices[0].answer(session.ask(kind, session.body(0)))


@pytest.mark.parametrize("kind", QUESTIONS)
def test_device_refuses_a_second_question_for_an_answered_stage(kind: Kind) -> None:
    session = Session().play(kind)
    session.devices[0].answer(session.questions[name(0)])
    with pytest.raises(Equivocation):
        session.devices[0].answer(session.ask(kind, session.body(0) + b"\0"))


def test_device_refuses_a_stage_before_its_turn() -> None:
    session = Session().play(Kind.DELIVERY)
    for kind in (Kind.SURVIVORS, Kind.AGREEMENT):
        with pytest.raises(WrongStage):
            session.devices[0].answer(session.ask(kind, positions(0, 1, 2)))


@pytest.mark.parametrize("kind", [0, 1, 3, 5, 7, 9, 10, 255])
def test_device_refuses_what_is_no_question(kind: int) -> None:
    session = Session().play(Kind.DELIVERY)
    question = bytes([kind]) + session.questions[name(0)][1:]
    with pytest.raises(Malformed):
        session.devices[0].answer(question)


def test_device_forgets_its_secrets_stage_by_stage() -> None:
    kept = []
    session = Session()
    for kind in QUESTIONS:
        session = Session().play(kind)
        session.devices[0].answer(session.questions[name(0)])
        kept.append(set(vars(session.devices[0]._state)) - {"seat", "roster", "me"})
    assert kept == [
        {"own_share", "opening", "pair_masks", "self_mask", "vector"},
        {"shares"},
        {"survivors", "statement", "released"},
        set(),
    ]


def test_device_refuses_a_vector_of_another_length() -> None:
    with pytest.raises(TermsRefused):
        Session(vectors=[session_vector for session_vector in Session(d=6).vectors])
