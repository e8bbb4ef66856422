# SPDX-License-Identifier: Apache-2.0
"""One device: its owner's ratings and comments, the shared model, and the door to the outside.

Everything here works without any server. A `Device` is a folder: a sealed store (`store.py`), the
key that opens it (`custody.py`) and public files (catalogue, model, public comments). One process
at a time holds it. Neither torch nor flwr is imported, unless comments must be encoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from shared.catalogue import Catalogue, FeatureBasis
from shared.errors import Refusal
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.view import View
from shared.privacy.canonical import Signed
from shared.privacy.door import Contribution
from shared.privacy.policy import Floor, Policy
from shared.schema import Ints, Scale

Act = Literal["seen", "opened", "upvoted", "replied"]
"""What an owner did with the comments of an item: saw its page alone, or one of the others."""


@dataclass(frozen=True)
class Entry:
    """One rating of the owner, with its comment; private."""

    row: int
    """Row of the catalogue; -1 where the catalogue no longer lists the item."""
    item: str
    """Id of the item."""
    title: str
    """Title, or the id where the catalogue no longer lists it."""
    stars: float
    at: int
    """Seconds since 1970; 0 where unknown."""
    comment: str
    """"" where there is none."""
    published: bool
    """Whether the owner published the comment."""


@dataclass(frozen=True)
class Added:
    """What `Device.add` took in."""

    added: int
    """Ratings of items that had none."""
    changed: int
    """Ratings that replaced an older one of the same item."""
    comments: int
    """Of all these, how many carry a comment."""


@dataclass(frozen=True)
class PublicComment:
    """A comment that its author, or the operator, published; public."""

    row: int
    """Row of the catalogue."""
    text: str
    author: str
    """Pseudonym, "" where none is given."""
    helpful: float
    """Helpful votes, NaN where unknown."""


@dataclass(frozen=True)
class OwnComments:
    """Vectors of the owner's comments, as far as they were encoded; private, sealed on disk."""

    rows: Ints
    """Rows of the catalogue, (n,), oldest first."""
    vectors: npt.NDArray[np.float32]
    """(n, D), unit norm."""
    missing: int
    """Comments without a vector: `Device.encode_comments` makes them."""


@dataclass(frozen=True)
class Status:
    """What `privet client status` and the page show; for the owner's eyes."""

    operator: str
    """Who runs the federation that the device joined; "" where it joined none."""
    run: str
    policy_hash: str
    joined_at: int
    paused: bool
    moved: bool
    """Whether the store was exported to another device; nothing but `erase` is left to do here."""
    demo: bool
    """Whether so few noise shares suffice that every page must say DEMO."""
    ratings: int
    comments: int
    published: int
    custody: str
    """credential, passphrase or file."""
    model: str
    """SHA-256 of the shared model in use; "" before the first one arrived."""
    updates: int
    """Answers that left, or may have left, the device."""
    unused: int
    """Answers that were charged and never left."""
    refused: int
    """Questions that the device refused."""
    upload_bytes: int
    last_upload_at: int
    """0 where nothing left yet."""
    smallest_sum: int
    """Fewest devices that any answer was summed with; 0 where nothing left yet."""
    spent: float
    """Part of the agreed budget (ρ) that is charged, in [0, 1]."""
    epsilon: float
    """ε when all of the budget is used; 0 where there is none."""
    delta: float
    guess: float
    """How often somebody guessing whether the owner took part is right at most, in [.5, 1], when
    all of the budget is used and the operator is honest."""
    guess_lying: float
    """The same if the operator makes up all other devices: the worst number, so it is shown."""


