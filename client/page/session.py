# SPDX-License-Identifier: Apache-2.0
"""Who may look at the page: one browser, which showed the one-time token of the printed address.

The token is exchanged for a cookie and is void from then on, so an address that is read over a
shoulder, in a history or in a log opens nothing. Each form carries a token of its own action, so a
page of another origin cannot write one that is accepted. All three are 256 bits from the operating
system, compared in constant time, held in memory and gone with the process.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """What the last action did, shown once: a key of the texts and the values in it."""

    key: str
    values: dict[str, str]


class Session:
    """The one session of a running page.

    Guarantees:
        - the token of the address opens one session, once
        - a form token opens the action that it was made for, and no other
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        """One-time token of the printed address; void after `enter`."""
        self._cookie = ""
        self._form_key = secrets.token_bytes(32)
        self._notice: Notice | None = None

    def enter(self, token: str) -> str | None:
        """Exchange the one-time token for the value of the cookie; None where it is not right."""
        if not self.token or not _same(token, self.token):
            return None
        self.token = ""
        self._cookie = secrets.token_urlsafe(32)
        return self._cookie

    def knows(self, cookie: str) -> bool:
        """Say whether a cookie is the one that `enter` gave."""
        return bool(self._cookie) and _same(cookie, self._cookie)

    def form_token(self, action: str) -> str:
        """Return the token that a form with this action must carry."""
        return hmac.new(self._form_key, action.encode(), hashlib.sha256).hexdigest()

    def form_holds(self, action: str, token: str) -> bool:
        """Say whether a form that was posted to an action carried that action's token."""
        return _same(token, self.form_token(action))

    def tell(self, key: str, **values: str) -> None:
        """Leave a notice for the next page."""
        self._notice = Notice(key, values)

    def told(self) -> Notice | None:
        """Take the notice away."""
        notice, self._notice = self._notice, None
        return notice


def _same(left: str, right: str) -> bool:
    """Compare in constant time; any text may come from outside."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode())
