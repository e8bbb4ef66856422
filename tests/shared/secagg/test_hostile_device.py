# SPDX-License-Identifier: Apache-2.0
"""A device that lies: the session goes on without it or fails closed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from shared.secagg.messages import Kind, Message, sign
from shared.secagg.refusals import (
    BadKey,
    BadShare,
    BadSignature,
    Disagreement,
    Equivocation,
    Malformed,
    TermsRefused,
    TooFewDevices,
    UnknownDevice,
    WrongSession,
    WrongStage,
)
from tests.shared.secagg.sessions import ANSWERS, QUESTIONS, Session, name


def resigned(session: Session, index: int, answer: bytes, body: bytes) -> bytes:
    """The same answer with another body, signed by the lying device itself."""
    message = Message.decode(answer)
    return sign(session.identities[index], Kind(message.kind), message.context, body)


def finish(session: Session, liar: int, lie: Callable[[bytes], bytes], kind: Kind) -> np.ndarray:
    """Play to the end with one lying answer of one kind."""

    def change(index: int, answer: bytes) -> bytes:
        if index != liar:
            return answer
        return resigned(session, index, answer, lie(Message.decode(answer).body))

    for answer in ANSWERS:
        if answer is kind:
            session.stage(answer, change=change)
        else:
            session.stage(answer)
        if answer is not Kind.UNMASK:
            session.questions = session.aggregator.close_stage()
    return session.aggregator.finish()[0]


def flip(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


@pytest.mark.parametrize("liar", range(5))
def test_sum_is_exact_when_one_of_more_than_t_releases_wrong_shares(liar: int) -> None:
    session = Session(5, t=4)
    total = finish(session, liar, flip, Kind.UNMASK)
    np.testing.assert_array_equal(total, session.plain_sum(range(5)))


def test_session_fails_closed_when_one_of_t_releases_wrong_shares() -> None:
    session = Session(4, t=4)
    with pytest.raises(BadShare):
        finish(session, 1, flip, Kind.UNMASK)
    with pytest.raises(WrongStage):
        session.aggregator.finish()


def test_session_fails_closed_when_the_commitment_is_a_lie() -> None:
    """Device 0 would refuse a roster with its own altered advert, so it is the liar's device."""
    session = Session(4, t=3)
    session.play(Kind.SURVIVORS)
    state = session.aggregator._state
    bodies = list(state.roster.bodies)
    bodies[2] = bodies[2][:64] + bytes(32)
    lied = replace(state.roster, bodies=tuple(bodies))
    session.stage(Kind.CONSENT)
    session.questions = session.aggregator.close_stage()
    session.stage(Kind.UNMASK)
    session.aggregator._state.roster = lied
    with pytest.raises(BadShare):
        session.aggregator.finish()


def test_honest_devices_refuse_garbage_in_place_of_sealed_shares() -> None:
    session = Session(4, t=3).play(Kind.ROSTER)
    session.stage(
        Kind.SHARES,
        change=lambda i, a: resigned(session, i, a, bytes(3 * 80)) if i == 1 else a,
    )
    session.questions = session.aggregator.close_stage()
    for index in (0, 2, 3):
        with pytest.raises(BadShare):
            session.devices[index].answer(session.questions[name(index)])


def test_aggregator_goes_on_without_a_consent_to_another_statement() -> None:
    session = Session(4, t=3).play(Kind.SURVIVORS)
    lie = resigned(session, 1, session.devices[1].answer(session.questions[name(1)]), bytes(32))
    with pytest.raises(Disagreement):
        session.aggregator.receive(lie)
    session.stage(Kind.CONSENT, silent=[1])
    session.questions = session.aggregator.close_stage()
    session.stage(Kind.UNMASK)
    np.testing.assert_array_equal(session.aggregator.finish()[0], session.plain_sum(range(4)))


@pytest.mark.parametrize("kind", ANSWERS)
def test_first_of_two_inputs_stands(kind: Kind) -> None:
    """A repeat changes nothing, a second version is refused, the sum stays exact."""
    session = Session(4, t=3)
    for answer in ANSWERS:
        session.stage(answer)
        if answer is kind:
            first = session.seen[-1]
            session.aggregator.receive(first)
            body = bytes(a ^ 1 for a in Message.decode(first).body)
            expected = Disagreement if kind is Kind.CONSENT else Equivocation
            if kind is Kind.ADVERT:
                body = Message.decode(session.seen[0]).body
            with pytest.raises(expected):
                session.aggregator.receive(resigned(session, 3, first, body))
        if answer is not Kind.UNMASK:
            session.questions = session.aggregator.close_stage()
    np.testing.assert_array_equal(session.aggregator.finish()[0], session.plain_sum(range(4)))


