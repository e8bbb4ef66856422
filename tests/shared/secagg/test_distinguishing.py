# SPDX-License-Identifier: Apache-2.0
"""The distinguishing game: does anything that the aggregator saw tell who sent which vector?

Sixteen devices; a coin decides whether devices 0 and 1 swap their vectors, which are far apart
(all bits set, none set); the sum stays as it is. A logistic regression on every byte that reached
the aggregator guesses the coin, trained on one half of the sessions and scored on the other, both
ways. Under the null hypothesis the mean of the two AUCs has standard deviation
0.289 * sqrt(4 / sessions); the limits below are 2.33 of them on either side: two alarms in a
hundred clean runs (the seeds are fixed, so each either
alarms always or never).
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from shared.secagg import aggregator, device
from shared.secagg.messages import Kind
from tests.shared.secagg.sessions import ANSWERS, Session

pytestmark = pytest.mark.statistical
D = 64


def transcript(swapped: bool, salt: str) -> np.ndarray:
    """All bytes that the aggregator received in one session."""
    vectors = [np.full(D, -1), np.zeros(D, np.int64)][:: -1 if swapped else 1]
    session = Session(16, t=11, d=D, vectors=vectors + [np.arange(D)] * 14, salt=salt)
    for answer in ANSWERS:
        session.stage(answer)
        if answer is not Kind.UNMASK:
            session.questions = session.aggregator.close_stage()
    total, _ = session.aggregator.finish()
    np.testing.assert_array_equal(total, 14 * np.arange(D) - 1)
    return np.frombuffer(b"".join(session.seen), np.uint8)


def advantage(sessions: int) -> float:
    """Mean AUC of the two cross-fitted halves."""
    coins = np.random.default_rng(5).permutation(np.arange(sessions) % 2)
    seen = np.stack([transcript(bool(coin), f" game {i}") for i, coin in enumerate(coins)])
    varying = (seen != seen[0]).any(axis=0)
    features = (seen[:, varying].astype(np.float32) - 127.5) / 74
    half = sessions // 2
    aucs = []
    for train, test in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        model = LogisticRegression(C=1e-3, max_iter=300).fit(features[train], coins[train])
        aucs.append(roc_auc_score(coins[test], model.decision_function(features[test])))
    return float(np.mean(aucs))


def test_transcript_does_not_tell_who_sent_what() -> None:
    """60 sessions: limit 0.5 +- 0.174."""
    assert abs(advantage(60) - 0.5) < 0.174


def test_game_is_won_when_masks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same regression finds the coin once there are no masks."""
    for module in (device, aggregator):
        monkeypatch.setattr(module, "add_mask", lambda *_, **__: None)
    assert advantage(60) > 0.9


@pytest.mark.slow
def test_two_thousand_transcripts_do_not_tell_who_sent_what() -> None:
    """2,000 sessions: limit 0.5 +- 0.03 (one-sided false alarm 1 %)."""
    assert abs(advantage(2000) - 0.5) < 0.03
