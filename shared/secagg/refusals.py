# SPDX-License-Identifier: Apache-2.0
"""Every way in which a device or the aggregator says no, one type each.

    Refusal (shared.errors)
    └── ProtocolRefusal        nothing was released; the state did not change
        ├── TermsRefused       the numbers of the session are not safe
        ├── Malformed          length, kind, order or encoding is not the canonical one
        ├── WrongSession       another round, model, policy or roster
        ├── WrongStage         too early or too late
        ├── BadSignature       not signed by whom it names
        ├── UnknownDevice      not enrolled, or not in this session
        ├── Equivocation       a second, different message for a stage already answered
        ├── TooFewDevices      below the threshold (also a CohortTooSmall)
        ├── OwnIdMissing       the survivors leave out the device that is asked
        ├── Disagreement       the survivors did not all sign one statement
        ├── BadKey             a public key of small order
        └── BadShare           a sealed share does not open, or a recovered secret is not the
                               one that was committed to

A refusal never says a key, a share or a coordinate: only public names, counts and positions.
"""

from shared.errors import CohortTooSmall, Refusal


class ProtocolRefusal(Refusal):
    """Base of the refusals of secure aggregation."""

    exit_code = 15


class TermsRefused(ProtocolRefusal):
    """The numbers of the session do not keep a sum safe."""


class Malformed(ProtocolRefusal):
    """A message is not the canonical encoding of anything."""


class WrongSession(ProtocolRefusal):
    """A message belongs to another round, model, policy or roster."""


class WrongStage(ProtocolRefusal):
    """A message comes too early or too late."""


class BadSignature(ProtocolRefusal):
    """A message is not signed by the party that it names."""


class UnknownDevice(ProtocolRefusal):
    """A device is not in the enrolment directory, or not in this session."""


class Equivocation(ProtocolRefusal):
    """A second, different message came for a stage that was already answered."""


class TooFewDevices(ProtocolRefusal, CohortTooSmall):
    """Fewer devices take part than the threshold."""

    exit_code = CohortTooSmall.exit_code


class OwnIdMissing(ProtocolRefusal):
    """The set of survivors leaves out the device that is asked to confirm it."""


class Disagreement(ProtocolRefusal):
    """The survivors did not all sign the same statement."""


class BadKey(ProtocolRefusal):
    """A public key has small order, so the agreed secret would be known to all."""


class BadShare(ProtocolRefusal):
    """A sealed share does not open, or a recovered secret fails its commitment."""
