# SPDX-License-Identifier: Apache-2.0
"""One whole session of secure aggregation in one process: what ``--protocol real`` runs.

Every device is a real ``Device``, the server a real ``Aggregator``, every byte between them is
encoded, signed and checked as over a network. Given the same encoded vectors it returns the same
integers as their plain sum, so a simulated run and a deployed round differ in nothing else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from shared.secagg.aggregator import Aggregator
from shared.secagg.device import Device
from shared.secagg.keys import KEY_BYTES, Random, os_random
from shared.secagg.messages import Kind
from shared.secagg.terms import ID_BYTES, SERVER_NAME, Enrolment, Identity, Terms

STAGES = (Kind.ADVERT, Kind.SHARES, Kind.MASKED, Kind.CONSENT, Kind.UNMASK)
"""The answers of the five stages, in order."""


@dataclass(frozen=True)
class Party:
    """Everybody of one session: the server with its aggregator, the devices in order."""

    aggregator: Aggregator
    devices: Mapping[bytes, Device]


@dataclass(frozen=True)
class SecureSum:
    """What a session gave, all of it public."""

    total: NDArray[np.int64]
    """Sum of the survivors' vectors, shape ``(d,)``, centred modulo 2^32."""
    survivors: tuple[int, ...]
    """Indices of the vectors in the sum."""
    upload_bytes: int
    """Sent by the device that sent most."""
    download_bytes: int
    """Received by the device that received most."""


def secure_sum(
    vectors: Sequence[NDArray[np.int64]],
    terms: Terms,
    *,
    silent_from: Mapping[int, Kind] | None = None,
    random: Random = os_random,
) -> SecureSum:
    """Sum encoded, noised vectors through the real protocol.

    Args:
        vectors: One a device, each shape ``(d,)``, int64; at most ``terms.cohort_size``. Private.
        terms: The numbers of the session.
        silent_from: Index of a device to the first answer that it does not give: a drop-out.
        random: Source of every key; the operating system's by default.

    Raises:
        TooFewDevices: Fewer than ``terms.min_survivors`` were left at some stage.

    Example:
        >>> terms = Terms(bytes(32), 1, 3, min_survivors=2, max_colluders=0, dimension=2)
        >>> vectors = [np.array([1, -5]), np.array([10, 0]), np.array([100, 0])]
        >>> result = secure_sum(vectors, terms, silent_from={2: Kind.MASKED})
        >>> print(result.total, result.survivors)
        [11 -5] (0, 1)
    """
    silent = {_name(index): kind for index, kind in (silent_from or {}).items()}
    party = gather(vectors, terms, random=random)
    aggregator = party.aggregator
    sent: Counter[bytes] = Counter()
    received: Counter[bytes] = Counter()
    questions = dict.fromkeys(party.devices, b"")
    for kind in STAGES:
        for name, question in questions.items():
            if kind >= silent.get(name, kind + 1):
                continue
            device = party.devices[name]
            answer = device.answer(question) if question else device.advertise()
            aggregator.receive(answer)
            received[name] += len(question)
            sent[name] += len(answer)
        if kind is not Kind.UNMASK:
            questions = aggregator.close_stage()
    total, survivors = aggregator.finish()
    return SecureSum(
        total=total,
        survivors=tuple(int.from_bytes(name, "big") for name in survivors),
        upload_bytes=max(sent.values()),
        download_bytes=max(received.values()),
    )


def gather(
    vectors: Sequence[NDArray[np.int64]], terms: Terms, *, random: Random = os_random
) -> Party:
    """Enrol a server and one device a vector, under fresh signing keys."""
    server = Identity(SERVER_NAME, _signing_key(random))
    identities = [Identity(_name(index), _signing_key(random)) for index in range(len(vectors))]
    enrolment = Enrolment(
        server_key=server.key.public_key().public_bytes_raw(),
        directory={i.name: i.key.public_key().public_bytes_raw() for i in identities},
    )
    devices = {
        identity.name: Device(terms, enrolment, identity, vector, random=random)
        for identity, vector in zip(identities, vectors, strict=True)
    }
    return Party(Aggregator(terms, enrolment, server), devices)


def _signing_key(random: Random) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(random(KEY_BYTES))


def _name(index: int) -> bytes:
    return index.to_bytes(ID_BYTES, "big")
