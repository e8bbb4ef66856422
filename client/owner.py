# SPDX-License-Identifier: Apache-2.0
"""What the page and the commands ask of a device: the part of `client.device.Device` they use.

Stating it lets both be built and tested on a device in memory.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from client.device import Act, Entry, OwnComments, PublicComment, Status
from client.receipts import Receipt
from shared.catalogue import Catalogue, FeatureBasis
from shared.model.history import History
from shared.model.released import SharedModel
from shared.schema import Ints, Scale


class Owner(Protocol):
    """A device as its owner sees it; what each part means stands in `client.device.Device`."""

    folder: Path

    @property
    def scale(self) -> Scale:
        """The declared rating scale."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """The public catalogue."""
        ...

    @property
    def basis(self) -> FeatureBasis:
        """The catalogue's basis: names of categories."""
        ...

    @property
    def model(self) -> SharedModel:
        """The shared model, or what stands in before the first one."""
        ...

    @property
    def public_comments(self) -> tuple[PublicComment, ...]:
        """Public comments of others."""
        ...

    @property
    def history(self) -> History:
        """What the model computes with."""
        ...

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All ratings, oldest first."""
        ...

    @property
    def hidden(self) -> Ints:
        """Items that the owner wants to see less of."""
        ...

    def own_comments(self) -> OwnComments:
        """Vectors of the owner's comments."""
        ...

    def find(self, words: str) -> int:
        """Return the row of an item by id or beginning of a title."""
        ...

    def rate(self, row: int, stars: float, comment: str | None = None) -> Entry:
        """Rate an item."""
        ...

    def forget(self, row: int) -> Entry:
        """Delete a rating and its comment."""
        ...

    def publish(self, row: int) -> Entry:
        """Publish the comment on an item."""
        ...

    def withdraw(self, row: int) -> Entry:
        """Take back what was published on an item."""
        ...

    def hide(self, row: int, *, undo: bool = False) -> None:
        """Remember "less like this", or take it back."""
        ...

    def note(self, row: int, act: Act) -> None:
        """Remember what the owner did with the comments of an item."""
        ...

    def status(self) -> Status:
        """Say where the device stands."""
        ...

    def receipts(self) -> Sequence[Receipt]:
        """What left, oldest first."""
        ...

    def pause(self) -> None:
        """Refuse every question from now on."""
        ...

    def resume(self) -> None:
        """Answer questions again."""
        ...

    def leave(self) -> None:
        """Take part no longer."""
        ...

    def erase(self) -> None:
        """Destroy the key first, then every file."""
        ...
