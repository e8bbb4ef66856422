# SPDX-License-Identifier: Apache-2.0
"""What `privet doctor` says of a folder: one line a look, and the looks that both sides share.

A look writes nothing and tells no private value: states, sizes and dates alone.
"""

import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from cryptography import x509

from shared.errors import PrivetError

GIB = 2**30
SOON = timedelta(days=30)
"""How long before a certificate's end a warning is given."""
SLACK_S = 300
"""Seconds by which a clock may lie behind what is written."""
FLWR = "1.41."
"""Flower's line: both sides must run one."""


@dataclass(frozen=True)
class Check:
    """What one look found."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    """What to do; where `ok` is true, a warning."""

    @property
    def state(self) -> Literal["ok", "warn", "FAILED"]:
        """How it is shown."""
        if not self.ok:
            return "FAILED"
        return "warn" if self.hint else "ok"


def looked(name: str, look: Callable[[], Check]) -> Check:
    """Look; what is wrong enough to be an error is a failed check."""
    try:
        return look()
    except PrivetError as wrong:
        return Check(name, False, wrong.message, wrong.hint or "see the message.")
    except OSError as wrong:
        return Check(name, False, wrong.strerror or "cannot be read", "check the folder's rights.")


def check_free(folder: Path, least: int = GIB) -> Check:
    """Look at the free space of a folder's disk."""
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIB:.1f} GiB free"
    if free < least // 10:
        return Check("disk", False, detail, f"free {least / GIB:.1f} GiB.")
    return Check("disk", True, detail, "" if free >= least else f"free {least / GIB:.1f} GiB.")


def check_private(name: str, files: Iterable[Path]) -> Check:
    """Look whether files are open to their owner alone."""
    found = [path for path in files if path.exists()]
    wide = [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if wide:
        return Check(
            name,
            False,
            f"others may read {', '.join(path.name for path in wide[:3])}",
            f"`chmod go= {' '.join(map(str, wide[:3]))}`; if others could have read it, renew it.",
        )
    return Check(name, True, f"{len(found)} open to their owner alone")


def check_certificate(name: str, pem: bytes, now: datetime, renew: str) -> Check:
    """Look whether a certificate is valid now and for a while."""
    found = x509.load_pem_x509_certificate(pem)
    until = found.not_valid_after_utc
    detail = f"valid until {until:%Y-%m-%d}"
    if now < found.not_valid_before_utc:
        return Check(name, False, f"valid from {found.not_valid_before_utc:%Y-%m-%d}",
                     "set this machine's clock.")  # fmt: skip
    if now >= until:
        return Check(name, False, f"ended {until:%Y-%m-%d}", renew)
    return Check(name, True, detail, renew if until - now < SOON else "")


def check_clock(now_s: int, last_s: int, what: str) -> Check:
    """Look whether the clock lies behind what was written by it."""
    told = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M} UTC"
    behind = last_s - now_s
    if behind > SLACK_S:
        return Check("clock", False, f"{told}, {behind} s before {what}",
                     "set this machine's clock; rounds are spaced by it.")  # fmt: skip
    return Check("clock", True, told)


def check_flower() -> Check:
    """Look at Flower's version."""
    try:
        found = version("flwr")
    except PackageNotFoundError:
        return Check("flower", False, "not installed", "`pip install 'privet[client]'`")
    ok = found.startswith(FLWR)
    return Check("flower", ok, found, "" if ok else f"install flwr {FLWR}*, as the other side has.")