class Device:
    """The owner's side of Privet. Open it with `Device.open`, use it as a context manager.

    Example:
        with Device.open(Path("home")) as device:
            device.rate(device.find("The Hedge"), 4.5, comment="Green.")
            scores = device.model.rate(device.history, np.arange(len(device.catalogue)))
    """

    folder: Path
    scale: Scale
    """Declared rating scale; `scale.from_unit` gives stars."""

    @classmethod
    def create(
        cls,
        folder: Path,
        catalogue: Path,
        model: Path | None = None,
        *,
        comments: Path | None = None,
        scale: Scale = Scale(1.0, 5.0),  # noqa: B008
        custody: str = "auto",
        passphrase: str | None = None,
    ) -> Self:
        """Make a new device in an empty or new folder.

        Args:
            folder: Where it lives; made with mode 0700.
            catalogue: A catalogue.safetensors; copied, and its version pinned.
            model: A model.safetensors for that catalogue; copied, and its hash pinned.
            comments: Public comments, CSV item_id,text[,user_id,helpful]; copied.
            scale: Rating scale.
            custody: "auto", "credential", "passphrase" or "file", see `client.custody`.
            passphrase: For custody by passphrase.

        Raises:
            DataError: a file is not what it must be, or the folder holds a device already.
            EnvironmentFault: the folder cannot be written.
            StoreLocked: the key that was asked for is missing.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, folder: Path, *, passphrase: str | None = None) -> Self:
        """Open a device; finish what a crash interrupted.

        Raises:
            DataError: the folder holds no device, or one of a newer Privet.
            StoreLocked: another process holds it, or its key is missing or wrong.
            VerificationError: it was damaged, or put back to an older state.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the lock; nothing is pending, every act was on disk when it returned."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- public things: loaded at first use, then kept -----------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """The public catalogue, checked against the version that was pinned."""
        raise NotImplementedError

    @property
    def basis(self) -> FeatureBasis:
        """The catalogue's basis; `basis.encoder` names the encoder behind its text vectors."""
        raise NotImplementedError

    @property
    def model(self) -> SharedModel:
        """The shared model; before the first one arrived, what text and categories alone give."""
        raise NotImplementedError

    @property
    def public_comments(self) -> tuple[PublicComment, ...]:
        """Public comments on items of the catalogue, the owner's own left out."""
        raise NotImplementedError

    def find(self, words: str) -> int:
        """Return the row of an item by id, title, or the beginning of a title (case ignored).

        Raises:
            UsageError: nothing begins so, or several titles do; the hint lists candidates.
        """
        raise NotImplementedError

    # ---- the owner's own things ------------------------------------------------------------------

    @property
    def history(self) -> History:
        """What the model computes with: rated rows, r', comment lengths, acts; oldest first."""
        raise NotImplementedError

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All ratings, oldest first."""
        raise NotImplementedError

    @property
    def hidden(self) -> Ints:
        """Rows that the owner wants to see less of, oldest first, (h,)."""
        raise NotImplementedError

    @property
    def attributes(self) -> dict[str, float]:
        """Private attributes of the owner (age, …), see `client.profile`; they never leave."""
        raise NotImplementedError

    def own_comments(self) -> OwnComments:
        """Vectors of the owner's comments that are known already; imports no torch."""
        raise NotImplementedError

    def encode_comments(self) -> int:
        """Encode what is new among the comments, and seal it; may import torch.

        Returns:
            How many were encoded; 0 where the catalogue's encoder is not installed.
        """
        raise NotImplementedError

    def add(self, file: Path) -> Added:
        """Take in a CSV of ratings: item_id (or title), rating [, timestamp, comment].

        All rows or none. A bad row names file, line, column and the value's kind, never the value.

        Raises:
            DataError: the file cannot be read, or a row is bad.
        """
        raise NotImplementedError

    def rate(self, row: int, stars: float, comment: str | None = None) -> Entry:
        """Rate an item, again if need be; None keeps the comment there was, "" removes it.

        Raises:
            DataError: the stars are not on the scale, or there is no such row.
        """
        raise NotImplementedError

    def forget(self, row: int) -> Entry:
        """Delete a rating and its comment as if they had never been.

        Raises:
            DataError: the item was not rated.
        """
        raise NotImplementedError

    def publish(self, row: int) -> Entry:
        """Mark the comment on an item as published, and write its receipt; outside ε, for good.

        Raises:
            DataError: there is no comment on the item.
        """
        raise NotImplementedError

    def hide(self, row: int, *, undo: bool = False) -> None:
        """Remember "less like this" of an item, or take it back; stays on the device."""

    def note(self, row: int, act: Act) -> None:
        """Remember what the owner did with the comments of an item; stays on the device."""

    # ---- what leaves -----------------------------------------------------------------------------

    def status(self) -> Status:
        """Say where the device stands."""
        raise NotImplementedError

    def receipts(self) -> tuple["Receipt", ...]:
        """What left, was refused or was charged unused: one receipt an act, oldest first."""
        raise NotImplementedError

    def preview(self, *, last: bool = False) -> "Preview":
        """Show what would leave for the last question, or (last) what did leave."""
        raise NotImplementedError

    def verify(self, ledger: Path | None = None) -> "Verdict":
        """Check every sealed byte, the chain of receipts, its signatures, and a ledger if given.

        Raises:
            VerificationError: something does not verify; it says what.
        """
        raise NotImplementedError

    def accept(
        self, policy: Signed, officer_key: str, *, demo: bool = False, floor: Floor | None = None
    ) -> Policy:
        """Take part under a signed policy, by the owner's own decision.

        Raises:
            PolicyError: it is not signed by that officer.
            Refusal: it asks for less protection than the device's floor.
        """
        raise NotImplementedError

    def answer(
        self, config: Signed, view: View, session: str = "", now: int | None = None
    ) -> Contribution | Refusal:
        """Answer one question through the door: authorise, charge, fsync, release, fsync.

        A retry of the same question in the same session returns the same bytes. A refusal is
        recorded and returned.

        Args:
            config: The round, signed by the policy's server key.
            view: What the server sent with it; public.
            session: Name of the session the answer is for.
            now: Seconds since 1970, the device's own clock where None.
        """
        raise NotImplementedError

    def sent(self, session: str, upload_bytes: int, to: str = "") -> None:
        """Complete the receipt of an answer once it was uploaded."""

    def abort(self, session: str) -> None:
        """Complete the receipt of an answer that was not used: charged, never refunded."""

    def pause(self) -> None:
        """Refuse every question from now on; instant and local."""

    def resume(self) -> None:
        """Answer questions again."""

    def leave(self) -> None:
        """Take part no longer; what was spent stays spent, the ratings stay here."""

    # ---- moving and ending -----------------------------------------------------------------------

    def export(self, file: Path, passphrase: str) -> None:
        """Move the device into one sealed file; this folder is marked moved and answers nothing."""

    @classmethod
    def restore(
        cls,
        file: Path,
        folder: Path,
        passphrase: str,
        *,
        custody: str = "auto",
        store_passphrase: str | None = None,
    ) -> Self:
        """Make a device of an exported file: with its receipts, chain head and spent budget."""
        raise NotImplementedError

    def erase(self) -> None:
        """Destroy the key first, then every file; cannot be undone."""


Receipt = Preview = Verdict = object  # made in client.receipts and client.preview
_ = Sequence