@pytest.mark.parametrize("kind", ANSWERS)
def test_aggregator_refuses_each_malformed_answer(kind: Kind) -> None:
    session = Session(4, t=3)
    for answer in ANSWERS:
        if answer is kind:
            break
        session.stage(answer)
        session.questions = session.aggregator.close_stage()
    device = session.devices[0]
    good = device.advertise() if kind is Kind.ADVERT else device.answer(session.questions[name(0)])
    body, last = Message.decode(good).body, good[-1]
    other = Session(4, t=3, server_round=8)
    other_good = other.device(0).advertise()
    stranger, by_another = Message.decode(good), resigned(session, 1, good, body)[-64:]
    for bad, refusal in [
        (good[:100], Malformed),
        (b"", Malformed),
        (resigned(session, 0, good, body[:-1]), Malformed),
        (resigned(session, 0, good, body + b"\0"), Malformed),
        (good[:-1] + bytes([last ^ 1]), BadSignature),
        (replace(stranger, signature=by_another).encode(), BadSignature),
        (replace(stranger, sender=name(9)).encode(), UnknownDevice),
        (good[:1] + bytes(32) + good[33:], WrongSession),
        (bytes([0]) + good[1:], WrongStage),
        (other_good, WrongSession if kind is Kind.ADVERT else WrongStage),
    ]:
        with pytest.raises(refusal):
            session.aggregator.receive(bad)
    session.aggregator.receive(good)
    assert session.aggregator.answered == 1


def test_aggregator_refuses_a_key_of_small_order() -> None:
    session = Session()
    advert = sign(session.identities[1], Kind.ADVERT, session.terms.digest, bytes(96))
    with pytest.raises(BadKey):
        session.aggregator.receive(advert)


def test_aggregator_refuses_more_devices_than_the_cohort() -> None:
    session = Session(4)
    extra = replace(session.identities[0], name=name(9))
    session.enrolment.directory[name(9)] = session.enrolment.directory[name(0)]  # type: ignore[index]
    session.stage(Kind.ADVERT)
    body = Message.decode(session.seen[0]).body
    with pytest.raises(TermsRefused):
        session.aggregator.receive(sign(extra, Kind.ADVERT, session.terms.digest, body))


@pytest.mark.parametrize("kind", QUESTIONS)
def test_aggregator_refuses_a_late_answer_and_takes_a_late_repeat(kind: Kind) -> None:
    session = Session(4, t=3)
    late = Session(4, t=3)
    for answer, question in zip(ANSWERS, QUESTIONS, strict=False):
        session.stage(answer, silent=[3] if question is kind else [])
        session.questions = session.aggregator.close_stage()
        late.stage(answer)
        if question is kind:
            break
        late.questions = late.aggregator.close_stage()
    session.aggregator.receive(session.seen[-1])
    with pytest.raises(WrongStage):
        session.aggregator.receive(late.seen[-1])


def test_aggregator_refuses_a_dropped_device_that_comes_back() -> None:
    session = Session(4, t=3).play(Kind.DELIVERY)
    gone = session.devices[3].answer(session.questions[name(3)])
    session.stage(Kind.MASKED, silent=[3])
    session.questions = session.aggregator.close_stage()
    message = Message.decode(gone)
    consent = sign(session.identities[3], Kind.CONSENT, message.context, bytes(32))
    with pytest.raises(UnknownDevice):
        session.aggregator.receive(consent)


def test_aggregator_is_over_once_a_stage_has_too_few() -> None:
    session = Session(4, t=3)
    session.stage(Kind.ADVERT, silent=[0, 1])
    with pytest.raises(TooFewDevices):
        session.aggregator.close_stage()
    assert session.aggregator.answered == 0
    with pytest.raises(WrongStage):
        session.aggregator.close_stage()
    with pytest.raises(WrongStage):
        session.aggregator.receive(session.devices[0].advertise())
