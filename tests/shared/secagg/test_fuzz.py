# SPDX-License-Identifier: Apache-2.0
"""Fuzzed messages in both directions: a typed refusal or a proper answer, never a crash.

Half of the fuzzed questions carry a good signature of the server (a hostile one signs what it
likes), half of the answers one of their device. After each batch the session is played to its end:
if every message was refused, the sum must still be exact.
"""

import numpy as np
import pytest

from shared.secagg.messages import SIGNATURE_BYTES, Kind, Message, sign
from shared.secagg.refusals import ProtocolRefusal
from tests.shared.secagg.sessions import ANSWERS, QUESTIONS, Session, name

BATCH = 100


def mutate(rng: np.random.Generator, body: bytes) -> bytes:
    """Flip, cut, extend, repeat, swap, zero, or replace."""
    data = bytearray(body)
    at, to = sorted(rng.integers(0, len(data) + 1, 2))
    match rng.integers(0, 8):
        case 0 if data:
            data[min(at, len(data) - 1)] ^= 1 << rng.integers(0, 8)
        case 1:
            del data[at:]
        case 2:
            data += rng.bytes(int(rng.integers(1, 99)))
        case 3:
            data[at:at] = data[at:to]
        case 4:
            data = data[to:] + data[at:to] + data[:at]
        case 5:
            data[at:to] = bytes(to - at)
        case 6:
            del data[at:to]
        case _:
            data = bytearray(rng.bytes(int(rng.integers(0, 300))))
    return bytes(data)


def fuzzed(rng: np.random.Generator, session: Session, index: int | None, good: bytes) -> bytes:
    """A mutation of a good message, freshly signed one time in two."""
    if rng.integers(0, 2):
        return mutate(rng, good)
    message = Message.decode(good)
    signer = session.server if index is None else session.identities[index]
    return sign(signer, Kind(message.kind), message.context, mutate(rng, message.body))


def fuzz_device(rng: np.random.Generator, kind: Kind) -> None:
    session = Session(3, t=2).play(kind)
    device, good = session.devices[0], session.questions[name(0)]
    untouched = True
    for _ in range(BATCH):
        question = fuzzed(rng, session, None, good)
        try:
            answer = device.answer(question)
        except ProtocolRefusal:
            continue
        assert device.answer(question) == answer
        untouched &= question == good
    if untouched:
        assert len(device.answer(good)) > SIGNATURE_BYTES


def fuzz_aggregator(rng: np.random.Generator, kind: Kind) -> None:
    session = Session(3, t=2)
    altered = False
    for answer in ANSWERS:
        if answer is kind:
            for _ in range(BATCH):
                message = fuzzed(rng, session, 0, answer_of(session, kind))
                heard = session.aggregator.answered
                try:
                    session.aggregator.receive(message)
                except ProtocolRefusal:
                    assert session.aggregator.answered == heard
                else:
                    altered |= message != answer_of(session, kind)
        session.stage(answer, silent=[0] if altered and answer >= kind else [])
        if answer is Kind.UNMASK or altered:
            break
        session.questions = session.aggregator.close_stage()
    if not altered:
        total, _ = session.aggregator.finish()
        np.testing.assert_array_equal(total, session.plain_sum(range(3)))


def answer_of(session: Session, kind: Kind) -> bytes:
    device = session.devices[0]
    if kind is Kind.ADVERT:
        return device.advertise()
    return device.answer(session.questions[name(0)])


def fuzz(messages: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for batch in range(messages // BATCH):
        if batch % 2:
            fuzz_device(rng, QUESTIONS[batch // 2 % 4])
        else:
            fuzz_aggregator(rng, ANSWERS[batch // 2 % 5])


def test_ten_thousand_fuzzed_messages_meet_typed_refusals() -> None:
    fuzz(10_000, seed=1)


@pytest.mark.slow
def test_a_million_fuzzed_messages_meet_typed_refusals() -> None:
    fuzz(1_000_000, seed=2)
