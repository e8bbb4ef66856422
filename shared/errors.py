# SPDX-License-Identifier: Apache-2.0
"""Every error that Privet raises on purpose, on one screen.

    PrivetError                     exit
    ├── UsageError                     2   the words of the command are off
    ├── DataError                     10   a file, a row, a configuration is invalid
    ├── EnvironmentFault              11   this machine lacks something
    ├── PolicyError                   12   a policy is unsigned or wrongly signed
    ├── Refusal                            the floor of a device, or a cap, says no
    │   ├── BudgetExceeded            13   the privacy budget would be exceeded
    │   └── CohortTooSmall            14   fewer devices than the minimum
    ├── VerificationError             15   a ledger, receipt or report does not verify
    ├── StoreLocked                   16   the store is locked or its key is missing
    ├── AuditViolation                17   an audit found a claim exceeded
    └── NetworkError                  20   a peer cannot be reached

A message says what must hold and what was got; ``hint`` says what to do. Neither ever holds a
private value: no interaction, embedding, norm or key.
"""

from typing import ClassVar

EXIT_BUG = 70
"""Exit code of anything that is not in the tree: a defect of Privet."""


class PrivetError(Exception):
    """Base of all errors that a person can act on.

    Args:
        message: What must hold and what was got, one sentence, public values only.
        hint: What to do about it, one sentence.
    """

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PrivetError):
    """The words of a command are off."""

    exit_code = 2


class DataError(PrivetError):
    """A file, a row, a configuration or a value in it is invalid."""

    exit_code = 10


class EnvironmentFault(PrivetError):
    """This machine lacks something: a package, weights, disk space, a right."""

    exit_code = 11


class PolicyError(PrivetError):
    """A policy is unsigned, wrongly signed or not the pinned one."""

    exit_code = 12


class Refusal(PrivetError):
    """A device's floor or a cap says no; nothing was released."""

    exit_code = 13


class BudgetExceeded(Refusal):
    """A release would pass the privacy budget."""


class CohortTooSmall(Refusal):
    """Fewer devices take part than the policy's minimum."""

    exit_code = 14


class VerificationError(PrivetError):
    """A ledger, receipt, report or signature does not verify."""

    exit_code = 15


class StoreLocked(PrivetError):
    """The device's store is locked or its key is missing."""

    exit_code = 16


class AuditViolation(PrivetError):
    """An audit measured more than a claim allows."""

    exit_code = 17


class NetworkError(PrivetError):
    """A peer cannot be reached."""

    exit_code = 20
