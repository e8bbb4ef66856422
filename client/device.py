# SPDX-License-Identifier: Apache-2.0
"""One device: its owner's ratings and comments, the shared model, and the door to the outside.

Everything here works without any server. A `Device` is a folder: a sealed store (`store.py`), the
key that opens it (`custody.py`) and public files (`shelf.py`). One process at a time holds it.
Neither torch nor flwr is imported, unless comments must be encoded.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client import door, transfer
from client.books import Books
from client.comments import OwnComments, encode_new, own_comments, read_public
from client.custody import load_key, read_custody
from client.diary import Act, Added, Diary, Entry, free_to_change, now_s
from client.holding import parts
from client.joining import DEVICE_FLOOR, accept
from client.preview import Line, Preview, preview, preview_last
from client.publishing import arrived, own_ids, statements
from client.receipts import Receipt
from client.settings import Settings
from client.shelf import Shelf, read_file, sha256
from client.standing import Status, status
from client.store import Store
from client.training import Cohort
from client.transfer import CATALOGUE, COMMENTS, MODEL
from client.verify import Verdict, verify
from shared.catalogue import Catalogue, FeatureBasis, load_catalogue
from shared.comments_file import PublicComment
from shared.errors import DataError, Refusal
from shared.model.file import load_model
from shared.model.history import History
from shared.model.released import SharedModel
from shared.model.view import View
from shared.privacy.canonical import Signed
from shared.privacy.door import Contribution
from shared.privacy.policy import Floor, Policy
from shared.publication import Statement
from shared.schema import Ints, Scale

__all__ = [
    "Act", "Added", "Device", "Entry", "Line", "OwnComments", "Preview", "PublicComment",
    "Receipt", "Status", "Verdict",
]  # fmt: skip

STARS = Scale(1.0, 5.0)
"""The scale where none is declared."""


class Device:
    """The owner's side of Privet. Open it with `Device.open`, use it as a context manager.

    Example:
        with Device.open(Path("home")) as device:
            device.rate(device.find("The Hedge"), 4, comment="Green.")
            predicted = device.model.rate(device.history, np.arange(len(device.catalogue)))
    """

    def __init__(self, folder: Path, store: Store) -> None:
        """Use `create`, `open` or `restore`."""
        self.folder = folder
        self._store = store
        self._books = Books(store)
        self._shelf = Shelf(folder, self._books)
        self._diary = Diary(self._books, self._shelf)
        self._cohort: Cohort | None = None
        door.recover(self._books, now_s())

    @classmethod
    def create(
        cls,
        folder: Path,
        catalogue: Path,
        model: Path | None = None,
        *,
        comments: Path | None = None,
        scale: Scale = STARS,
        custody: str = "auto",
        passphrase: str | None = None,
    ) -> Self:
        """Make a new device in an empty or new folder.

        Args:
            folder: Where it lives; made with mode 0700.
            catalogue: A catalogue.safetensors; copied, and its version pinned.
            model: A model.safetensors for that catalogue; copied, and its hash pinned.
            comments: Public comments, CSV item_id,text[,user_id,helpful]; copied, hash pinned.
            scale: Rating scale.
            custody: "auto", "credential", "passphrase" or "file", see `client.custody`.
            passphrase: For custody by passphrase.

        Raises:
            DataError: a file is not what it must be, or the folder is not empty.
            EnvironmentFault: the folder cannot be written.
            StoreLocked: the key that was asked for is missing.
        """
        listed, _, version = load_catalogue(catalogue)
        files = {CATALOGUE: read_file(catalogue)}
        if model is not None:
            files[MODEL] = read_file(model)
            load_model(files[MODEL], listed)
        if comments is not None:
            read_public(comments, {})
            files[COMMENTS] = read_file(comments)
        settings = Settings(
            identity=Ed25519PrivateKey.generate().private_bytes_raw().hex(),
            scale=(scale.low, scale.high, scale.step),
            catalogue=version,
            model=sha256(files.get(MODEL)),
            comments=sha256(files.get(COMMENTS)),
        )
        tables = {"settings": [settings.record()]}
        return cls(folder, transfer.settle(folder, tables, files, custody, passphrase))

    @classmethod
    def open(cls, folder: Path, *, passphrase: str | None = None) -> Self:
        """Open a device; finish what a crash interrupted.

        Raises:
            DataError: the folder holds no device, or one of a newer Privet.
            StoreLocked: another process holds it, or its key is missing or wrong.
            VerificationError: it was damaged, or put back to an older state.
        """
        store = Store.open(folder, lambda: load_key(folder, passphrase))
        try:
            return cls(folder, store)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Let go of the lock; nothing is pending, every act was on disk when it returned."""
        self._store.close()

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
    def scale(self) -> Scale:
        """Declared rating scale; `scale.from_unit` gives stars."""
        return self._books.settings.rating_scale

    @property
    def catalogue(self) -> Catalogue:
        """The public catalogue, checked against the version that was pinned."""
        return self._shelf.listed[0]

    @property
    def basis(self) -> FeatureBasis:
        """The catalogue's basis; `basis.encoder` names the encoder behind its text vectors."""
        return self._shelf.listed[1]

    @property
    def model(self) -> SharedModel:
        """The shared model; before the first one arrived, what text and categories alone give."""
        return self._shelf.model

    def take_model(self, data: bytes) -> None:
        """Take a newer shared model: check it, pin its hash, keep the bytes.

        Raises:
            DataError: the bytes are no model for this catalogue.
        """
        self.take_release(data)

    def take_release(
        self, model: bytes, catalogue: bytes | None = None, comments: bytes | None = None
    ) -> None:
        """Take what was released, all of it or nothing; ratings keep their items.

        Args:
            model: The shared model.
            catalogue: A newer version of the catalogue; None keeps the one there is.
            comments: The file of public comments, b"" where there are none any more; None keeps
                the one there is.

        Raises:
            DataError: the files are not what they must be, or the catalogue does not continue the
                one there is.
        """
        free_to_change(self._books)
        self._shelf.take_release(model, catalogue, comments)
        self._cohort = None

    @property
    def held(self) -> tuple[str, str]:
        """SHA-256 of the files of catalogue and public comments; "" where there are none."""
        return self._shelf.held

    @property
    def public_comments(self) -> tuple[PublicComment, ...]:
        """Public comments on items of the catalogue, the owner's own texts left out."""
        own = {event.comment for event in self._books.events if event.comment}
        ids = own_ids(self._books)
        return tuple(
            c for c in self._shelf.public_comments if c.text not in own and c.id not in ids
        )

    def find(self, words: str) -> int:
        """Return the row of an item by id, title, or the beginning of a title (case ignored).

        Raises:
            UsageError: nothing begins so, or several titles do; the hint lists candidates.
        """
        return self._shelf.find(words)

    # ---- the owner's own things ------------------------------------------------------------------

    @property
    def history(self) -> History:
        """What the model computes with: rated rows, r', comment lengths, acts; oldest first."""
        return self._diary.history

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All ratings, oldest first."""
        return self._diary.entries

    @property
    def hidden(self) -> Ints:
        """Rows that the owner wants to see less of, oldest first, (h,)."""
        return self._diary.hidden

    @property
    def attributes(self) -> dict[str, float]:
        """Private attributes of the owner (age, …), see `client.profile`; they never leave."""
        return dict(self._books.settings.attributes)

    def set_attributes(self, attributes: dict[str, float]) -> None:
        """Replace the private attributes."""
        self._change(replace(self._books.settings, attributes=dict(attributes)))

    def own_comments(self) -> OwnComments:
        """Vectors of the owner's comments that are known already; imports no torch."""
        return own_comments(self._books, self.basis.encoder, self._shelf.rows)

    def encode_comments(self) -> int:
        """Encode what is new among the comments, and seal it; may import torch.

        Returns:
            How many were encoded; 0 where the catalogue's encoder is not installed.
        """
        free_to_change(self._books)
        return encode_new(self._books, self.basis.encoder)

    def add(self, file: Path) -> Added:
        """Take in a CSV of ratings: item_id (or title), rating [, timestamp, comment].

        All rows or none. A bad row names file, line, column and the value's kind, never the value.

        Raises:
            DataError: the file cannot be read, or a row is bad.
        """
        return self._diary.add(file)

    def rate(
        self, row: int, stars: float, comment: str | None = None, *, now: int | None = None
    ) -> Entry:
        """Rate an item, again if need be; None keeps the comment there was, "" removes it.

        Raises:
            DataError: the stars are not on the scale, or there is no such row.
        """
        return self._diary.rate(row, stars, comment, now_s() if now is None else now)

    def forget(self, row: int) -> Entry:
        """Delete a rating, its comment and all that was noted of the item, as if never there.

        What was published of it is withdrawn.

        Raises:
            DataError: the item was not rated.
        """
        return self._diary.forget(row, now_s())

    def publish(self, row: int, *, now: int | None = None) -> Entry:
        """Publish the comment on an item, and write the receipt; outside ε.

        Raises:
            DataError: there is no comment on the item, or it is published already.
        """
        return self._diary.publish(row, now_s() if now is None else now)

    def withdraw(self, row: int, *, now: int | None = None) -> Entry:
        """Take back what was published on an item.

        Raises:
            DataError: nothing is published on the item.
        """
        return self._diary.withdraw(row, now_s() if now is None else now)

    def hide(self, row: int, *, undo: bool = False) -> None:
        """Remember "less like this" of an item, or take it back; stays on the device."""
        self._diary.hide(row, undo=undo)

    def note(self, row: int, act: Act) -> None:
        """Remember what the owner did with the comments of an item; stays on the device."""
        self._diary.note(row, act)

    # ---- what leaves -----------------------------------------------------------------------------

    def status(self) -> Status:
        """Say where the device stands; reads no catalogue and no model."""
        return status(self._books, read_custody(self.folder)["level"])

    def receipts(self) -> tuple[Receipt, ...]:
        """What left, was refused or was charged unused: the newest receipt of every act."""
        return tuple(self._books.chain.acts())

    def chain(self) -> tuple[Receipt, ...]:
        """Every receipt that was ever written, oldest first."""
        return tuple(self._books.chain.receipts)

    def preview(self, *, last: bool = False) -> Preview:
        """Show what would leave for the last question, or (last) what did leave."""
        if last:
            return preview_last(self._books, self.catalogue)
        return preview(self._books, self.catalogue, self._owner().devices[0])

    def verify(self, ledger: Path | None = None) -> Verdict:
        """Check every sealed byte, public files, the receipts, and a ledger if one is given.

        Raises:
            VerificationError: something does not verify; it says what.
        """
        _ = self.catalogue, self.model, self.public_comments
        return verify(self._books, ledger)

    def accept(
        self,
        policy: Signed,
        officer_key: str,
        *,
        demo: bool = False,
        floor: Floor = DEVICE_FLOOR,
        now: int | None = None,
    ) -> Policy:
        """Take part under a signed policy, by the owner's own decision; what was spent stays spent.

        Raises:
            PolicyError: it is not signed by that officer.
            Refusal: it promises less noise than the owner's floor and is no accepted demo.
        """
        free_to_change(self._books)
        at = now_s() if now is None else now
        return accept(self._books, policy, officer_key, floor, demo=demo, now=at)

    def answer(
        self, config: Signed, view: View, session: str = "", *, now: int | None = None
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
        at = now_s() if now is None else now
        return door.answer(self._books, self._owner(), config, view, session, at)

    def refuse(self, config: Signed, why: str, *, now: int | None = None) -> None:
        """Record a question that was refused for what is public about it."""
        door.refuse(self._books, config, why, now_s() if now is None else now)

    def closed(self) -> Refusal | None:
        """Return why the device answers nothing at all now, None where it does."""
        return door.closed_for(self._books.settings)

    @property
    def spent(self) -> Fraction:
        """Σρ charged so far, over all federations; private to the owner."""
        state = self._books.settings.state
        return state.spent if state else Fraction(0)

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The device's own key: signs its receipts and what it says in a secure sum."""
        return self._books.settings.key

    @property
    def line(self) -> dict[str, Any]:
        """How the device reaches the federation that it joined; empty where it joined none."""
        records = self._books.store.table("line")
        return dict(records[0]) if records else {}

    def keep_line(self, line: dict[str, Any]) -> None:
        """Seal how the federation is reached: address, authority, transport key, node."""
        free_to_change(self._books)
        self._books.commit(tables={"line": [line]})

    def sent(
        self, session: str, upload_bytes: int, to: str = "", *, now: int | None = None
    ) -> None:
        """Complete the receipt of an answer once it was uploaded."""
        door.sent(self._books, session, upload_bytes, to, now_s() if now is None else now)

    def abort(self, session: str, *, now: int | None = None) -> None:
        """Complete the receipt of an answer that was not used: charged, never refunded."""
        door.give_up(self._books, session, now_s() if now is None else now)

    def statements(self, run: str, held: int, to: str = "") -> tuple[Statement, ...]:
        """Return what the owner published or withdrew and the server does not hold.

        Raises:
            Refusal: the owner paused, left, or moved the device.
        """
        return statements(self._books, run, held, now_s(), to)

    def published(self, numbers: Sequence[int], to: str = "") -> None:
        """Complete the receipts of statements that were uploaded."""
        arrived(self._books, numbers, now_s(), to)

    def pause(self) -> None:
        """Refuse every question from now on; instant and local."""
        self._change(replace(self._books.settings, paused=True))

    def resume(self) -> None:
        """Answer questions again."""
        self._change(replace(self._books.settings, paused=False))

    def leave(self) -> None:
        """Take part no longer; what was spent stays spent, the ratings stay here.

        Raises:
            DataError: the device takes part in nothing.
        """
        joined = self._books.settings.membership
        if joined is None or joined.left:
            raise DataError(
                "a device must take part somewhere to leave, it does not.",
                hint="there is nothing to leave.",
            )
        self._change(replace(self._books.settings, membership=replace(joined, left=True)))

    # ---- moving and ending -----------------------------------------------------------------------

    def export(self, file: Path, passphrase: str) -> None:
        """Move the device into one sealed file; this folder is marked moved and answers nothing."""
        if self._books.settings.moved == "moved":
            free_to_change(self._books)
        transfer.export(self._books, file, passphrase)

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
        tables, files = transfer.unpacked(file, passphrase)
        return cls(folder, transfer.settle(folder, tables, files, custody, store_passphrase))

    def erase(self) -> None:
        """Destroy the key first, then every file; cannot be undone. The device is closed."""
        self._store.close(keep_lock=True)
        try:
            transfer.erase(self.folder, locked=True)
        finally:
            self._store.close()

    def _owner(self) -> Cohort:
        """Return the owner as the one member of a cohort, solved anew when something changed."""
        kept, held = parts(self._books.settings, self.history, self.catalogue.item_ids)
        now = Cohort([kept], [held])
        if self._cohort is None or not _same_owner(self._cohort, now):
            self._cohort = now
        return self._cohort

    def _change(self, settings: Settings) -> None:
        free_to_change(self._books)
        self._books.commit(settings=settings)


def _same_owner(left: Cohort, right: Cohort) -> bool:
    """Say whether two cohorts of one owner answer with the same."""
    pairs = zip((left.devices, left.held), (right.devices, right.held), strict=True)
    return all(_same(one[0], other[0]) for one, other in pairs if one and other)


def _same(left: History, right: History) -> bool:
    """Say whether two histories hold the same."""
    pairs = zip(vars(left).values(), vars(right).values(), strict=True)
    return all(np.array_equal(a, b, equal_nan=a is not None) for a, b in pairs)
