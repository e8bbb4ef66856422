# SPDX-License-Identifier: Apache-2.0
"""Which ratings a device keeps out of its answers, to measure the shared model on at the end.

Only where the policy that the owner accepted asks for metrics: then about a tenth of the ratings is
held out, chosen by a keyed hash of the item's id. The key is the device's own and never leaves, so
nobody else can tell which ratings they are, and an item is on the same side in every round. The
owner's recommendations go on using all ratings.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from client.settings import Settings
from shared.model.history import History
from shared.privacy.canonical import parse
from shared.privacy.policy import Policy

SHARE = 0.1
"""Share of the ratings that is held out."""
FEWEST = 5
"""Ratings from which at least one is held out; with fewer, a device measures nothing."""
LABEL = b"privet/held-out/v1\n"


def parts(settings: Settings, history: History, ids: Sequence[str]) -> tuple[History, History]:
    """Return what a device answers with, and what it holds out. Private.

    Args:
        settings: Of the device: its key, and the policy that its owner accepted.
        history: All ratings. Private.
        ids: Ids of the catalogue's items.
    """
    joined = settings.membership
    policy = parse(Policy, joined.policy.encode()) if joined else None
    if policy is None or "metrics" not in policy.queries:
        return history, history.take(np.zeros(0, dtype=np.int64))
    return hold_out(history, ids, bytes.fromhex(settings.identity))


def hold_out(history: History, ids: Sequence[str], secret: bytes) -> tuple[History, History]:
    """Split ratings by a keyed hash: what is kept, and about `SHARE` of them that is held out.

    Where the hash holds none of `FEWEST` ratings or more out, the one with the smallest hash is.

    Args:
        history: All ratings. Private.
        ids: Ids of the catalogue's items.
        secret: The device's own key.
    """
    key = hmac.digest(secret, LABEL, sha256)
    digests = (hmac.digest(key, ids[row].encode(), sha256) for row in history.items.tolist())
    place = np.array([int.from_bytes(found[:8], "big") / 2**64 for found in digests])
    held = place < SHARE
    if len(place) >= FEWEST:
        held[np.argmin(place)] = True
    return history.take(np.flatnonzero(~held)), history.take(np.flatnonzero(held))
